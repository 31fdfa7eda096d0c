"""Runs one model with random weights on Nibble, OpenVINO GenAI and llama.cpp, in turn, in one run on one machine.

Each measurement is a process of its own that starts when the machine is idle, loads the model, does the prompt once to warm up, then
measures a prompt and decoding. The engines take turns, so that a machine that changes its speed changes it for all. The median counts.
NIBBLE_CPU_ISA=avx2 makes Nibble use the kernels of a lesser processor; run.sh then has a llama.cpp that is compiled for it too.
"""

import argparse
import json
import sys
from pathlib import Path

import engines
import machine
import models
import table
from figures import Figures


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nibble", type=Path, default=models.ROOT / "build" / "release" / "bin" / "nibble")
    parser.add_argument("--device", default="CPU", help="of Nibble")
    parser.add_argument("--kv-precision", default="u8", help="KV_CACHE_PRECISION of Nibble; '' leaves the device's default")
    parser.add_argument("--engines", default="nibble,openvino,llama.cpp", help="some of them, separated by commas")
    parser.add_argument("--weights", default=",".join(models.WEIGHTS), help="some of them, separated by commas")
    parser.add_argument("--threads", type=int, default=machine.usable_cores())
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--long-repetitions", type=int, default=3, help="that have Nibble's long prompt and its batch too")
    parser.add_argument("--patience", type=int, default=120, help="seconds to wait for an idle machine before each process")
    parser.add_argument("--no-cold", action="store_true", help="do not measure loading from the disk")
    parser.add_argument("--tiny", action="store_true", help="a model of 1.5 MB, to try this program")
    parser.add_argument("--json", type=Path, help="also write all figures here (default: build/bench/engine/result.json)")
    args = parser.parse_args()
    if not args.nibble.exists():
        parser.error(f"there is no {args.nibble}: ./dev build makes it")
    return args


def work_of(args, engine, weights, repetition):
    if engine.name != "Nibble" or weights != "int4" or repetition >= args.long_repetitions:
        return engines.Work()
    return engines.Work(long_prompt=4096, sequences=8)


class Session:
    """The processes of one run of this program, one after the other."""

    def __init__(self, args, chosen):
        self.args, self.engines, self.runs = args, chosen, []

    def run(self, engine, weights, work, cold=False):
        if not machine.wait_until_idle(self.args.patience):
            print("warning: this machine is busy with something else; the figures will be too low", file=sys.stderr)
        if cold:
            machine.drop_from_cache(engine.model(weights))
        try:
            result = engine.run(weights, work, self.args.threads)
        except engines.Failed as error:
            sys.exit(f"{engine.name} with {weights} failed: {error}")
        self.runs.append({"engine": engine.name, "weights": weights, "cold": cold, **result})
        self.report(self.runs[-1])

    def report(self, run):
        speeds = [f"{what} {key}: {value:.1f}/s" for what in ("prefill", "decode", "batch") for key, value in run.get(what, {}).items()]
        print(f"{run['engine']:14} {run['weights']:5}{' cold' if run['cold'] else ''} load {run['load_s']:.2f} s, {', '.join(speeds)}", flush=True)

    def run_all(self):
        weights = self.args.weights.split(",")
        for format in weights if not self.args.no_cold else []:
            for engine in self.engines:
                self.run(engine, format, engines.Work(prompt=32, new_tokens=1), cold=True)
        for repetition in range(self.args.repetitions):
            for format in weights:
                for engine in self.engines:
                    self.run(engine, format, work_of(self.args, engine, format, repetition))


def bytes_per_token(runs, files):
    """{(engine, weights): bytes}: of an IR as Nibble says, of a GGUF file as its table of tensors says."""
    of_ir = {run["weights"]: run["weight_bytes_per_token"] for run in runs if "weight_bytes_per_token" in run}
    result = {}
    for engine, weights in {(run["engine"], run["weights"]) for run in runs}:
        is_gguf = engine.startswith("llama.cpp")
        result[engine, weights] = models.gguf_file.bytes_per_token(files.gguf(weights)) if is_gguf else of_ir.get(weights)
    return result


def write_json(path, figures, args):
    document = {"processor": machine.processor(), "threads": args.threads, "isa": figures.isa(), "limits": figures.limits(),
                "aims": list(table.aim_rows(figures)), "runs": figures.runs}
    path.write_text(json.dumps(document, indent=1) + "\n")


def main():
    args = arguments()
    files = models.Models(args.nibble, args.tiny)
    chosen = engines.make(args.engines.split(","), files, args.device, args.kv_precision)
    for engine in chosen:  # made before anything is measured
        for weights in args.weights.split(","):
            engine.model(weights)
    session = Session(args, chosen)
    session.run_all()
    figures = Figures(session.runs, bytes_per_token(session.runs, files))
    table.print_all(figures, machine.processor(), args.threads)
    write_json(args.json or files.folder / "result.json", figures, args)


if __name__ == "__main__":
    main()
