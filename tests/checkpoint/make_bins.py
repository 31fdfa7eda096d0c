"""Writes the PyTorch files of tests/data/checkpoint/odd, each beside the same tensors as safetensors, and digests.json.

Run with torch and safetensors installed: python tests/checkpoint/make_bins.py
"""

import collections
import json
import pathlib

import torch
from safetensors import safe_open
from safetensors.torch import save_file

DATA = pathlib.Path(__file__).resolve().parent.parent / "data" / "checkpoint"
ODD = DATA / "odd"


def every_type():
    torch.manual_seed(1)
    floats = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2]
    integers = [torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.uint16, torch.uint32, torch.uint64]
    out = {str(t): torch.randn(3, 4).to(t) for t in floats}
    out.update({str(t): torch.randint(0, 100, (2, 5)).to(t) for t in integers})
    out["torch.bool"] = torch.rand(7) > 0.5
    out["torch.float8_e8m0fnu"] = torch.arange(120, 132, dtype=torch.uint8).view(torch.float8_e8m0fnu)
    return out


def strided():
    torch.manual_seed(4)
    base = torch.arange(240, dtype=torch.float32)
    cube = torch.arange(2 * 3 * 4, dtype=torch.int64).reshape(2, 3, 4)
    tied = torch.randn(4, 4)
    return {
        "transposed": base[:24].reshape(4, 6).t(),
        "stepped": base[3:200:7],
        "offset": base[100:110],
        "expanded": base[5:8].reshape(3, 1).expand(3, 5),
        "permuted": cube.permute(2, 0, 1),
        "permuted.bf16": cube.to(torch.bfloat16).permute(1, 2, 0),
        "columns.u8": cube.to(torch.uint8).reshape(6, 4)[:, 1:3],
        "one_wide": base[:12].reshape(12, 1).t(),
        "scalar": base[17],
        "empty": torch.empty(0),
        "empty.matrix": torch.empty(3, 0, dtype=torch.float16),
        "tied.a": tied,
        "tied.b": tied,
    }


def with_attribute(tensor):
    tensor.note = "kept by a trainer"
    return tensor


def parameters():
    torch.manual_seed(2)
    return {
        "parameter": torch.nn.Parameter(torch.randn(2, 3)),
        "parameter.noted": with_attribute(torch.nn.Parameter(torch.randn(3))),
        "tensor.noted": with_attribute(torch.randn(4)),
    }


def training_run():
    weights = parameters()
    extra = {"epoch": 3, "loss": 0.25, "seed": 2**70, "best": None, "dtype": torch.bfloat16, "tags": ["a", b"b", (1, -300)]}
    return {"state_dict": weights, "other": torch.ones(2), **extra}, weights


def module():
    torch.manual_seed(3)
    return torch.nn.Sequential(collections.OrderedDict(a=torch.nn.Linear(3, 2), b=torch.nn.LayerNorm(2))).state_dict()


def save(name, saved, tensors, **options):
    torch.save(saved, ODD / f"{name}.bin", **options)
    save_file({k: v.detach().contiguous().clone() for k, v in tensors.items()}, ODD / f"{name}.safetensors")
    (ODD / f"{name}.safetensors").chmod(0o644)


def digest(tensor):
    """The shape and the FNV-1a hash (64 bits) of the bytes."""
    value = 0xCBF29CE484222325
    for byte in tensor.contiguous().reshape(-1).view(torch.uint8).tolist():
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"[{','.join(map(str, tensor.shape))}] {value:016x}"


def digests_of(files):
    out = {}
    for path in files:
        if path.suffix == ".bin":
            tensors = torch.load(path, weights_only=True)
        else:
            with safe_open(path, "pt") as file:
                tensors = {k: file.get_tensor(k) for k in file.keys()}
        out.update({k: digest(v) for k, v in tensors.items()})
    return dict(sorted(out.items()))


def main():
    ODD.mkdir(parents=True, exist_ok=True)
    save("types", every_type(), every_type())
    save("strided", strided(), strided())
    save("parameters", parameters(), parameters())
    run, weights = training_run()
    save("training_run", run, weights)
    save("module", module(), module())
    for protocol in (3, 4, 5):
        save(f"protocol{protocol}", {**module(), **parameters()}, {**module(), **parameters()}, pickle_protocol=protocol)
    save("legacy", {**every_type(), **strided()}, {**every_type(), **strided()}, _use_new_zipfile_serialization=False)
    save("legacy_protocol4", module(), module(), _use_new_zipfile_serialization=False, pickle_protocol=4)
    digests = {
        "sharded_safetensors": digests_of(sorted((DATA / "sharded_safetensors").glob("*.safetensors"))),
        "sharded_pytorch": digests_of(sorted((DATA / "sharded_pytorch").glob("*.bin"))),
        "pytorch": digests_of([DATA / "pytorch" / "pytorch_model.bin"]),
    }
    (DATA / "digests.json").write_text(json.dumps(digests, indent=0) + "\n")


if __name__ == "__main__":
    main()
