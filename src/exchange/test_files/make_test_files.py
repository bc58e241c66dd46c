"""Makes the checkpoints of this folder and what transformers computes with them.

    pip install transformers==4.46.3 tokenizers safetensors sentencepiece torch "numpy<2"
    python make_test_files.py

Small models with random weights (seed 1), tokenizers trained on the few sentences below. The expected values
are transformers': token ids, logits, greedy outputs.
"""
import json
from collections import OrderedDict
from pathlib import Path

import sentencepiece
import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import (GPT2Config, GPT2LMHeadModel, GPT2Tokenizer, MarianConfig, MarianMTModel,
                          MarianTokenizer)

HERE = Path(__file__).parent
TEXT = """The captain looked at the sea and said nothing.
It's a long way home, they've told us, and we'll see 1984 again.
A small boat came in the morning; its sails were red, and its crew was tired.
Nobody knew where the old man had come from, or why he stayed.
In 2021 we counted 365 days, 52 weeks and 12 months.
The café at the corner sells naïve drawings and crème brûlée.
She'd rather read than write, but she can't find her glasses.
"""
GERMAN = """Der Kapitän sah auf das Meer und sagte nichts.
Es ist ein langer Weg nach Hause, und wir werden es wiedersehen.
Ein kleines Boot kam am Morgen; seine Segel waren rot.
Niemand wusste, woher der alte Mann gekommen war.
Im Jahr 2021 zählten wir 365 Tage, 52 Wochen und 12 Monate.
Das Café an der Ecke verkauft Zeichnungen.
"""
LINES = [
    "The captain said: it's 1984, they'll see us.",
    "  two spaces,   three   and a tab\tat the end  ",
    "Über naïve cafés — 東京 2024 ½ ²",
    "emoji 🙂👩‍👩‍👧 and 'quotes' we've",
    "line one\nline two\n\n\nline five \n",
    "x",
    "\u00a0no-break\u3000wide 'S 'll ... !!!??",
]
SOURCES = ["Der Kapitän sah das Meer.", "Im Jahr 2021, 365 Tage — 🙂 naïve", "Niemand kam nach Hause und sagte nichts",
           "Ein", "Das ½ Café ﬁndet ² Wege…"]


def seed_weights(model, seed, scale):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            if "embed_positions" in name:
                continue
            noise = torch.randn(parameter.shape, generator=generator) * scale
            norm = parameter.dim() == 1 and ("ln_" in name or "norm" in name) and name.endswith("weight")
            parameter.copy_(1 + noise if norm else noise)


def gpt2():
    folder = HERE / "gpt2"
    folder.mkdir(exist_ok=True)
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(TEXT.splitlines(), vocab_size=400, min_frequency=1, special_tokens=[])
    tokenizer.save_model(str(folder))
    vocabulary = json.loads((folder / "vocab.json").read_text())
    vocabulary["<|endoftext|>"] = len(vocabulary)
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False))
    end = vocabulary["<|endoftext|>"]
    config = GPT2Config(vocab_size=len(vocabulary), n_positions=48, n_embd=32, n_layer=2, n_head=4,
                        bos_token_id=end, eos_token_id=end)
    model = GPT2LMHeadModel(config).eval()
    seed_weights(model, 1, 0.15)
    model.save_pretrained(folder, safe_serialization=True)
    tokenizer = GPT2Tokenizer.from_pretrained(folder)
    expected = []
    for line in LINES:
        ids = tokenizer(line)["input_ids"]
        read = torch.tensor([[end] + ids[:20]])
        with torch.no_grad():
            logits = model(read).logits[0]
            greedy = model.generate(read, do_sample=False, attention_mask=torch.ones_like(read), max_length=min(47, read.shape[1] + 12), pad_token_id=end)
        expected.append({"text": line, "ids": ids, "decoded": tokenizer.decode(ids, clean_up_tokenization_spaces=False),
                         "read": read[0].tolist(), "logits": [[round(v, 6) for v in row] for row in logits[-3:].tolist()],
                         "log_probabilities_of_ids": torch.log_softmax(logits, -1)[range(read.shape[1] - 1), read[0, 1:]].tolist(),
                         "greedy": greedy[0].tolist()})
    (folder / "expected.json").write_text(json.dumps(expected, ensure_ascii=False, indent=0))


def marian():
    folder = HERE / "marian"
    folder.mkdir(exist_ok=True)
    for name, text, size in (("source", GERMAN, 110), ("target", TEXT, 120)):
        (folder / "text").write_text(text)
        sentencepiece.SentencePieceTrainer.train(input=str(folder / "text"), model_prefix=str(folder / name),
                                                 vocab_size=size, character_coverage=1.0, hard_vocab_limit=False,
                                                 normalization_rule_name="identity")
        (folder / f"{name}.model").rename(folder / f"{name}.spm")
        (folder / f"{name}.vocab").unlink()
    (folder / "text").unlink()
    # As marian-vocab makes it: end, unknown, then the pieces that texts have, and transformers' padding last.
    # A few pieces are left out, as in the published models.
    pieces = []
    for name in ("source", "target"):
        processor = sentencepiece.SentencePieceProcessor(model_file=str(folder / f"{name}.spm"))
        pieces += [processor.id_to_piece(i) for i in range(3, processor.get_piece_size())]
    left_out = {"und", "\u2581M", "ö", "z"}
    pieces = sorted(set(pieces) - left_out, key=lambda piece: (len(piece) * 7919 % 5, piece))
    vocabulary = {"</s>": 0, "<unk>": 1}
    for piece in pieces:
        vocabulary[piece] = len(vocabulary)
    vocabulary["<pad>"] = len(vocabulary)
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False))
    pad = vocabulary["<pad>"]
    config = MarianConfig(vocab_size=len(vocabulary), d_model=24, encoder_layers=2, decoder_layers=2, encoder_ffn_dim=40,
                          decoder_ffn_dim=40, encoder_attention_heads=3, decoder_attention_heads=3,
                          max_position_embeddings=72, activation_function="swish", scale_embedding=True,
                          pad_token_id=pad, eos_token_id=0, bos_token_id=0, decoder_start_token_id=pad,
                          forced_eos_token_id=0, static_position_embeddings=True, normalize_before=False,
                          normalize_embedding=False, add_final_layer_norm=False)
    model = MarianMTModel(config).eval()
    seed_weights(model, 2, 0.2)
    model.final_logits_bias.copy_(0.5 * torch.randn(model.final_logits_bias.shape, generator=torch.Generator().manual_seed(3)))
    tokenizer = MarianTokenizer(str(folder / "source.spm"), str(folder / "target.spm"), str(folder / "vocab.json"),
                                source_lang="de", target_lang="en")
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    batch = tokenizer(GERMAN.splitlines(), text_target=TEXT.splitlines()[:6], padding=True, return_tensors="pt")
    batch["labels"][batch["labels"] == pad] = -100
    for _ in range(150):  # a little, so that what it translates has some sense and an end
        loss = model(**batch).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print("loss", loss.item())
    model.save_pretrained(folder, safe_serialization=False)
    (folder / "tokenizer_config.json").write_text(json.dumps({"source_lang": "de", "target_lang": "en"}))
    expected = []
    for line in SOURCES:
        ids = tokenizer(line)["input_ids"]
        with torch.no_grad():
            greedy = model.generate(torch.tensor([ids]), num_beams=1, do_sample=False, max_length=64,
                                    bad_words_ids=[[pad]], forced_eos_token_id=None)[0]
            logits = model(input_ids=torch.tensor([ids]), decoder_input_ids=greedy[None, :-1]).logits[0]
        expected.append({"text": line, "ids": ids, "greedy": greedy.tolist(),
                         "logits": [[round(v, 6) for v in row] for row in logits[:6].tolist()],
                         "translation": tokenizer.decode(greedy, skip_special_tokens=True)})
    (folder / "expected.json").write_text(json.dumps(expected, ensure_ascii=False, indent=0))


class Evil:
    def __reduce__(self):
        return print, ("run by a pickle",)


def pickles():
    folder = HERE / "pickles"
    folder.mkdir(exist_ok=True)
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    half = torch.tensor([1.5, -2.25, 65504.0]).half()
    table = OrderedDict(plain=base, transposed=base.t(), part=base[1:3, ::2], shared=base.view(-1)[5:7], half=half,
                        brain=torch.tensor([1.5, -3.0]).bfloat16(), wide=torch.tensor([0.1, 2.0], dtype=torch.float64),
                        whole=torch.tensor([[1, -2]]), scalar=torch.tensor(7.5), empty=torch.zeros(0, 3),
                        parameter=torch.nn.Parameter(torch.tensor([4.0, 5.0])))
    torch.save(table, folder / "table.bin")
    torch.save({"step": 3, "lr": 0.5, "names": ["a", ("b", True, None)], "model": {"w": base}}, folder / "nested.bin")
    torch.save({"w": base}, folder / "legacy.bin", _use_new_zipfile_serialization=False)
    torch.save({"w": base, "x": Evil()}, folder / "evil.bin")


gpt2()
marian()
pickles()
