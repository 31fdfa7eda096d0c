"""Tokenizers against Hugging Face's `tokenizers` on random texts: ids, offsets, and decoded text of ids in any order."""

import argparse
import json
import random
import subprocess
import sys
from pathlib import Path

from checks import Report

try:
    from tokenizers import Tokenizer
except ImportError:
    print("tokenizers is not installed")
    sys.exit(77)

RANGES = [(0x20, 0x7E), (0x20, 0x7E), (0xA0, 0x24F), (0x300, 0x36F), (0x370, 0x5FF), (0x600, 0x6FF), (0x900, 0x97F), (0xE00, 0xE7F),
          (0x1100, 0x11FF), (0x2000, 0x206F), (0x2190, 0x22FF), (0x3040, 0x30FF), (0x4E00, 0x4FFF), (0xAC00, 0xAD00), (0xFF00, 0xFFEF),
          (0x1F300, 0x1F64F)]
WORDS = ["the", "Hello", "don't", "I'LL", "naïve", "x+=1", "  ", "\n", "\n\n", "\t", " ", "12345", "3.14", "http://a.b/c?d=e", "你好", "👩‍👩‍👧",
         "ﬁ", "Å", "é", "_", "...", "—", "\r\n", " ", "﻿", "\u200d", "A" * 40, "def f(x):", "<|im_start|>", "</s>", "▁", "Ġ"]


def random_text(choose, special):
    parts = []
    for _ in range(choose.randint(0, 12)):
        kind = choose.random()
        if kind < 0.45:
            parts.append(choose.choice(WORDS) + choose.choice(["", " "]))
        elif kind < 0.55 and special:
            parts.append(choose.choice(special))
        else:
            low, high = choose.choice(RANGES)
            parts.append("".join(chr(choose.randint(low, high)) for _ in range(choose.randint(1, 8))))
    return "".join(parts)


def lines_of(command, lines):
    text = "".join(json.dumps(line) + "\n" for line in lines)
    result = subprocess.run(command, input=text, capture_output=True, text=True, encoding="utf-8", check=False)
    answers = [json.loads(line) for line in result.stdout.split("\n") if line]
    assert len(answers) == len(lines), result.stderr[-2000:]
    return answers


def check_encoding(nibble, directory, rival, texts):
    answers = lines_of([nibble, "tokenize", directory, "--jsonl"], [{"text": text} for text in texts])
    wrong = []
    for text, answer in zip(texts, answers):
        expected = rival.encode(text)
        if answer.get("ids") != expected.ids or [tuple(o) for o in answer["offsets"]] != expected.offsets:
            wrong.append(text)
    return wrong


def check_decoding(nibble, directory, rival, sequences):
    answers = lines_of([nibble, "detokenize", directory, "--jsonl"], [{"ids": ids} for ids in sequences])
    return [ids for ids, answer in zip(sequences, answers) if answer.get("text") != rival.decode(ids)]


def cleans_up(directory):
    """What transformers does beyond `tokenizers`."""
    config = json.loads((directory / "tokenizer_config.json").read_text())
    return config.get("clean_up_tokenization_spaces") or config.get("tokenizer_class", "").startswith(("CLIP", "Whisper"))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directories", nargs="+", type=Path)
    parser.add_argument("--nibble", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=1500, help="texts per tokenizer")
    args = parser.parse_args()
    report = Report(f"random texts, seed {args.seed}")
    for directory in args.directories:
        if not (directory / "tokenizer.json").exists():
            continue
        choose = random.Random(args.seed)
        rival = Tokenizer.from_file(str(directory / "tokenizer.json"))
        rival.no_truncation()
        rival.no_padding()
        special = [token.content for token in rival.get_added_tokens_decoder().values()]
        texts = [random_text(choose, special) for _ in range(args.count)]
        wrong = check_encoding(args.nibble, directory, rival, texts)
        report.line(not wrong, f"{directory.name}: encoding of {len(texts)} texts, {len(wrong)} differ: {[ascii(t) for t in wrong[:2]]}")
        if cleans_up(directory):
            continue
        size = rival.get_vocab_size()
        sequences = [[choose.randrange(size) for _ in range(choose.randint(0, 12))] for _ in range(args.count)]
        wrong = check_decoding(args.nibble, directory, rival, sequences)
        report.line(not wrong, f"{directory.name}: decoding of {len(sequences)} sequences, {len(wrong)} differ: {wrong[:2]}")
    report.finish()


if __name__ == "__main__":
    main()
