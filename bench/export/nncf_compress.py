"""Compresses one OpenVINO IR with NNCF to int4_sym, in a process of its own, and prints as JSON what that took.

The clock starts when Python and its packages are loaded and the samples are read, and stops when the result is on the disk.
"""

import argparse
import json
import os
import resource
import time
from pathlib import Path

import numpy as np

os.environ["NNCF_TELEMETRY"] = os.environ["OPENVINO_TELEMETRY_OPT_OUT"] = os.environ["NNCF_CI"] = "1"
import nncf  # noqa: E402
import openvino as ov  # noqa: E402


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="an .xml")
    parser.add_argument("output", type=Path, help="an .xml")
    parser.add_argument("--samples", type=Path, help="a .jsonl with {\"ids\": [...]} in each line")
    parser.add_argument("--group-size", type=int, required=True)
    parser.add_argument("--ratio", type=float, default=1.0)
    parser.add_argument("--sensitivity-metric")
    for method in ("awq", "scale-estimation", "gptq", "lora-correction"):
        parser.add_argument(f"--{method}", action="store_true")
    return parser.parse_args()


def inputs_of(names, ids):
    length = len(ids)
    values = {"input_ids": np.array([ids], np.int64), "attention_mask": np.ones((1, length), np.int64),
              "position_ids": np.arange(length, dtype=np.int64)[None], "beam_idx": np.zeros(1, np.int32)}
    return {name: values[name] for name in names}


def data_options(model, samples):
    names = [port.any_name for port in model.inputs]
    return {"dataset": nncf.Dataset(samples, lambda ids: inputs_of(names, ids)), "subset_size": len(samples)} if samples else {}


def compress(args, samples):
    model = ov.Core().read_model(args.model)
    methods = {name: True for name in ("awq", "scale_estimation", "gptq", "lora_correction") if getattr(args, name)}
    metric = args.sensitivity_metric and nncf.SensitivityMetric(args.sensitivity_metric)
    compressed = nncf.compress_weights(model, mode=nncf.CompressWeightsMode.INT4_SYM, group_size=args.group_size, ratio=args.ratio,
                                       sensitivity_metric=metric, **data_options(model, samples), **methods)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    ov.save_model(compressed, args.output, compress_to_fp16=False)
    with open(args.output.with_suffix(".bin"), "rb") as file:
        os.fsync(file.fileno())


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def anonymous_mb():
    lines = Path("/proc/self/status").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("RssAnon:", "RssShmem:"))) / 1024


def main():
    args = arguments()
    samples = [json.loads(line)["ids"] for line in args.samples.read_text().splitlines()] if args.samples else []
    loaded = anonymous_mb()
    start, start_cpu = time.monotonic(), cpu_seconds()
    compress(args, samples)
    took = {"seconds": time.monotonic() - start, "cpu_seconds": cpu_seconds() - start_cpu, "loaded_mb": loaded}
    print(json.dumps(took), flush=True)


if __name__ == "__main__":
    main()
