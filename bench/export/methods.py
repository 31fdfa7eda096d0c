"""Compression of OpenVINO IRs with data: nibble compress beside nncf.compress_weights, by time, memory and quality of the result.

Both read the same fp16 IR (an export by nibble) and the same samples of token ids, in turn and each in a process of its own, with
the IR dropped from the page cache before; a run ends when its result is on the disk. NNCF's times leave out the start of Python and
its imports, Nibble's are those of the whole process. Memory is sampled as measure.py does it: `anonymous` is what the processes
allocated. Then `nibble eval` measures both results against the fp16 IR, in f32. Each figure is a median over the runs.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import random_checkpoint
from measure import ROOT, WORK, median, run, warn_if_busy

NIB = ROOT / "models" / "nib"
SAMPLE_TEXT = ROOT / "src" / "calibrate" / "data" / "calibration.txt"
EVAL_TEXT = NIB / "eval" / "validation.txt"
EXACT = ["INFERENCE_PRECISION_HINT=f32", "KV_CACHE_PRECISION=f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE=0"]
SAMPLES = LENGTH = 128
RANDOM_CONFIG = {**random_checkpoint.CONFIG, "hidden_size": 1024, "intermediate_size": 2816, "num_attention_heads": 16,
                 "num_hidden_layers": 8}
METHODS = {
    "none": [],
    "AWQ": ["--awq"],
    "scale estimation": ["--scale-estimation"],
    "AWQ and scale estimation": ["--awq", "--scale-estimation"],
    "GPTQ": ["--gptq"],
    "GPTQ and scale estimation": ["--gptq", "--scale-estimation"],
    "LoRA correction": ["--lora-correction"],
    "ratio 0.6, hessian_input_activation": ["--ratio", "0.6", "--sensitivity-metric", "hessian_input_activation"],
}
AIMS = {"time": 1 / 3, "memory": 1 / 2, "KL": 1.02}


def nibble(args, *words, text=""):
    done = subprocess.run([args.nibble, *map(str, words)], input=text, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{done.stderr}\nfailed: nibble {' '.join(map(str, words))}")
    return done.stdout


@dataclass
class Model:
    name: str
    source: Path
    tokenizer: Path
    group_size: int
    eval_bytes: int | None = None  # of the text; None: all


def find_model(word, group_size):
    """`nib`, `random`, or a directory with a checkpoint and its tokenizer."""
    if word == "nib":
        return Model(word, NIB, NIB, group_size or 64)
    if word == "random":
        return Model(word, WORK / "random", NIB, group_size or 128, 16384)
    source = Path(word)
    return Model(source.resolve().name, source, source, group_size or 64)


def make_ir(args, model):
    """The fp16 IR of a model, made anew: the command may have changed since."""
    ir = WORK / f"{model.name}-fp16"
    if model.name == "random":
        random_checkpoint.make(model.source, config=RANDOM_CONFIG)
    shutil.rmtree(ir, ignore_errors=True)
    nibble(args, "export", model.source, ir, "--weight-format", "fp16")
    return ir


def make_samples(args, model):
    """Windows at even distances over the text that comes with Nibble."""
    ids = json.loads(nibble(args, "tokenize", model.tokenizer, "--no-special-tokens", "--json", text=SAMPLE_TEXT.read_text()))["ids"]
    starts = [(len(ids) - LENGTH) * number // (SAMPLES - 1) for number in range(SAMPLES)]
    path = WORK / f"{model.name}-samples.jsonl"
    path.write_text("".join(json.dumps({"ids": ids[start:start + LENGTH]}) + "\n" for start in starts))
    return path


def make_eval_text(model):
    path = WORK / f"{model.name}-eval.txt"
    path.write_bytes(EVAL_TEXT.read_bytes()[:model.eval_bytes])
    return path


def inputs(ir):
    return [ir / "openvino_model.xml", ir / "openvino_model.bin"]


def run_nibble(args, ir, out, options, samples):
    data = ["--dataset", samples, "--num-samples", SAMPLES, "--seqlen", LENGTH] if samples else []
    command = [args.nibble, "compress", ir, out, "--weight-format", "int4", "--sym", *options, *data]
    return run(command, out, out.with_suffix(".log"), inputs=inputs(ir))


def run_nncf(ir, out, options, samples):
    """What run() measures, with NNCF's own times in place of the process's; and the memory it had after its imports."""
    log = out.with_suffix(".log")
    command = [sys.executable, "-B", Path(__file__).with_name("nncf_compress.py"), *(folder / "openvino_model.xml" for folder in (ir, out)),
               *options, *(["--samples", samples] if samples else [])]
    whole = run(command, out, log, inputs=inputs(ir))
    took = json.loads(log.read_text().splitlines()[-1])
    return replace(whole, seconds=took["seconds"], cpu_seconds=took["cpu_seconds"]), took["loaded_mb"]


def quality(args, model, ir, out, text):
    """Perplexity and KL divergence of a result from the fp16 IR."""
    if not (out / "config.json").exists():
        shutil.copy(ir / "config.json", out)
    properties = [part for name in EXACT for part in ("--property", name)]
    found = json.loads(nibble(args, "eval", out, "--reference", ir, "--tokenizer", model.tokenizer, "--text", text, *properties, "--json"))
    return {"perplexity": found["perplexity"], "kl": found["mean_kl"]}


def compare(args, model, ir, options, samples, text):
    """Both in turn, as often as wanted: figures and quality of each."""
    outs, ours, theirs, loaded = [WORK / f"{ir.name}-by-{who}" for who in ("nibble", "nncf")], [], [], 0.0
    for _ in range(args.runs):
        ours.append(run_nibble(args, ir, outs[0], options, samples))
        result, loaded = run_nncf(ir, outs[1], options, samples)
        theirs.append(result)
    one, other = ({**asdict(median(runs)), **quality(args, model, ir, out, text)} for runs, out in zip((ours, theirs), outs))
    return {"nibble": one, "nncf": {**other, "loaded_mb": loaded}, "load": os.getloadavg()[0]}


def ratios(ours, theirs):
    return {"time": ours["seconds"] / theirs["seconds"], "memory": ours["anonymous_mb"] / theirs["anonymous_mb"],
            "KL": ours["kl"] / theirs["kl"]}


def cell(name, value):
    text = f"{value:.3f}" if name == "KL" else f"1/{1 / value:.1f}"
    return text if value <= AIMS[name] else f"**{text}**"


HEADER = ["method", "seconds", "ratio", "CPU s", "anonymous MB", "ratio", "peak MB", "KL", "ratio", "perplexity"]


def row(method, both):
    ours, theirs = both["nibble"], both["nncf"]
    share = {name: cell(name, value) for name, value in ratios(ours, theirs).items()}
    pair = lambda key, digits: f"{ours[key]:.{digits}f} / {theirs[key]:.{digits}f}"  # noqa: E731
    return [method, pair("seconds", 2), share["time"], pair("cpu_seconds", 1), pair("anonymous_mb", 0), share["memory"], pair("total_mb", 0),
            pair("kl", 6), share["KL"], pair("perplexity", 4)]


def print_row(cells):
    print("| " + " | ".join(cells) + " |", flush=True)


def compare_model(args, model):
    ir, text, samples, results = make_ir(args, model), make_eval_text(model), make_samples(args, model), {}
    group = ["--group-size", str(model.group_size)]
    megabytes = (ir / "openvino_model.bin").stat().st_size / 1e6
    print(f"\n{model.name}: .bin of {megabytes:.1f} MB in fp16, int4_sym {' '.join(group)}, {SAMPLES} samples of {LENGTH} tokens; nibble / NNCF\n")
    print_row(HEADER)
    print("|" + "---|" * len(HEADER), flush=True)
    for method in args.methods or METHODS:
        options = METHODS[method]
        results[method] = compare(args, model, ir, group + options, samples if options else None, text)
        print_row(row(method, results[method]))
    loads = [both["load"] for both in results.values()]
    loaded = max(both["nncf"]["loaded_mb"] for both in results.values())
    print(f"\nload average {min(loads):.1f} to {max(loads):.1f}; of NNCF's anonymous memory {loaded:.0f} MB are there after its imports")
    (WORK / f"methods-{model.name}.json").write_text(json.dumps(results, indent=1) + "\n")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nibble", type=Path, default=ROOT / "build" / "release" / "bin" / "nibble")
    parser.add_argument("--runs", type=int, default=3, help="of each, in turn; the median counts")
    parser.add_argument("--model", action="append", dest="models", metavar="nib|random|DIR",
                        help="the embedded model, random weights of 1024 columns in 8 layers (default: both), or a checkpoint with its "
                             "tokenizer; may be given again")
    parser.add_argument("--group-size", type=int, help="columns that share a scale, -1: all (default: 128 for random, else 64)")
    parser.add_argument("--method", choices=list(METHODS), action="append", dest="methods", help="only this; may be given again")
    args = parser.parse_args()
    if not args.nibble.exists():
        parser.error(f"there is no {args.nibble}: ./dev build makes it")
    return args


def main():
    args = arguments()
    WORK.mkdir(parents=True, exist_ok=True)
    warn_if_busy()
    print(f"{os.cpu_count()} processors; bold: not within the aims (time 1/3, memory 1/2, KL 1.02)")
    for word in args.models or ["nib", "random"]:
        compare_model(args, find_model(word, args.group_size))


if __name__ == "__main__":
    main()
