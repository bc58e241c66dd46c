"""Makes the masked language models of this folder (bert, bert_cased, roberta) and what transformers computes
with them.

    pip install transformers==4.46.3 tokenizers safetensors torch "numpy<2"
    python make_masked_files.py

Small models with random weights, tokenizers trained on the lines below. The expected values are transformers':
token ids by its own tokenizers (not those of the package tokenizers), logits, and final states where a model has
no head.
"""
import json
import random
from pathlib import Path

import torch
from tokenizers import BertWordPieceTokenizer, ByteLevelBPETokenizer
from transformers import (BertConfig, BertForPreTraining, BertModel, BertTokenizer, RobertaConfig,
                          RobertaForMaskedLM, RobertaTokenizer)

HERE = Path(__file__).parent
TEXT = """The captain looked at the sea and said nothing.
It's a long way home, they've told us, and we'll see 1984 again.
A small boat came in the morning; its sails were red, and its crew was tired.
Nobody knew where the old man had come from, or why he stayed.
In 2021 we counted 365 days, 52 weeks and 12 months.
The café at the corner sells naïve drawings and crème brûlée.
""".splitlines()
LINES = [
    "The captain said: it's 1984, they'll see us.",
    "  two spaces,   three   and a tab\tat the end  ",
    "Über naïve cafés — 東京タワー 2024 ½ ², e\u0301clair",
    "emoji 🙂👩‍👩‍👧 and 'quotes' we've $5 50€ <x>~",
    "ΟΔΟΣ Όδος İstanbul ﬁn straße Ångström ǅ K",
    "한국어 조선 日本 豈 \U00020000 ไทย हिन्दी",
    "\u00a0no-break\u3000wide\u2028line\u200bjoined\u00adsoft\ufeffmark\u0085next\x1besc",
    "x" * 100 + " " + "x" * 101 + " sails",
    "",
]
POOL = ("abcdefxyzABCXYZ0123456789 \t.,;:!?'\"-_()[]{}#$%&*+/<=>@\\^`|~ÀÉîñöÜçøßĳŁİıΣσςΩЖжЁёЙй½²€£¥©…–—«»“”¿¡"
        "東京日本語漢字豈〆々タワーカﾀあが한국조가ไทยहि\u0301\u0308\u0327\u093f\u200b\u200d\u00ad\ufeff\u2028\u2029\u00a0\u3000\x0b\x1c\x85"
        "🙂👩\U00020000\U0002f800\ue000ﬁǅⅣ①؟،。、・「」")


def drawn_lines(count):
    draw = random.Random(5)
    return ["".join(draw.choice(POOL) for _ in range(draw.randrange(1, 40))) for _ in range(count)]


def seed_weights(model, seed, scale):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            noise = torch.randn(parameter.shape, generator=generator) * scale
            norm = parameter.dim() == 1 and "norm" in name.lower() and name.endswith("weight")
            parameter.copy_(1 + noise if norm else noise)


def rounded(values):
    return [[round(v, 6) for v in row] for row in values.tolist()]


def expect(folder, model, tokenizer):
    """Every third token of a line is masked; the values are those at the begin mark, the first four tokens and
    the end mark."""
    expected = []
    for line in LINES + drawn_lines(60):
        ids = tokenizer(line, add_special_tokens=False)["input_ids"]
        one = {"text": line, "ids": ids}
        expected.append(one)
        if line not in LINES:
            continue
        masked = [tokenizer.mask_token_id if i % 3 == 1 else token for i, token in enumerate(ids[:18])]
        read = [tokenizer.cls_token_id] + masked + [tokenizer.sep_token_id]
        with torch.no_grad():
            found = model(input_ids=torch.tensor([read]))
        one["read"] = read
        one["places"] = list(range(min(5, len(read) - 1))) + [len(read) - 1]
        key = "states" if hasattr(found, "last_hidden_state") else "logits"
        values = found.last_hidden_state if key == "states" else found[0]
        one[key] = rounded(values[0][one["places"]])
        one["decoded"] = tokenizer.decode(ids, clean_up_tokenization_spaces=False)
    (folder / "expected.json").write_text(json.dumps(expected, ensure_ascii=True, indent=0))


def word_pieces(folder, lower):
    folder.mkdir(exist_ok=True)
    trainer = BertWordPieceTokenizer(lowercase=lower, strip_accents=lower)
    trainer.train_from_iterator(TEXT + LINES + [POOL] * 3, vocab_size=330, min_frequency=1, limit_alphabet=200,
                                show_progress=False)
    trainer.save_model(str(folder))
    tokenizer = BertTokenizer(str(folder / "vocab.txt"), do_lower_case=lower)
    tokenizer.save_pretrained(folder)
    return tokenizer


def bert():
    folder = HERE / "bert"
    tokenizer = word_pieces(folder, lower=True)
    config = BertConfig(vocab_size=len(tokenizer), hidden_size=24, num_hidden_layers=2, num_attention_heads=3,
                        intermediate_size=40, max_position_embeddings=32)
    model = BertForPreTraining(config).eval()
    seed_weights(model, 1, 0.2)
    model.save_pretrained(folder, safe_serialization=True)
    expect(folder, model, tokenizer)


def bert_cased():
    folder = HERE / "bert_cased"
    tokenizer = word_pieces(folder, lower=False)
    config = BertConfig(vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
                        intermediate_size=24, max_position_embeddings=24, hidden_act="gelu_new")
    model = BertModel(config).eval()
    seed_weights(model, 2, 0.2)
    model.save_pretrained(folder, safe_serialization=False)
    expect(folder, model, tokenizer)


def roberta():
    folder = HERE / "roberta"
    folder.mkdir(exist_ok=True)
    trainer = ByteLevelBPETokenizer()
    trainer.train_from_iterator(TEXT, vocab_size=330, min_frequency=1, show_progress=False,
                                special_tokens=["<s>", "<pad>", "</s>", "<unk>"])
    trainer.save_model(str(folder))
    vocabulary = json.loads((folder / "vocab.json").read_text())
    vocabulary["<mask>"] = len(vocabulary)
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False))
    tokenizer = RobertaTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), add_prefix_space=True)
    tokenizer.save_pretrained(folder)
    config = RobertaConfig(vocab_size=len(vocabulary), hidden_size=24, num_hidden_layers=2, num_attention_heads=3,
                           intermediate_size=40, max_position_embeddings=34, type_vocab_size=1,
                           layer_norm_eps=1e-5)
    model = RobertaForMaskedLM(config).eval()
    seed_weights(model, 3, 0.2)
    model.save_pretrained(folder, safe_serialization=True)
    expect(folder, model, tokenizer)


if __name__ == "__main__":
    bert()
    bert_cased()
    roberta()
