"""Writes truncations.jsonl into directories of reference cases: what transformers gives for texts that are cut and padded.

    python make_truncations.py DIRECTORY...    (needs transformers)
"""

import itertools
import json
import random
import sys
from pathlib import Path

from transformers import PreTrainedTokenizerFast

TEXTS = ["", "a", "Hello world", "The quick brown fox jumps over the lazy dog.", "naïve café 12345 — \U0001f642", "one two three four five six seven eight nine ten"]
STRATEGIES = ["longest_first", "only_first", "only_second"]


def encode(tokenizer, text, pair, length, strategy, side, special):
    tokenizer.truncation_side = side
    try:
        encoding = tokenizer(text, pair, truncation=strategy, max_length=length, add_special_tokens=special, return_token_type_ids=True)
    except BaseException as error:  # the tokenizers library panics where a text is too short to be cut
        return {"error": str(error)[:80]}
    return {"ids": encoding["input_ids"], "type_ids": encoding["token_type_ids"]}


def cases(tokenizer):
    choose = random.Random(1)
    combinations = list(itertools.product(TEXTS, [None, *TEXTS], [3, 5, 6, 9, 40], STRATEGIES, ["left", "right"], [True, False]))
    for text, pair, length, strategy, side, special in choose.sample(combinations, 160):
        if pair is None and strategy == "only_second":
            continue
        if special and length < tokenizer.num_special_tokens_to_add(pair is not None):
            continue
        case = {"text": text, "max_length": length, "strategy": strategy, "side": side, "add_special_tokens": special}
        yield case | ({} if pair is None else {"pair": pair}) | encode(tokenizer, text, pair, length, strategy, side, special)


def main():
    for directory in map(Path, sys.argv[1:]):
        tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(directory / "tokenizer.json"))
        with open(directory / "truncations.jsonl", "w", encoding="utf-8") as file:
            for case in cases(tokenizer):
                file.write(json.dumps(case, ensure_ascii=False) + "\n")


main()
