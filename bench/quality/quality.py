"""Tables of docs/compression.md: what weight formats, methods and ways to choose precisions cost the embedded model."""

import argparse
import json
import pathlib
import subprocess
import tempfile

EXACT = ["INFERENCE_PRECISION_HINT=f32", "KV_CACHE_PRECISION=f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE=0"]

DATA = ["--dataset", "auto"]
INT4 = ["--weight-format", "int4"]
FORMATS = [
    ("fp16", ["--weight-format", "fp16"]),
    ("int8_asym", ["--weight-format", "int8"]),
    ("int8_sym", ["--weight-format", "int8", "--sym"]),
    ("mxfp8_e4m3", ["--weight-format", "mxfp8"]),
    ("fp8_e4m3, group 128", ["--weight-format", "fp8"]),
    *[(f"int4_asym, group {g}", INT4 + ["--group-size", str(g)]) for g in (32, 64, 128)],
    ("int4_asym, per channel", INT4 + ["--group-size", "-1"]),
    ("int4_asym, group 64, embedding too", INT4 + ["--group-size", "64", "--all-layers"]),
    *[(f"int4_sym, group {g}", INT4 + ["--sym", "--group-size", str(g)]) for g in (32, 64, 128)],
    ("int4_sym, per channel", INT4 + ["--sym", "--group-size", "-1"]),
    ("nf4, group 64", ["--weight-format", "nf4", "--group-size", "64"]),
    ("fp4, group 64", ["--weight-format", "fp4", "--group-size", "64"]),
    ("mxfp4", ["--weight-format", "mxfp4"]),
    ("nvfp4", ["--weight-format", "nvfp4"]),
    ("cb4, per channel", ["--weight-format", "cb4"]),
]
G64 = INT4 + ["--group-size", "64"]
METHODS = [
    ("none", G64),
    ("AWQ, no data", G64 + ["--awq"]),
    ("AWQ", G64 + DATA + ["--awq"]),
    ("scale estimation", G64 + DATA + ["--scale-estimation"]),
    ("AWQ and scale estimation", G64 + DATA + ["--awq", "--scale-estimation"]),
    ("GPTQ", G64 + DATA + ["--gptq"]),
    ("GPTQ and scale estimation", G64 + DATA + ["--gptq", "--scale-estimation"]),
    ("LoRA correction", G64 + DATA + ["--lora-correction"]),
]
METRICS = [
    "weight_quantization_error",
    "hessian_input_activation",
    "mean_activation_variance",
    "max_activation_variance",
    "mean_activation_magnitude",
]


class Quality:
    def __init__(self, options):
        self.nibble = options.nibble
        self.model = pathlib.Path(options.root) / "models/nib"
        self.scratch = tempfile.TemporaryDirectory(prefix="nibble-quality-")
        self.text = options.text or str(self.model / "eval/validation.txt")
        self.count = 0
        self.reference = self.export(["--weight-format", "fp32"])["output"]

    def run(self, *arguments):
        done = subprocess.run([self.nibble, *map(str, arguments)], capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"nibble {' '.join(map(str, arguments))}\n{done.stderr}")
        return json.loads(done.stdout)

    def export(self, options):
        self.count += 1
        output = pathlib.Path(self.scratch.name) / str(self.count)
        return self.run("export", self.model, output, *options, "--json")

    def measure(self, options):
        made = self.export(options)
        properties = [part for name in EXACT for part in ("--property", name)]
        made["eval"] = self.run("eval", made["output"], "--text", self.text, "--reference", self.reference, *properties, "--json")
        made["stored"] = made["weight_bytes"]
        subprocess.run(["rm", "-rf", made["output"]], check=True)
        return made


def table(header, rows):
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print(flush=True)


def figures(made):
    e = made["eval"]
    return [f"{e['perplexity']:.4f}", f"{e['mean_kl']:.6f}", f"{100 * e['top1_agreement']:.2f} %"]


def stored(made):
    return [f"{made['weight_bytes']:,}", f"{made['bits_per_weight']:.2f}"]


def formats(quality, cases, title):
    header = [title, "`.bin`, bytes", "bits per weight", "perplexity", "KL divergence", "same best token"]
    rows = []
    for name, options in cases:
        made = quality.measure(options)
        rows.append([name, *stored(made), *figures(made)])
    table(header, rows)


def budgets(quality, group, data):
    """Ratios by each metric, and a search at the bytes of the smallest of them."""
    rows = []
    for ratio in (0.9, 0.8, 0.6, 0.4, 0.2):
        kl = []
        least = None
        for metric in METRICS:
            options = INT4 + ["--group-size", str(group), "--ratio", str(ratio), "--sensitivity-metric", metric]
            made = quality.measure(options + (data if metric != METRICS[0] else []))
            kl.append(f"{made['eval']['mean_kl']:.6f}")
            least = min(least or made["weight_bytes"], made["weight_bytes"])
        made = quality.measure(["--budget-gb", f"{least / 1e9:.9f}", *data])
        search = made["search"]
        rows.append(
            [str(ratio), f"{least:,}", *kl, f"**{made['eval']['mean_kl']:.6f}**", f"{made['weight_bytes']:,}"]
            + [f"{search['predicted_kl']:.4f}", f"{search['measured_kl']:.4f}"]
        )
    header = ["ratio", "bytes", *[f"`{m}`" for m in METRICS], "`--budget-gb`", "its bytes", "predicted", "measured"]
    table(header, rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nibble", required=True)
    parser.add_argument("--root", required=True)
    parser.add_argument("--text", help="text to evaluate with (default: the embedded model's)")
    parser.add_argument("--only", choices=["formats", "methods", "budgets"])
    options = parser.parse_args()
    quality = Quality(options)
    if options.only in (None, "formats"):
        formats(quality, FORMATS, "format")
    if options.only in (None, "methods"):
        formats(quality, METHODS, "int4_asym, group 64, with")
    if options.only in (None, "budgets"):
        for group in (128, 32):
            print(f"Ratios of int4_asym, group {group}, with int8_asym:\n")
            budgets(quality, group, DATA)


if __name__ == "__main__":
    main()
