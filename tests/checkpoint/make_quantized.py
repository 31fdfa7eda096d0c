"""Writes small quantized checkpoints and the weights that they stand for, tests/data/checkpoint/quantized/CASE/:

    python make_quantized.py OUT

config.json and model.safetensors are as published ones have them; expected.safetensors holds every layer's weights in f32, computed by
compressed-tensors, bitsandbytes and transformers where those can, and by plain numpy where the packages need a GPU (GPTQ, AWQ).
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

AWQ_ORDER = [0, 2, 4, 6, 1, 3, 5, 7]


def pack_bits(codes, bits):
    """[n, m] -> [n * bits / 32, m]: a stream of bits down every column, the lowest first."""
    rows = codes.shape[0]
    stream = (codes[:, None, :].astype(np.uint8) >> np.arange(bits, dtype=np.uint8)[None, :, None]) & 1
    stream = stream.reshape(rows * bits, -1)
    words = stream.reshape(rows * bits // 32, 32, -1).astype(np.uint64) << np.arange(32, dtype=np.uint64)[None, :, None]
    return torch.from_numpy(words.sum(axis=1).astype(np.uint32).view(np.int32).copy())


def gptq(rng, rows, columns, bits, group, sym=False, act_order=False, version=1, dtype=np.float16, uneven=False, store_index=True):
    group = columns if group < 0 else group
    count = -(-columns // group)
    top = 2**bits - 1
    index = np.arange(columns) // group
    if act_order:
        index = rng.permutation(index)
    if uneven:
        index = rng.integers(0, count, columns)
    codes = rng.integers(0, top + 1, (columns, rows))
    zeros = np.full((count, rows), 2 ** (bits - 1)) if sym else rng.integers(1, top + 1, (count, rows))
    scales = rng.uniform(0.001, 0.1, (count, rows)).astype(dtype)
    expected = (codes - zeros[index]).astype(np.float32) * scales[index].astype(np.float32)
    stored = zeros - 1 if version == 1 else zeros
    tensors = {
        "qweight": pack_bits(codes, bits),
        "qzeros": pack_bits(stored.T.copy(), bits).T.contiguous(),
        "scales": torch.from_numpy(scales),
    }
    if store_index:
        tensors["g_idx"] = torch.from_numpy(index.astype(np.int32))
    return tensors, expected.T.copy()


def awq_words(codes, order=AWQ_ORDER):
    """[n, m] -> [n, m / 8]"""
    n, m = codes.shape
    units = codes.reshape(n, m // 8, 8).astype(np.uint32)
    words = np.zeros((n, m // 8), np.uint32)
    for i, column in enumerate(order):
        words |= units[:, :, column] << np.uint32(4 * i)
    return torch.from_numpy(words.view(np.int32).copy())


def awq(rng, rows, columns, group, zero_point=True, same_zero=False):
    group = columns if group < 0 else group
    count = columns // group
    codes = rng.integers(0, 16, (columns, rows))
    zeros = rng.integers(0, 16, (count, rows)) if zero_point and not same_zero else np.full((count, rows), 8)
    scales = rng.uniform(0.001, 0.1, (count, rows)).astype(np.float16)
    index = np.arange(columns) // group
    expected = (codes - zeros[index]).astype(np.float32) * scales[index].astype(np.float32)
    tensors = {"qweight": awq_words(codes), "scales": torch.from_numpy(scales)}
    if zero_point:
        tensors["qzeros"] = awq_words(zeros)
    return tensors, expected.T.copy()


def awq_gemv(rng, rows, columns, group):
    count = columns // group
    width = -(-count // 8) * 8 if group >= 128 else -(-(-(-count // 8)) // (128 // group)) * (128 // group) * 8
    in_order = list(range(8))
    codes, zeros = rng.integers(0, 16, (rows, columns)), rng.integers(0, 16, (rows, width))
    scales = rng.uniform(0.001, 0.1, (rows, width)).astype(np.float16)
    index = np.arange(columns) // group
    expected = (codes - zeros[:, index]).astype(np.float32) * scales[:, index].astype(np.float32)
    tensors = {"qweight": awq_words(codes, in_order), "qzeros": awq_words(zeros, in_order), "scales": torch.from_numpy(scales)}
    return tensors, expected


def compressed(rng, rows, columns, fmt, dtype=torch.bfloat16, g_idx=False, **weights):
    """Through the package's own compressors."""
    from compressed_tensors.compressors import BaseCompressor
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme

    args = QuantizationArgs(**weights)
    scheme = QuantizationScheme(targets=["Linear"], weights=args)
    group = args.group_size or columns
    strategy = args.strategy.value if hasattr(args.strategy, "value") else args.strategy
    shape = {"group": (rows, columns // group), "tensor_group": (rows, columns // group), "channel": (rows, 1), "tensor": (1,)}.get(strategy)
    if strategy == "block":
        shape = tuple(-(-size // block) for size, block in zip((rows, columns), args.block_structure))
    scale = torch.from_numpy(rng.uniform(0.01, 0.1, shape)).to(dtype)
    if fmt.startswith("mx"):
        scale = 2.0 ** torch.from_numpy(rng.integers(-8, 2, shape)).float()
    state = {"weight": torch.from_numpy(rng.normal(0, 0.2, (rows, columns))).to(dtype), "weight_scale": scale}
    if not args.symmetric:
        half = 2 ** (args.num_bits - 1)
        state["weight_zero_point"] = torch.from_numpy(rng.integers(-half, half, shape)).to(torch.int8)
    if fmt == "nvfp4-pack-quantized":
        state["weight_global_scale"] = torch.tensor([37.5])
        state["weight_scale"] = torch.from_numpy(rng.uniform(1, 100, shape)).to(torch.float8_e4m3fn).float()
    compressor = BaseCompressor.get_value_from_registry(fmt)
    packed = compressor.compress(dict(state), scheme)
    exact = {k: v.float() if v.dtype in (torch.bfloat16, torch.float16) else v for k, v in packed.items()}
    expected = compressor.decompress(exact, scheme)["weight"].float().numpy()
    if fmt == "nvfp4-pack-quantized":  # the package computes in bf16
        levels = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6], np.float32)
        codes = packed["weight_packed"].numpy()
        scales = (packed["weight_scale"].float() / state["weight_global_scale"]).numpy()
        exact = levels[np.stack([codes & 15, codes >> 4], 2).reshape(rows, columns)] * scales.repeat(16, 1)
        assert np.abs(exact - expected).max() < 0.005 * np.abs(exact).max()
        expected = exact
    tensors = dict(packed)
    if g_idx:
        order = torch.from_numpy(rng.permutation(columns))
        inverse = torch.argsort(order)
        from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32, unpack_from_int32

        codes = unpack_from_int32(packed["weight_packed"], args.num_bits, torch.Size((rows, columns)))
        tensors["weight_packed"] = pack_to_int32(codes[:, inverse].contiguous(), args.num_bits)
        tensors["weight_g_idx"] = (torch.arange(columns) // group)[inverse].int()
        expected = expected[:, inverse.numpy()]
    return tensors, expected


def old_padded(rng, rows, columns, bits):
    """compressed-tensors before 0.13: words with unused bits."""
    per_word = 32 // bits
    codes = rng.integers(0, 2**bits, (rows, columns))
    padded = np.zeros((rows, -(-columns // per_word) * per_word), np.uint32)
    padded[:, :columns] = codes
    words = (padded.reshape(rows, -1, per_word) << (np.arange(per_word, dtype=np.uint32) * bits)).sum(axis=2).astype(np.uint32)
    scale = rng.uniform(0.01, 0.1, (rows, 1)).astype(np.float32)
    tensors = {
        "weight_packed": torch.from_numpy(words.view(np.int32).copy()),
        "weight_scale": torch.from_numpy(scale),
        "weight_shape": torch.tensor([rows, columns]),
    }
    return tensors, ((codes - 2 ** (bits - 1)).astype(np.float32) * scale)


def fp8(rng, rows, columns, block=None, suffix="weight_scale_inv", per_row=False):
    weight = torch.from_numpy(rng.normal(0, 30, (rows, columns))).to(torch.float8_e4m3fn)
    if block:
        scale = torch.from_numpy(rng.uniform(0.0001, 0.001, (-(-rows // block), -(-columns // block))).astype(np.float32))
        full = scale.repeat_interleave(block, 0)[:rows].repeat_interleave(block, 1)[:, :columns]
    else:
        scale = torch.from_numpy(rng.uniform(0.0001, 0.001, (rows, 1) if per_row else ()).astype(np.float32).reshape((rows, 1) if per_row else ()))
        full = scale
    return {"weight": weight, suffix: scale}, (weight.float() * full).numpy()


def mxfp4(rng, experts, rows, columns):
    from transformers.integrations.mxfp4 import convert_moe_packed_tensors

    blocks = torch.from_numpy(rng.integers(0, 256, (experts, rows, columns // 32, 16)).astype(np.uint8))
    scales = torch.from_numpy(rng.integers(118, 130, (experts, rows, columns // 32)).astype(np.uint8))
    expected = convert_moe_packed_tensors(blocks, scales, dtype=torch.float32).transpose(1, 2).contiguous().numpy()
    return {"blocks": blocks, "scales": scales}, expected


def bnb4(rng, rows, columns, kind, nested, block=64):
    import bitsandbytes.functional as F

    weight = torch.from_numpy(rng.normal(0, 0.1, (rows, columns)).astype(np.float32))
    packed, state = F.quantize_4bit(weight, blocksize=block, quant_type=kind, compress_statistics=nested)
    both = np.stack([packed.numpy().reshape(-1) >> 4, packed.numpy().reshape(-1) & 15], 1).reshape(-1)
    absmax = F.dequantize_blockwise(state.absmax, state.state2) + state.offset if nested else state.absmax
    expected = state.code.numpy()[both] * np.repeat(absmax.numpy(), block)[: rows * columns]
    if columns % block == 0:  # elsewhere the package's CPU code takes blocks of rows, unlike its GPU code
        assert np.array_equal(expected, F.dequantize_4bit(packed, state).float().numpy().reshape(-1))
    tensors = {"weight": packed}
    for name, value in state.as_dict(packed=True).items():
        tensors[f"weight.{name}"] = value
    return tensors, expected.reshape(rows, columns)


def bnb8(rng, rows, columns):
    codes = torch.from_numpy(rng.integers(-127, 128, (rows, columns)).astype(np.int8))
    scb = torch.from_numpy(rng.uniform(0.1, 2, rows).astype(np.float32))
    tensors = {"weight": codes, "SCB": scb, "weight_format": torch.tensor(0, dtype=torch.uint8)}
    return tensors, (codes.float() * (scb / 127)[:, None]).numpy()


def scheme(fmt, **weights):
    return {"quant_method": "compressed-tensors", "format": fmt, "ignore": ["lm_head"], "config_groups": {"group_0": {"targets": ["Linear"], "weights": weights, "input_activations": None}}}


def cases(rng):
    """name, quantization_config, {layer: (tensors, weights)}, file it is in"""
    g = lambda **more: {"quant_method": "gptq", "bits": 4, "group_size": 32, "sym": False, "desc_act": False, "checkpoint_format": "gptq", **more}
    yield "gptq-4bit-sym", g(sym=True), {"a": gptq(rng, 32, 96, 4, 32, sym=True), "b": gptq(rng, 8, 64, 4, 32, sym=True)}
    yield "gptq-4bit-asym-v2", g(checkpoint_format="gptq_v2"), {"a": gptq(rng, 40, 128, 4, 32, version=2)}
    yield "gptq-4bit-channel", g(group_size=-1), {"a": gptq(rng, 32, 64, 4, -1), "b": gptq(rng, 32, 64, 4, -1, store_index=False)}
    yield "gptq-actorder", g(desc_act=True), {"a": gptq(rng, 32, 128, 4, 32, act_order=True), "b": gptq(rng, 16, 64, 4, 32, act_order=True, sym=True)}
    yield "gptq-uneven", g(desc_act=True), {"a": gptq(rng, 32, 128, 4, 32, uneven=True)}
    yield "gptq-partial-group", g(group_size=64), {"a": gptq(rng, 32, 96, 4, 64)}
    yield "gptq-8bit", g(bits=8), {"a": gptq(rng, 32, 64, 8, 32), "b": gptq(rng, 12, 64, 8, 64, sym=True)}
    yield "gptq-3bit", g(bits=3), {"a": gptq(rng, 32, 96, 3, 32), "b": gptq(rng, 64, 64, 3, 32, sym=True)}
    yield "gptq-2bit", g(bits=2), {"a": gptq(rng, 32, 96, 2, 32), "b": gptq(rng, 16, 32, 2, 32, sym=True)}
    yield "gptq-mixed-bf16", g(), {"a": gptq(rng, 32, 64, 4, 32), "b": gptq(rng, 32, 64, 8, 64, dtype=np.float32)}
    a = lambda **more: {"quant_method": "awq", "bits": 4, "group_size": 32, "zero_point": True, "version": "gemm", **more}
    yield "awq-gemm", a(), {"a": awq(rng, 24, 96, 32), "b": awq(rng, 16, 64, 32, same_zero=True)}
    yield "awq-channel", a(group_size=-1), {"a": awq(rng, 24, 96, -1)}
    yield "awq-no-zero-point", a(zero_point=False), {"a": awq(rng, 24, 96, 32, zero_point=False)}
    yield "awq-gemv", a(version="GEMV", group_size=64), {"a": awq_gemv(rng, 20, 192, 64)}
    c = lambda *s, fmt="pack-quantized", **w: compressed(rng, *s, fmt, **w)
    group = dict(num_bits=4, type="int", strategy="group", group_size=32)
    yield "ct-pack-sym", scheme("pack-quantized", **group, symmetric=True), {"a": c(24, 96, symmetric=True, **group)}
    yield "ct-pack-asym", scheme("pack-quantized", **group, symmetric=False), {"a": c(20, 96, symmetric=False, **group)}
    yield "ct-pack-actorder", scheme("pack-quantized", **group, symmetric=False), {"a": c(20, 96, symmetric=False, g_idx=True, **group)}
    wide = dict(num_bits=8, type="int", strategy="channel")
    yield "ct-pack-8bit", scheme("pack-quantized", **wide, symmetric=False), {"a": c(9, 70, symmetric=False, **wide)}
    three = dict(num_bits=3, type="int", strategy="group", group_size=32)
    yield "ct-pack-3bit", scheme("pack-quantized", **three, symmetric=False), {"a": c(21, 64, symmetric=False, **three)}
    six = dict(num_bits=6, type="int", strategy="tensor")
    yield "ct-pack-6bit", scheme("pack-quantized", **six, symmetric=True), {"a": c(5, 33, symmetric=True, **six)}
    yield "ct-pack-padded", scheme("pack-quantized", num_bits=3, type="int", strategy="channel"), {"a": old_padded(rng, 7, 64, 3)}
    int8 = dict(num_bits=8, type="int", strategy="channel")
    yield "ct-int8", scheme("int-quantized", **int8), {"a": c(16, 48, fmt="int-quantized", symmetric=True, **int8), "b": c(16, 48, fmt="int-quantized", symmetric=False, **int8)}
    for strategy in ("tensor", "channel"):
        f8 = dict(num_bits=8, type="float", strategy=strategy)
        yield f"ct-fp8-{strategy}", scheme("float-quantized", **f8), {"a": c(16, 48, fmt="float-quantized", symmetric=True, **f8)}
    f8 = dict(num_bits=8, type="float", strategy="block", block_structure=[16, 32])
    yield "ct-fp8-block", scheme("float-quantized", **f8), {"a": c(40, 96, fmt="float-quantized", symmetric=True, **f8)}
    naive = dict(num_bits=4, type="int", strategy="group", group_size=16)
    yield "ct-naive", scheme("naive-quantized", **naive), {"a": c(10, 48, fmt="naive-quantized", symmetric=True, **naive)}
    nv = dict(num_bits=4, type="float", strategy="tensor_group", group_size=16)
    yield "ct-nvfp4", scheme("nvfp4-pack-quantized", **nv), {"a": c(16, 64, fmt="nvfp4-pack-quantized", symmetric=True, **nv)}
    mx = dict(num_bits=4, type="float", strategy="group", group_size=32)
    yield "ct-mxfp4", scheme("mxfp4-pack-quantized", **mx), {"a": c(16, 64, fmt="mxfp4-pack-quantized", symmetric=True, **mx)}
    mx8 = dict(num_bits=8, type="float", strategy="group", group_size=32)
    yield "ct-mxfp8", scheme("mxfp8-quantized", **mx8), {"a": c(16, 64, fmt="mxfp8-quantized", symmetric=True, **mx8)}
    f = {"quant_method": "fp8", "activation_scheme": "dynamic", "fmt": "e4m3"}
    yield "fp8-block", {**f, "weight_block_size": [32, 32]}, {"a": fp8(rng, 40, 112, 32), "b": fp8(rng, 32, 64, 32)}
    yield "fp8-tensor", f, {"a": fp8(rng, 16, 48)}
    yield "fbgemm-fp8", {"quant_method": "fbgemm_fp8"}, {"a": fp8(rng, 16, 48, suffix="weight_scale", per_row=True)}
    yield "mxfp4", {"quant_method": "mxfp4"}, {"a": mxfp4(rng, 3, 16, 64)}
    b = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    yield "bnb-nf4", {**b, "bnb_4bit_quant_type": "nf4"}, {"a": bnb4(rng, 24, 128, "nf4", False), "b": bnb4(rng, 10, 96, "nf4", False)}
    yield "bnb-nf4-nested", {**b, "bnb_4bit_quant_type": "nf4"}, {"a": bnb4(rng, 300, 64, "nf4", True)}
    yield "bnb-fp4", {**b, "bnb_4bit_quant_type": "fp4"}, {"a": bnb4(rng, 24, 128, "fp4", False)}
    yield "bnb-int8", {"quant_method": "bitsandbytes", "load_in_8bit": True}, {"a": bnb8(rng, 16, 48)}


def main():
    out = Path(sys.argv[1])
    for name, config, layers in cases(np.random.default_rng(7)):
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        tensors, expected = {"plain.weight": torch.ones(2, 3)}, {}
        for layer, (parts, weights) in layers.items():
            joint = "_" if name == "mxfp4" else "."
            tensors.update({f"model.{layer}{joint}{part}": tensor.contiguous() for part, tensor in parts.items()})
            expected[f"model.{layer}.weight"] = torch.from_numpy(np.ascontiguousarray(weights, dtype=np.float32))
        (folder / "config.json").write_text(json.dumps({"model_type": "llama", "quantization_config": config}, indent=1) + "\n")
        save_file(tensors, folder / "model.safetensors")
        save_file(expected, folder / "expected.safetensors")


if __name__ == "__main__":
    main()
