"""Writes tests/data/checkpoint/gguf_types: a GGUF file with random blocks of every type, and what the gguf package makes of them.

Run with gguf, numpy and safetensors installed: python tests/checkpoint/make_gguf_types.py
"""

import pathlib

import gguf
import numpy as np
from gguf import GGMLQuantizationType as T
from safetensors.numpy import save_file

OUT = pathlib.Path(__file__).resolve().parent.parent / "data" / "checkpoint" / "gguf_types"
# Where the half-precision scales of a block are.
HALVES = {
    T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q8_0: [0], T.Q8_1: [0, 2], T.Q2_K: [80, 82], T.Q3_K: [108],
    T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208], T.IQ2_XXS: [0], T.IQ2_XS: [0], T.IQ2_S: [0], T.IQ3_XXS: [0], T.IQ3_S: [0],
    T.IQ1_S: [0], T.IQ1_M: [], T.IQ4_NL: [0], T.IQ4_XS: [0], T.TQ1_0: [52], T.TQ2_0: [64], T.MXFP4: [], T.Q8_K: [],
}
PLAIN = {T.F32: np.float32, T.F16: np.float16, T.F64: np.float64, T.I8: np.int8, T.I16: np.int16, T.I32: np.int32, T.I64: np.int64}


def blocks(rng, kind, count):
    _, size = gguf.GGML_QUANT_SIZES[kind]
    data = rng.integers(0, 256, (count, size), dtype=np.uint8)
    for at in HALVES[kind]:
        data[:, at : at + 2] = rng.normal(0, 0.02, (count, 1)).astype(np.float16).view(np.uint8)
    if kind == T.IQ1_M:  # its half is spread over the high bits of four numbers
        data[:, 55] = (data[:, 55] & 0x0F) | 0x20
    if kind == T.MXFP4:
        data[:, 0] = rng.integers(110, 130, count)
        data[:2, 0] = 0, 1
    if kind == T.Q8_K:
        data[:, :4] = rng.normal(0, 0.02, (count, 1)).astype(np.float32).view(np.uint8)
    return data


def decoded(kind, data):
    if kind == T.Q8_1:
        return data[:, :2].copy().view(np.float16).astype(np.float32) * data[:, 4:].view(np.int8).astype(np.float32)
    if kind == T.Q8_K:
        return data[:, :4].copy().view(np.float32) * data[:, 4:260].view(np.int8).astype(np.float32)
    return gguf.quants.dequantize(data, kind)


def main():
    rng = np.random.default_rng(7)
    OUT.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(OUT / "model.gguf", "none")
    expected = {}
    for kind in HALVES:
        block, _ = gguf.GGML_QUANT_SIZES[kind]
        per_row, rows = 512 // block if block == 256 else 3, 2
        data = blocks(rng, kind, per_row * rows)
        expected[kind.name] = decoded(kind, data).astype(np.float32).reshape(rows, per_row * block)
        writer.add_tensor(kind.name, data.reshape(rows, -1), raw_dtype=kind)
    exact = blocks(rng, T.Q4_1, 4)  # minima that are whole steps
    exact[:, :2] = np.array([0.5, -0.25, 0.003, 0], dtype=np.float16).reshape(4, 1).view(np.uint8)
    exact[:, 2:4] = (exact[:, :2].copy().view(np.float16) * np.float16([[-8], [-15], [-2], [-3]])).view(np.uint8)
    expected["Q4_1.steps"] = decoded(T.Q4_1, exact).reshape(2, 64)
    writer.add_tensor("Q4_1.steps", exact.reshape(2, -1), raw_dtype=T.Q4_1)
    for kind, dtype in PLAIN.items():
        expected[kind.name] = rng.normal(0, 20, (2, 5)).astype(dtype)
        writer.add_tensor(kind.name, expected[kind.name])
    halves = rng.integers(0, 0x7F00, (2, 5)).astype(np.uint16)
    expected["BF16"] = (halves.astype(np.uint32) << 16).view(np.float32)
    writer.add_tensor("BF16", halves.view(np.uint8), raw_dtype=T.BF16)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    save_file(expected, OUT / "expected.safetensors")


if __name__ == "__main__":
    main()
