"""One process of OpenVINO GenAI: loads an IR directory, times a prompt and decoding, prints one JSON object."""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import openvino as ov
import openvino_genai as genai


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--attention", choices=["PA", "SDPA"], required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--depth", type=int, default=16)
    parser.add_argument("--new-tokens", type=int, default=64)
    parser.add_argument("--vocab", type=int, required=True)
    return parser.parse_args()


def metrics(pipeline, rng, vocab, prompt_tokens, new_tokens):
    """Of a prompt of its own: a pipeline may keep the cache of a prompt that it has seen."""
    ids = rng.integers(3, vocab, (1, prompt_tokens), dtype=np.int64)
    prompt = genai.TokenizedInputs(ov.Tensor(ids), ov.Tensor(np.ones_like(ids)))
    config = genai.GenerationConfig(max_new_tokens=new_tokens, ignore_eos=True, do_sample=False, apply_chat_template=False)
    result = pipeline.generate(prompt, config).perf_metrics
    if result.get_num_generated_tokens() != new_tokens:
        raise RuntimeError(f"{result.get_num_generated_tokens()} tokens instead of {new_tokens}")
    return result


def peak_mb():
    return next(int(line.split()[1]) * 1024 / 1e6 for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))


def main():
    args = arguments()
    rng = np.random.default_rng(0)
    start = time.monotonic()
    pipeline = genai.LLMPipeline(args.model, "CPU", ATTENTION_BACKEND=args.attention, INFERENCE_NUM_THREADS=args.threads)
    load = time.monotonic() - start
    metrics(pipeline, rng, args.vocab, args.prompt, 2)  # compiles what depends on shapes
    prefill = metrics(pipeline, rng, args.vocab, args.prompt, 1)
    decode = metrics(pipeline, rng, args.vocab, args.depth, args.new_tokens + 1)
    print(json.dumps({"load_s": load, "peak_mb": peak_mb(), "prefill": {args.prompt: 1e3 * args.prompt / prefill.get_ttft().mean},
                      "decode": {args.depth: 1e3 / decode.get_tpot().mean}}))


if __name__ == "__main__":
    main()
