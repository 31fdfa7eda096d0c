"""nibble compress with data against NNCF with the same data: what every layer's weight becomes."""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from checks import Nibble, Report

os.environ["NNCF_TELEMETRY"] = os.environ["OPENVINO_TELEMETRY_OPT_OUT"] = "1"
try:
    import nncf
except ImportError:
    print("nncf is not installed")
    sys.exit(77)
import openvino as ov  # noqa: E402

METHODS = ("awq", "scale-estimation", "gptq", "lora-correction")
CASES = {
    # Options beside int4_sym in groups of 64; the share of codes that must be equal: another order of sums may tip a
    # near-tie, and with gptq a code that differs changes the columns after it.
    "--awq": 0.995,
    "--scale-estimation": 0.995,
    "--awq --scale-estimation": 0.995,
    "--gptq": 0.93,
    "--ratio 0.6": 1.0,
    "--ratio 0.6 --sensitivity-metric hessian_input_activation": 1.0,
    "--ratio 0.6 --sensitivity-metric mean_activation_magnitude": 1.0,
}


def inputs_of(names, ids):
    length = len(ids)
    values = {"input_ids": np.array([ids], np.int64), "attention_mask": np.ones((1, length), np.int64),
              "position_ids": np.arange(length, dtype=np.int64)[None], "beam_idx": np.zeros(1, np.int32)}
    return {name: values[name] for name in names}


def by_nncf(xml, samples, options):
    model = ov.Core().read_model(xml)
    names = [port.any_name for port in model.inputs]
    words = options.split()
    flags = {word[2:].replace("-", "_"): True for word in words if word[2:] in METHODS}
    ratio = float(words[words.index("--ratio") + 1]) if "--ratio" in words else 1.0
    metric = words[words.index("--sensitivity-metric") + 1] if "--sensitivity-metric" in words else None
    return nncf.compress_weights(model, mode=nncf.CompressWeightsMode.INT4_SYM, group_size=64, ratio=ratio, subset_size=len(samples),
                                 dataset=nncf.Dataset(samples, lambda ids: inputs_of(names, ids)),
                                 sensitivity_metric=metric and nncf.SensitivityMetric(metric), **flags)


def codes_of(model):
    """Integer constants of more than one element by name."""
    constants = (node for node in model.get_ops() if node.get_type_name() == "Constant")
    types = ("i4", "u4", "i8", "u8")
    return {node.get_friendly_name(): node.data for node in constants
            if node.get_element_type().get_type_name() in types and node.get_element_type().bitwidth <= 8 and len(node.shape) > 1}


def equal_share(ours, theirs):
    same = sum(int((ours[name] == theirs[name]).sum()) for name in theirs)
    return same / sum(codes.size for codes in theirs.values())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="an .xml")
    parser.add_argument("tokens", type=Path, help="safetensors with `tokens` [samples, length]")
    parser.add_argument("--nibble", required=True)
    args = parser.parse_args()
    samples = load_file(args.tokens)["tokens"].tolist()
    report = Report(f"compression of {args.model.name} with data")
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "samples.jsonl"
        data.write_text("".join(json.dumps({"ids": ids}) + "\n" for ids in samples))
        for number, (options, least) in enumerate(CASES.items()):
            out = Path(folder) / f"{number}.xml"
            Nibble(args.nibble).run("compress", args.model, out, "--weight-format", "int4", "--sym", "--group-size", 64, "--dataset", data,
                                    "--num-samples", len(samples), *options.split())
            ours, theirs = codes_of(ov.Core().read_model(out)), codes_of(by_nncf(args.model, samples, options))
            shapes = {name: codes.shape for name, codes in ours.items()} == {name: codes.shape for name, codes in theirs.items()}
            share = equal_share(ours, theirs) if shapes else 0
            report.line(shapes and share >= least, f"{options}: {100 * share:.3f} % of the codes are the same")
    report.finish()


if __name__ == "__main__":
    main()
