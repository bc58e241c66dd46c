"""Makes the T5 checkpoints of this folder and what transformers computes with them.

    pip install transformers==4.46.3 safetensors sentencepiece torch "numpy<2"
    python make_t5_files.py

t5 is as T5 1.0 (ReLU, tied output, pytorch_model.bin), t5_gated as T5 1.1 (gated GELU, an output of its own,
model.safetensors, rows beyond the tokenizer's symbols). Small models with random weights (seeds 4 and 5), trained for
a moment so that what they write has an end. The expected values are transformers': token ids, logits, greedy outputs.
"""
import json
from pathlib import Path

import sentencepiece
import torch
from transformers import T5Config, T5ForConditionalGeneration, T5Tokenizer

HERE = Path(__file__).parent
PAIRS = [
    ("Der Kapitän sah auf das Meer und sagte nichts.", "The captain looked at the sea and said nothing."),
    ("Ein kleines Boot kam am Morgen; seine Segel waren rot.", "A small boat came in the morning; its sails were red."),
    ("Niemand wusste, woher der alte Mann gekommen war.", "Nobody knew where the old man had come from."),
    ("Im Jahr 2021 zählten wir 365 Tage und 12 Monate.", "In 2021 we counted 365 days and 12 months."),
    ("Das Café an der Ecke verkauft Zeichnungen.", "The café at the corner sells drawings."),
]
SOURCES = ["Der Kapitän sah das Meer.", "Im Jahr 2021, 365 Tage — 🙂 naïve", "Niemand kam nach Hause und sagte nichts",
           "Ein", "  zwei  Wege, und <extra_id_0> der <extra_id_1>. Und<extra_id_0>", "<extra_id_2>"]


def seed_weights(model, seed, scale):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            noise = torch.randn(parameter.shape, generator=generator) * scale
            parameter.copy_(1 + noise if "layer_norm" in name else noise)


def tokenizer_of(folder, extra_ids):
    (folder / "text").write_text("\n".join(line for pair in PAIRS for line in pair) + "\n")
    sentencepiece.SentencePieceTrainer.train(input=str(folder / "text"), model_prefix=str(folder / "spiece"),
                                             vocab_size=120, character_coverage=1.0, hard_vocab_limit=False,
                                             normalization_rule_name="identity",
                                             pad_id=0, eos_id=1, unk_id=2, bos_id=-1)
    for name in ("text", "spiece.vocab"):
        (folder / name).unlink()
    return T5Tokenizer(str(folder / "spiece.model"), extra_ids=extra_ids, legacy=True)


def t5(name, extra_ids, spare_rows, seed, settings, safe):
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    tokenizer = tokenizer_of(folder, extra_ids)
    config = T5Config(vocab_size=len(tokenizer) + spare_rows, decoder_start_token_id=0, **settings)
    model = T5ForConditionalGeneration(config).eval()
    seed_weights(model, seed, 0.2)
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    batch = tokenizer([source for source, _ in PAIRS], text_target=[target for _, target in PAIRS], padding=True,
                      return_tensors="pt")
    batch["labels"][batch["labels"] == 0] = -100
    for _ in range(150):
        loss = model(**batch).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(name, "loss", loss.item(), "parameters", sum(p.numel() for p in model.parameters()))
    model.save_pretrained(folder, safe_serialization=safe)
    (folder / "generation_config.json").unlink()
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "T5Tokenizer", "extra_ids": extra_ids}))
    expected = []
    for line in SOURCES:
        ids = tokenizer(line)["input_ids"]
        with torch.no_grad():
            greedy = model.generate(torch.tensor([ids]), num_beams=1, do_sample=False, max_length=64,
                                    bad_words_ids=[[0]])[0]
            logits = model(input_ids=torch.tensor([ids]), decoder_input_ids=greedy[None, :-1]).logits[0]
        expected.append({"text": line, "ids": ids, "greedy": greedy.tolist(),
                         "logits": [[round(v, 6) for v in row] for row in logits[:4].tolist() + logits[-2:].tolist()],
                         "places": list(range(min(4, len(logits)))) + [max(0, len(logits) - 2), len(logits) - 1],
                         "translation": tokenizer.decode(greedy, skip_special_tokens=True,
                                                         clean_up_tokenization_spaces=False)})
    for entry in expected:  # a short output has its last places twice
        entry["logits"] = entry["logits"][-len(entry["places"]):]
    (folder / "expected.json").write_text(json.dumps(expected, ensure_ascii=False, indent=0))


SIZES = dict(d_model=24, d_ff=40, num_layers=2, num_heads=3, dropout_rate=0.1)
t5("t5", 4, 0, 4, dict(SIZES, d_kv=5, num_decoder_layers=3, feed_forward_proj="relu", n_positions=72,
                       relative_attention_num_buckets=12, relative_attention_max_distance=20), False)
t5("t5_gated", 3, 3, 5, dict(SIZES, d_kv=8, feed_forward_proj="gated-gelu", tie_word_embeddings=False), True)
