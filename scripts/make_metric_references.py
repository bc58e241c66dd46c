#!/usr/bin/env python3
"""Makes the expected values of the tests in src/metric/ with the sacrebleu package.

For developers only: megin needs no Python, and its tests need only the files that this script wrote.

    python3 -m venv venv && venv/bin/pip install sacrebleu==2.6.0
    venv/bin/python scripts/make_metric_references.py --out src/metric/test_files
    venv/bin/python scripts/make_metric_references.py --out src/metric/test_files \\
        --data DATA --multi-bleu PATH/multi-bleu.perl

The first call makes the set of own text and its scores, the second the scores of real corpora. DATA is a folder with
multi30k/ and multilingual/ (files as in CORPORA below); none of its text is written, only scores. multi-bleu.perl is
Moses's script, of scripts/generic/.
"""

import argparse
import gzip
import json
import pathlib
import platform
import random
import subprocess
import tempfile

import numpy
import sacrebleu
from sacrebleu.metrics import BLEU, CHRF, TER
from sacrebleu.significance import PairedTest

# ---------------------------------------------------------------- metrics

CONFIGURATIONS = [
    {"metric": "bleu"},
    {"metric": "bleu", "lowercase": True},
    {"metric": "bleu", "tokenize": "none", "smooth": "none"},
    {"metric": "bleu", "tokenize": "none", "smooth": "floor"},
    {"metric": "bleu", "tokenize": "intl", "smooth": "floor", "smooth_value": 0.01},
    {"metric": "bleu", "tokenize": "intl", "lowercase": True},
    {"metric": "bleu", "tokenize": "char", "smooth": "add-k"},
    {"metric": "bleu", "tokenize": "char", "smooth": "add-k", "smooth_value": 0.5, "lowercase": True},
    {"metric": "bleu", "effective_order": True},
    {"metric": "chrf"},
    {"metric": "chrf", "lowercase": True},
    {"metric": "chrf++"},
    {"metric": "chrf++", "lowercase": True},
    {"metric": "ter"},
]


def make_metric(configuration):
    name, lowercase = configuration["metric"], configuration.get("lowercase", False)
    if name == "bleu":
        return BLEU(lowercase=lowercase, force=True, tokenize=configuration.get("tokenize", "13a"),
                    smooth_method=configuration.get("smooth", "exp"),
                    smooth_value=configuration.get("smooth_value"),
                    effective_order=configuration.get("effective_order", False))
    if name == "ter":
        return TER()
    return CHRF(word_order=2 if name == "chrf++" else 0, lowercase=lowercase)


# For the corpora of the data folder; sacreBLEU takes its time.
FEWER_CONFIGURATIONS = [
    {"metric": "bleu"},
    {"metric": "bleu", "tokenize": "none", "smooth": "none"},
    {"metric": "bleu", "tokenize": "intl", "lowercase": True},
    {"metric": "bleu", "tokenize": "char"},
    {"metric": "chrf"},
    {"metric": "chrf++"},
    {"metric": "ter"},
]


def scored(hypotheses, references, configurations=CONFIGURATIONS, sentences=False):
    """One entry for each configuration. `references` has a list for each segment; lists may differ in length."""
    most = max(len(r) for r in references)
    streams = [[r[k] if k < len(r) else None for r in references] for k in range(most)]
    entries = []
    for configuration in configurations:
        metric = make_metric(configuration)
        score = metric.corpus_score(hypotheses, streams)
        entry = dict(configuration, score=score.score,
                     line=score.format(width=4, signature=str(metric.get_signature())))
        if sentences:
            statistics = metric._extract_corpus_statistics(hypotheses, streams)
            entry["sentences"] = [round(metric._aggregate_and_compute([s]).score, 6) for s in statistics]
        entries.append(entry)
    return entries


# ---------------------------------------------------------------- own text

SENTENCES = """
Dr. Smith's dog (a 3-year-old beagle) weighs 12.5 kg, i.e. more than 1,000 peas!
"Well," she said, "that's e.g. 50% off -- isn't it?" No: it's $9.99/kg...
Please e-mail jane.doe@example.org or see https://example.org/a_b?c=d&e=f#top [ref. 7].
The U.S. team won 3-0 on 2021-04-30 at 10:15 a.m., didn't they?
AT&amp;T &lt;b&gt;bold&lt;/b&gt; said &quot;no&quot; &amp;amp; left <skipped> again.
One two three four five six seven eight nine ten eleven twelve.
Die Straße führt über die Brücke; Äpfel, Öl und Übermut kosten 1.234,56 €.
« Où est-ce que c’est ? » demanda-t-elle à l’élève, près de l’hôtel n° 5.
¿Cuántos años tiene José? ¡Más de 20! Ñandú y pingüino.
Příliš žluťoučký kůň úpěl ďábelské ódy – alespoň 3× denně.
İstanbul'da ılık bir IRMAK var; IŞIK ve ışık aynı değil.
Ο ΣΟΦΟΣ ΟΔΥΣΣΕΥΣ είπε: «Άντε!» και έφυγε στις 8.30 π.μ.
Съешь ещё этих мягких французских булок, да выпей чаю; №7.
הכלב רץ מהר מאוד, אבל החתול – לא. "באמת?"
القطة نامت على السرير، أليس كذلك؟ نعم؛ ٣٫٥ ساعات.
यह किताब ₹२५० की है। क्या आप इसे पढ़ेंगे?
આ પુસ્તક સારું છે, પણ મોંઘું છે.
Tôi không biết tại sao trời lại mưa nhiều đến thế vào tháng 7.
这只猫坐在垫子上。“真的吗?”他问:价格是3.5元!
猫はマットの上に座った。「本当?」と彼は聞いた・・・
고양이가 매트 위에 앉았다. "정말이에요?"라고 물었다.
แมวนั่งอยู่บนเสื่อ และหลับไป ๓ ชั่วโมง
I ❤️ you 😀👍🏽! Family: 👨‍👩‍👧‍👦, flag: 🇩🇪; maths: ∑x² ≤ ½·√2 ± 3°C.
Cafe\u0301 nai\u0308ve re\u0301sume\u0301 versus café naïve résumé; ﬁne ﬂow.
tabs\tand\u00a0no-break\u2009thin\u3000wide\u200bzero\ufeffmark spaces
... --- ,,, !!! ??? ((( ))) [[ ]] {{ }} // \\\\ || ~~ `` ^^ ** ++ == <<>>
1 2 3 4 5 6 7 8 9 10 11. 12, 13- 14: 1.000.000,00 -5 +5 5% #5 5th 5. 5, ,5 .5
a a a a a b b b a a a a b a b a b a b a
""".strip("\n").split("\n")

FRAGMENTS = ["&quot;", "&amp;", "&lt;", "<skipped>", "1.5", "1,000", "3-4", "-", "...", "U.S.", "don't", "(hi)", "\"",
             "Σ", "ΑΣ", "İ", "ß", "😀", "中", "。", "\u0301", "\u00a0", "\u3000", "\u200b", "$", "€", "½", "x.", ".x",
             "٣٫٥", "।", "’", "–"]


def edited(rng, sentence, edits):
    words = sentence.split(" ")
    for _ in range(edits):
        if not words:
            break
        k, kind = rng.randrange(len(words)), rng.randrange(7)
        if kind == 0:
            del words[k]
        elif kind == 1:
            words.insert(k, words[rng.randrange(len(words))])
        elif kind == 2:
            words[k] = rng.choice(FRAGMENTS)
        elif kind == 3:
            words[k] += rng.choice(FRAGMENTS)
        elif kind == 4:
            words[k] = words[k].upper() if rng.random() < 0.5 else words[k].lower()
        else:
            end = min(len(words), k + rng.randint(1, 5))
            block, words = words[k:end], words[:k] + words[end:]
            at = rng.randint(0, len(words))
            words[at:at] = block
    return " ".join(words)


def random_text(rng):
    ranges = [(0x20, 0x7E), (0x20, 0x7E), (0xA0, 0x17F), (0x370, 0x3FF), (0x400, 0x4FF), (0x590, 0x6FF), (0x900, 0xAFF),
              (0x2000, 0x206F), (0x20A0, 0x22FF), (0x3000, 0x30FF), (0x4E00, 0x4E7F), (0xFF00, 0xFFEF), (0x1F600, 0x1F64F)]
    characters = []
    for _ in range(rng.randint(0, 60)):
        low, high = rng.choice(ranges)
        characters.append(" " if rng.random() < 0.2 else chr(rng.randint(low, high)))
    return "".join(characters)


def own_segments():
    """Hypotheses of two systems and one to three references for each; some of everything empty."""
    rng = random.Random(20)
    segments = []
    for i in range(320):
        base = random_text(rng) if i % 4 == 3 else rng.choice(SENTENCES)
        if i % 10 == 7:
            base += " " + rng.choice(SENTENCES) + " " + rng.choice(SENTENCES)
        references = [base] + [edited(rng, base, rng.randint(1, 6)) for _ in range(rng.choice([0, 0, 1, 2]))]
        segments.append({"hypothesis": edited(rng, base, rng.randint(0, 6)),
                         "other": edited(rng, base, rng.randint(0, 6)), "references": references})
    for i, (hypothesis, reference) in enumerate([("", "not empty"), ("not empty", ""), ("", ""), (" \t\u3000", " "),
                                                 ("x", "x"), ("a b", "a b"), ("a b c", "a b c")]):
        segments[40 * i].update(hypothesis=hypothesis, references=[reference])
    return segments


def own_expected(segments):
    hypotheses = [s["hypothesis"] for s in segments]
    return {"first reference": scored(hypotheses, [s["references"][:1] for s in segments]),
            "all references": scored(hypotheses, [s["references"] for s in segments], sentences=True),
            "first reference twice": scored(hypotheses, [s["references"][:1] * 2 for s in segments])}


# ---------------------------------------------------------------- the paired bootstrap

def paired(segments, samples):
    baseline = [s["hypothesis"] for s in segments]
    system = [s["other"] for s in segments]
    references = [[s["references"][0] for s in segments]]
    entries = []
    for configuration in [{"metric": "bleu"}, {"metric": "chrf"}, {"metric": "chrf++"}, {"metric": "ter"}]:
        test = PairedTest([("a", baseline), ("b", system)], {"metric": make_metric(configuration)}, references,
                          test_type="bs", n_samples=samples)
        signatures, scores = test()
        name = next(iter(signatures))
        first, second = scores[name]
        entries.append(dict(configuration, samples=samples, signature=str(signatures[name]), p_value=second.p_value,
                            baseline=[float(x) for x in (first.score, first.mean, first.ci)],
                            system=[float(x) for x in (second.score, second.mean, second.ci)]))
    return entries


def paired_expected(segments):
    few, samples = segments[:40], 100
    draws = numpy.random.default_rng(12345).choice(len(few), size=(samples, len(few)), replace=True)
    return {"few": {"draws": draws.tolist(), "tests": paired(few, samples)}, "all": {"tests": paired(segments, 1000)}}


# ---------------------------------------------------------------- corpora of the data folder

TWO_SETS = ["test", "valid"]
CORPORA = (
    [(f"multi30k {x}", [f"multi30k/val.{x}", f"multi30k/test_2016_flickr.{x}"]) for x in ("de", "fr")]
    + [(f"multilingual {x}", [f"multilingual/{x}-en/{s}.{x}.gz" for s in TWO_SETS])
       for x in ("cs", "hi", "tr", "vi")])


def read_lines(path):
    data = gzip.open(path).read() if path.suffix == ".gz" else path.read_bytes()
    return data.decode("utf-8").split("\n")[:-1]


def hypothesis_of(lines, i):
    """A hypothesis for line i, by a rule that src/metric/sacrebleu_test.cpp repeats."""
    words = lines[i].split(" ")
    other = lines[(i + 1) % len(lines)].split(" ")
    kind = i % 8
    if kind == 1:
        words = [w for j, w in enumerate(words) if j % 5 != 3]
    elif kind == 2:
        for j in range(0, len(words) - 1, 4):
            words[j], words[j + 1] = words[j + 1], words[j]
    elif kind == 3:
        words = [w for j, w in enumerate(words) for _ in range(2 if j % 6 == 2 else 1)]
    elif kind == 4:
        cut = len(words) - len(words) // 3
        words = words[cut:] + words[:cut]
    elif kind == 5:
        words = ["".join(c.upper() if "a" <= c <= "z" else c for c in w) if j % 2 == 0 else w
                 for j, w in enumerate(words)]
    elif kind == 6:
        words = [other[j % len(other)] if j % 3 == 1 else w for j, w in enumerate(words)]
    elif kind == 7:
        words = other
    return " ".join(words)


def second_reference_of(lines, i):
    words = [w for j, w in enumerate(lines[i].split(" ")) if j % 7 != 5]
    half = len(words) // 2
    return " ".join(words[half:] + words[:half])


def multi_bleu(script, hypotheses, references):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "reference"
        path.write_text("".join(line + "\n" for line in references), encoding="utf-8")
        text = "".join(line + "\n" for line in hypotheses).encode("utf-8")
        return subprocess.run(["perl", script, str(path)], input=text, capture_output=True, check=True).stdout.decode()


def corpora_expected(data, script):
    corpora = []
    for name, files in CORPORA:
        lines = [line for file in files for line in read_lines(data / file)]
        hypotheses = [hypothesis_of(lines, i) for i in range(len(lines))]
        corpus = {"name": name, "files": files, "lines": len(lines),
                  "one reference": scored(hypotheses, [[line] for line in lines], FEWER_CONFIGURATIONS)}
        if name == "multi30k de":
            two = [[line, second_reference_of(lines, i)] for i, line in enumerate(lines)]
            corpus["two references"] = scored(hypotheses, two, FEWER_CONFIGURATIONS)
        # Perl's split knows ASCII's white space only.
        if script and all(line.split() == [w.decode() for w in line.encode().split()] for line in lines):
            corpus["multi-bleu.perl"] = multi_bleu(script, hypotheses, lines).strip()
        corpora.append(corpus)
        print(name, len(lines), flush=True)
    return {"corpora": corpora}


def write(path, value):
    header = {"made by": "scripts/make_metric_references.py", "sacrebleu": sacrebleu.__version__,
              "python": platform.python_version()}
    path.write_text(json.dumps(dict(header, **value), indent=0) + "\n", encoding="ascii")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--data", type=pathlib.Path)
    parser.add_argument("--multi-bleu")
    arguments = parser.parse_args()
    if arguments.data:
        write(arguments.out / "corpora_expected.json", corpora_expected(arguments.data, arguments.multi_bleu))
        return
    segments = own_segments()
    write(arguments.out / "segments.json", {"segments": segments})
    write(arguments.out / "segments_expected.json", own_expected(segments))
    write(arguments.out / "paired_expected.json", paired_expected(segments))


if __name__ == "__main__":
    main()
