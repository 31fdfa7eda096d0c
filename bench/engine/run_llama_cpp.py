"""One process of llama.cpp: loads a GGUF file, times a prompt and decoding, prints one JSON object."""

import argparse
import json
import time
from pathlib import Path

import llama_cpp
import numpy as np


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--depth", type=int, default=16)
    parser.add_argument("--new-tokens", type=int, default=64)
    parser.add_argument("--vocab", type=int, required=True)
    parser.add_argument("--flash-attention", action="store_true")
    return parser.parse_args()


def load(args):
    tokens = max(args.prompt, args.depth + args.new_tokens) + 1
    return llama_cpp.Llama(str(args.model), n_ctx=tokens, n_batch=args.prompt, n_ubatch=512, n_threads=args.threads,
                           n_threads_batch=args.threads, flash_attn=args.flash_attention, verbose=False)


def seconds(model, batches):
    """To evaluate lists of tokens one after the other, from wherever the context is."""
    start = time.monotonic()
    for tokens in batches:
        model.eval(tokens)
    llama_cpp.llama_synchronize(model._ctx.ctx)
    return time.monotonic() - start


def prefill_seconds(model, ids):
    model.reset()
    return seconds(model, [ids])


def decode_seconds(model, ids, new_tokens):
    model.reset()
    model.eval(ids)
    return seconds(model, [[int(token)] for token in range(3, 3 + new_tokens)])


def peak_mb():
    return next(int(line.split()[1]) * 1024 / 1e6 for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))


def main():
    args = arguments()
    ids = np.random.default_rng(0).integers(3, args.vocab, max(args.prompt, args.depth)).tolist()
    start = time.monotonic()
    model = load(args)
    load_seconds = time.monotonic() - start
    prefill_seconds(model, ids[:args.prompt])  # touches all weights and buffers
    prefill = args.prompt / prefill_seconds(model, ids[:args.prompt])
    decode = args.new_tokens / decode_seconds(model, ids[:args.depth], args.new_tokens)
    print(json.dumps({"load_s": load_seconds, "peak_mb": peak_mb(), "prefill": {args.prompt: prefill}, "decode": {args.depth: decode}}))


if __name__ == "__main__":
    main()
