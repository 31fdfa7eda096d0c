"""nibble compress against NNCF without data, on models of fresh random shapes: every constant of the result, bit for bit."""

import argparse
import os
import random
import sys
import tempfile
from pathlib import Path

import numpy as np

from checks import Nibble, Report

os.environ["NNCF_TELEMETRY"] = os.environ["OPENVINO_TELEMETRY_OPT_OUT"] = "1"
try:
    import nncf
except ImportError:
    print("nncf is not installed")
    sys.exit(77)
import openvino as ov  # noqa: E402
import openvino.opset15 as ops  # noqa: E402

nncf.set_log_level("ERROR")
MODES = {
    "int8_asym": "--weight-format int8",
    "int8_sym": "--weight-format int8 --sym",
    "int4_asym": "--weight-format int4",
    "int4_sym": "--weight-format int4 --sym",
    "nf4": "--weight-format nf4",
    "mxfp4": "--weight-format mxfp4",
    "mxfp8_e4m3": "--weight-format mxfp8",
    "fp8_e4m3": "--weight-format fp8",
    "cb4": "--weight-format cb4",
}
GROUPED = ("int4_asym", "int4_sym", "nf4", "cb4", "fp8_e4m3")


def weights(choose, rows, columns):
    """Some rows are of one value, some have an outlier, as in real weights."""
    generator = np.random.default_rng(choose.getrandbits(32))
    values = generator.standard_normal((rows, columns)).astype(np.float32) * choose.choice([0.02, 1, 30])
    values[generator.random(rows) < 0.05] = choose.choice([0.0, 0.5])
    values[generator.random(values.shape) < 0.002] *= 20
    return values


def random_model(choose, folder):
    """An embedding and a chain of MatMuls, of f32 or f16 weights, some transposed."""
    f16 = choose.random() < 0.5
    unit = choose.choice([32, 64, 128])
    widths = [unit * choose.randint(1, 4) for _ in range(choose.randint(3, 5))]
    ids = ops.parameter([-1, -1], np.int64, name="ids")

    def constant(values, name):
        if not f16:
            return ops.constant(values, name=name)
        return ops.convert(ops.constant(values.astype(np.float16), name=name), np.float32)

    value = ops.gather(constant(weights(choose, choose.randint(50, 200), widths[0]), "embedding"), ids, ops.constant(0))
    for number, (columns, rows) in enumerate(zip(widths, widths[1:])):
        transposed = choose.random() < 0.7
        matrix = weights(choose, rows, columns)
        matrix = constant(matrix if transposed else matrix.T.copy(), f"weight_{number}")
        value = ops.matmul(value, matrix, False, transposed, name=f"layer_{number}")
    model = ov.Model([ops.result(value)], [ids], "random")
    path = folder / "model.xml"
    ov.save_model(model, path, compress_to_fp16=False)
    return path, unit


def random_options(choose, unit):
    mode = choose.choice(list(MODES))
    flags, ours = {"mode": nncf.CompressWeightsMode(mode)}, MODES[mode].split()
    if mode in GROUPED:
        size = choose.choice([-1, 16, 32, unit])
        flags["group_size"] = size
        ours += ["--group-size", size]
        flags["all_layers"] = choose.random() < 0.5
        ours += ["--all-layers"] * flags["all_layers"]
        flags["ratio"] = choose.choice([1.0, 0.7, 0.4])
        ours += ["--ratio", flags["ratio"]]
    if mode in ("int4_asym", "int4_sym") and choose.random() < 0.5:
        flags["awq"] = False
    return flags, ours


def constants_of(model):
    """Type, shape and bytes of every constant that is named for what it belongs to."""
    nodes = (node for node in model.get_ops() if node.get_type_name() == "Constant" and "Constant_" not in node.get_friendly_name())
    return {node.get_friendly_name(): (node.get_element_type().get_type_name(), tuple(node.shape), node.get_byte_size(), node.data.tobytes())
            for node in nodes}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nibble", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=40)
    args = parser.parse_args()
    report = Report(f"compression of {args.count} random models, seed {args.seed}")
    choose = random.Random(args.seed)
    for number in range(args.count):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            xml, unit = random_model(choose, folder)
            flags, options = random_options(choose, unit)
            theirs = constants_of(nncf.compress_weights(ov.Core().read_model(xml), **flags))
            Nibble(args.nibble).run("compress", xml, folder / "ours.xml", *options)
            ours = constants_of(ov.Core().read_model(folder / "ours.xml"))
            different = sorted(key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key))
            report.line(not different, f"{number}: {' '.join(map(str, options))}: {len(theirs)} constants, different: {different[:4]}")
    report.finish()


if __name__ == "__main__":
    main()
