"""Makes the classifiers of this folder (bert_classes, roberta_classes) and the logits that transformers has for them.

    pip install transformers==4.46.3 tokenizers safetensors torch "numpy<2"
    python make_classifier_files.py

Small models with random weights over the tokenizers of make_masked_files.py. What the models read of a text, the
special symbols and the cut at the longest included, is what transformers' tokenizer makes of it.
"""
import json
import shutil

import torch
from transformers import (BertConfig, BertForSequenceClassification, BertTokenizer, RobertaConfig,
                          RobertaForSequenceClassification, RobertaTokenizer)

from make_masked_files import HERE, LINES, TEXT, drawn_lines, rounded, seed_weights

LONGEST = 24


def expect(folder, model, tokenizer):
    expected = []
    for line in TEXT + LINES + drawn_lines(40):
        read = tokenizer(line, truncation=True, max_length=LONGEST)["input_ids"]
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([read])).logits
        expected.append({"text": line, "read": read, "logits": rounded(logits)[0]})
    chosen = [max(range(len(one["logits"])), key=one["logits"].__getitem__) for one in expected]
    assert set(chosen) == set(range(len(expected[0]["logits"]))), "each class is one text's"
    assert any(len(one["read"]) == LONGEST for one in expected)
    (folder / "expected.json").write_text(json.dumps(expected, ensure_ascii=True, indent=0))


def tokenizer_of(name, kind, folder):
    """The same vocabulary as that of a masked language model."""
    tokenizer = kind.from_pretrained(HERE / name)
    shutil.rmtree(folder, ignore_errors=True)
    tokenizer.save_pretrained(folder)
    return tokenizer


def bert():
    folder = HERE / "bert_classes"
    tokenizer = tokenizer_of("bert", BertTokenizer, folder)
    labels = ["so so", "bad", "très bien"]
    config = BertConfig(vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
                        intermediate_size=24, max_position_embeddings=LONGEST, id2label=dict(enumerate(labels)),
                        label2id={label: id for id, label in enumerate(labels)},
                        problem_type="single_label_classification")
    model = BertForSequenceClassification(config).eval()
    seed_weights(model, 4, 0.5)
    model.save_pretrained(folder, safe_serialization=True)
    expect(folder, model, tokenizer)


def roberta():
    folder = HERE / "roberta_classes"
    tokenizer = tokenizer_of("roberta", RobertaTokenizer, folder)
    config = RobertaConfig(vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
                           intermediate_size=24, max_position_embeddings=LONGEST + 2, type_vocab_size=1,
                           layer_norm_eps=1e-5, hidden_act="relu")
    model = RobertaForSequenceClassification(config).eval()
    seed_weights(model, 5, 0.5)
    model.save_pretrained(folder, safe_serialization=False)
    expect(folder, model, tokenizer)


if __name__ == "__main__":
    bert()
    roberta()
