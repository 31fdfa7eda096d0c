"""Tokenizers: Nibble beside Hugging Face `tokenizers`, on one thread and on all, on the same files and texts in the same run.

Makes (once, in --work) 10 MB of mixed text from the sources and documents on this machine and the multilingual cases of the tests, trains a
byte-level BPE of 128,000 tokens, a Unigram and a WordPiece model on it, and times: loading tokenizer.json, encoding the text on one
thread, encoding it on all threads, decoding it.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"
import tokenizers
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

ROOT = Path(__file__).resolve().parents[2]
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def multilingual_lines():
    for file in sorted((ROOT / "tests/data/tokenizer").glob("*/cases.jsonl")):
        for line in file.read_text(encoding="utf-8").rstrip("\n").split("\n"):
            text = json.loads(line).get("text", "")
            if not text.isascii():
                yield text


def source_files():
    library = Path(sysconfig.get_paths()["stdlib"])
    packages = Path(sysconfig.get_paths()["purelib"])
    return sorted([*library.rglob("*.py"), *packages.rglob("*.py"), *packages.rglob("*.md"), *packages.rglob("*.txt"), *(ROOT / "docs").rglob("*.md")])


def make_texts(size):
    """Documents of some kilobytes: sources and prose of this machine, with a line of other languages now and then."""
    choose, other = random.Random(1), list(multilingual_lines())
    documents, total = [], 0
    files = source_files()
    choose.shuffle(files)
    for file in files:
        try:
            lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        except (OSError, UnicodeDecodeError):
            continue
        mixed = "".join(line + (choose.choice(other) + "\n" if choose.random() < 0.1 else "") for line in lines)
        for begin in range(0, len(mixed), 8000):
            documents.append(mixed[begin : begin + 8000])
            total += len(documents[-1].encode())
        if total > size:
            break
    return documents


def byte_level_bpe(documents, size):
    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(LLAMA3), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(documents, trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False))
    return tokenizer


def unigram(documents, size):
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.train_from_iterator(documents[:400], trainers.UnigramTrainer(vocab_size=size, unk_token="<unk>", special_tokens=["<unk>"], show_progress=False))
    return tokenizer


def word_piece(documents, size):
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.train_from_iterator(documents, trainers.WordPieceTrainer(vocab_size=size, special_tokens=["[UNK]"], show_progress=False))
    return tokenizer


MODELS = {"byte-level BPE": (byte_level_bpe, 128_000), "Unigram": (unigram, 32_000), "WordPiece": (word_piece, 30_000)}


def prepare(work):
    work.mkdir(parents=True, exist_ok=True)
    texts = work / "texts.jsonl"
    if not texts.exists():
        # Twice as much to train on as to encode, so that the vocabulary has not seen all of the text.
        documents = make_texts(30_000_000)
        texts.write_text("".join(json.dumps(d) + "\n" for d in documents), encoding="utf-8")
    documents = [json.loads(line) for line in texts.read_text(encoding="utf-8").splitlines()]
    for name, (train, size) in MODELS.items():
        file = work / name.replace(" ", "-") / "tokenizer.json"
        if not file.exists():
            print(f"training {name}", file=sys.stderr)
            file.parent.mkdir(exist_ok=True)
            train(documents[len(documents) // 3 :], size).save(str(file))
    sample, total = [], 0
    for document in documents:
        sample.append(document)
        total += len(document.encode())
        if total >= 10_000_000:
            break
    (work / "sample.jsonl").write_text("".join(json.dumps(d) + "\n" for d in sample), encoding="utf-8")
    return sample


def seconds(run):
    start = time.perf_counter()
    result = run()
    return time.perf_counter() - start, result


def measure_rival(directory, texts):
    load, tokenizer = seconds(lambda: Tokenizer.from_file(str(directory / "tokenizer.json")))
    # The library's own call for one text, again and again: nothing in Python but the loop over documents of 8000 characters.
    encode, ids = seconds(lambda: [tokenizer.encode(text).ids for text in texts])
    decode, _ = seconds(lambda: [tokenizer.decode(i) for i in ids])
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    batch, _ = seconds(lambda: tokenizer.encode_batch(texts))
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    return {"load": load, "encode": encode, "batch": batch, "decode": decode}, ids


def measure_nibble(program, directory, sample):
    output = subprocess.run([program, str(directory), str(sample)], check=True, capture_output=True, text=True).stdout
    result = json.loads(output)
    return result["seconds"], result["ids_hash"]


def hash_of(ids):
    """FNV-1a over all ids, as the program does."""
    value = 0xCBF29CE484222325
    for text in ids:
        for token in text:
            value = ((value ^ token) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return value


def table(name, ours, theirs, megabytes):
    def middle(runs, key):
        return statistics.median(run[key] for run in runs)

    def spread(runs, key):
        values = [run[key] for run in runs]
        return 100 * (max(values) - min(values)) / middle(runs, key)

    for key in ("load", "encode", "batch", "decode"):
        a, b = middle(ours, key), middle(theirs, key)
        rate = f"{1000 * a:8.1f} ms  {1000 * b:8.1f} ms" if key == "load" else f"{megabytes / a:7.1f} MB/s {megabytes / b:7.1f} MB/s"
        print(f"| {name:14} | {key:6} | {rate} | {b / a:5.2f} x | {spread(ours, key):3.0f} % {spread(theirs, key):3.0f} % |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=ROOT / "build/bench/tokenizer")
    parser.add_argument("--program", default=str(ROOT / "build/release/bin/encode_texts"))
    parser.add_argument("-r", "--repetitions", type=int, default=5)
    options = parser.parse_args()
    texts = prepare(options.work)
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    print(f"{megabytes:.1f} MB in {len(texts)} documents; tokenizers {tokenizers.__version__}; {os.cpu_count()} processors")
    print("| model          | what   | Nibble    tokenizers | ratio | spread |\n|---|---|---|---|---|")
    for name in MODELS:
        directory, ours, theirs = options.work / name.replace(" ", "-"), [], []
        for _ in range(options.repetitions):
            times, found = measure_nibble(options.program, directory, options.work / "sample.jsonl")
            ours.append(times)
            times, ids = measure_rival(directory, texts)
            theirs.append(times)
            if found != str(hash_of(ids)):
                sys.exit(f"{name}: the ids differ")
        table(name, ours, theirs, megabytes)


main()
