"""Writes tests/data/graph/{elementwise,reduction,matmul}_cases.json: single operations, run by OpenVINO's CPU device.

Needs the Python package openvino. Each case is a layer as OpenVINO serializes it (type, opset, attributes), its inputs and
the outputs that OpenVINO computes (or that NumPy does, where the CPU device cannot run the case). Usage: python3 make_op_cases_a.py
"""

import json
import pathlib
import tempfile
import xml.etree.ElementTree as ET

import numpy as np
import openvino as ov
from openvino import opset1, opset2, opset3, opset4, opset5, opset6, opset7, opset8, opset9, opset10, opset11, opset12, opset13 as o

CORE = ov.Core()
DATA = pathlib.Path(__file__).parent.parent / "data" / "graph"
RNG = np.random.default_rng(20240)


def floats(*shape, low=-3.0, high=3.0, dtype=np.float32):
    return RNG.uniform(low, high, shape).astype(dtype)


def ints(*shape, low=-9, high=10, dtype=np.int64):
    return RNG.integers(low, high, shape).astype(dtype)


def bools(*shape):
    return RNG.integers(0, 2, shape).astype(bool)


def i64(*values):
    return np.array(values, np.int64)


def scalar(value, dtype=np.int64):
    return np.array(value, dtype)


class Constant:
    """An input that is part of the model."""

    def __init__(self, array):
        self.array = np.asarray(array)


def number(value):
    value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return "nan" if np.isnan(value) else "inf" if value > 0 else "-inf"
    return float(f"{value:.9g}") if isinstance(value, float) else value


def tensor(array, constant=False):
    names = {"bool": "boolean", "float16": "f16", "float32": "f32", "float64": "f64"}
    kind = names.get(array.dtype.name, array.dtype.name.replace("uint", "u").replace("int", "i"))
    out = {"type": kind, "shape": list(array.shape), "values": [number(v) for v in array.reshape(-1)]}
    if constant:
        out["constant"] = True
    return out


def layer_of(model, name):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.xml"
        ov.serialize(model, path)
        layers = [layer for layer in ET.parse(path).getroot().find("layers") if layer.get("name") == name]
    data = layers[0].find("data")
    return layers[0].get("type"), layers[0].get("version"), dict(data.attrib) if data is not None else {}


def case(cases, name, build, *inputs, expected=None):
    """Adds the operation that build(*nodes) makes. `expected` stands in for outputs that the CPU device cannot give."""
    arrays = [x.array if isinstance(x, Constant) else x for x in inputs]
    fixed = [isinstance(x, Constant) for x in inputs]
    nodes = [o.constant(a) if c else o.parameter(list(a.shape), a.dtype) for a, c in zip(arrays, fixed)]
    node = build(*nodes)
    node.set_friendly_name("operation")
    model = ov.Model([node.output(i) for i in range(node.get_output_size())], [n for n, c in zip(nodes, fixed) if not c])
    kind, opset, attributes = layer_of(model, "operation")
    if expected is None:
        feeds = [a for a, c in zip(arrays, fixed) if not c]
        results = CORE.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(feeds)
        expected = [results[i] for i in range(len(model.outputs))]
    cases.append(
        {
            "name": name,
            "type": kind,
            "opset": opset,
            "attributes": attributes,
            "inputs": [tensor(a, c) for a, c in zip(arrays, fixed)],
            "outputs": [tensor(a) for a in expected],
        }
    )


def elementwise():
    cases = []
    arithmetic = ["add", "subtract", "multiply", "divide", "maximum", "minimum", "mod", "floor_mod", "squared_difference"]
    for name in arithmetic:
        op = getattr(o, name)
        case(cases, name + "_same", op, floats(2, 3, 4), floats(2, 3, 4))
        case(cases, name + "_broadcast", op, floats(2, 1, 4), floats(3, 1))
        case(cases, name + "_f16", op, floats(2, 5, dtype=np.float16), floats(5, low=0.5, dtype=np.float16))
        divisor = ints(3, 4, dtype=np.int32, low=1, high=6) * np.where(bools(3, 4), 1, -1).astype(np.int32)
        dividend = ints(3, 4, dtype=np.int32)
        # The CPU device truncates integer quotients whatever m_pythondiv says; the operation's definition rounds down.
        case(cases, name + "_i32", op, dividend, divisor, expected=[dividend // divisor] if name == "divide" else None)
    case(cases, "power", o.power, floats(2, 3, low=0.1), floats(2, 1))
    case(cases, "power_square", o.power, floats(2, 3), floats(1, 1, low=2, high=2))
    case(cases, "power_rsqrt", o.power, floats(2, 3, low=0.1), scalar(-0.5, np.float32))
    case(cases, "divide_truncates", o.divide, ints(3, 4, dtype=np.int32), ints(4, low=1, dtype=np.int32))
    cases[-1]["attributes"]["m_pythondiv"] = "false"
    big = i64(2**62 + 1, -(2**62) - 1, 2**53 + 1)
    case(cases, "add_i64_exact", o.add, big, i64(3, -5, 1), expected=[big + i64(3, -5, 1)])
    exact = i64(2**62 - 1, 3 * 2**60, -35)
    case(cases, "multiply_i64_exact", o.multiply, i64(2**31 + 1, 3, -7), i64(2**31 - 1, 2**60, 5), expected=[exact])
    case(cases, "add_scalar_to_4d", o.add, floats(2, 3, 1, 2), scalar(1.5, np.float32))
    case(cases, "multiply_row_per_group", o.multiply, floats(4, 3, 8), floats(4, 3, 1))
    case(cases, "add_outer", o.add, floats(3, 1, 2, 1), floats(1, 4, 1, 5))
    case(cases, "add_empty", o.add, floats(0, 3), floats(1, 3))
    case(cases, "add_pdpd", lambda a, b: o.add(a, b, auto_broadcast="NUMPY"), floats(2, 3, 4, 5), floats(1, 3, 4, 1))
    cases[-1]["attributes"] = {"auto_broadcast": "pdpd", "axis": "1"}
    cases[-1]["inputs"][1]["shape"] = [3, 4]
    case(cases, "add_none", lambda a, b: o.add(a, b, auto_broadcast="NONE"), floats(2, 3), floats(2, 3))
    for name in ["equal", "not_equal", "less", "less_equal", "greater", "greater_equal"]:
        op = getattr(o, name)
        case(cases, name + "_i64", op, ints(3, 4, low=0, high=3), ints(4, low=0, high=3))
        case(cases, name + "_f32", op, ints(3, 4, low=0, high=3, dtype=np.float32), ints(3, 1, low=0, high=3, dtype=np.float32))
    case(cases, "equal_boolean", o.equal, bools(2, 4), bools(4))
    for name in ["logical_and", "logical_or", "logical_xor"]:
        case(cases, name, getattr(o, name), bools(3, 4), bools(3, 1))
    case(cases, "logical_not", o.logical_not, bools(3, 4))
    for name in ["bitwise_and", "bitwise_or", "bitwise_xor"]:
        case(cases, name + "_boolean", getattr(o, name), bools(3, 4), bools(1, 4))
        case(cases, name + "_i32", getattr(o, name), ints(3, 4, dtype=np.int32), ints(4, dtype=np.int32))
    case(cases, "bitwise_not_boolean", o.bitwise_not, bools(3, 4))
    case(cases, "bitwise_not_u8", o.bitwise_not, ints(3, 4, low=0, high=255, dtype=np.uint8))
    case(cases, "select", o.select, bools(2, 3, 4), floats(3, 4), floats(1))
    case(cases, "select_mask", o.select, bools(2, 1, 3, 3), scalar(0, np.float32), scalar(-65504, np.float32))
    case(cases, "select_i64", o.select, bools(3, 1), ints(1, 4), ints(3, 4))
    case(cases, "select_boolean", o.select, bools(4), bools(2, 4), bools(1))
    for target in ["f16", "f32", "i32", "i64", "u8", "boolean"]:
        case(cases, "convert_f32_to_" + target, lambda x, t=target: o.convert(x, t), floats(3, 4, low=0, high=9))
        case(cases, "convert_i32_to_" + target, lambda x, t=target: o.convert(x, t), ints(3, 4, low=0, dtype=np.int32))
    case(cases, "convert_boolean_to_f32", lambda x: o.convert(x, "f32"), bools(3, 4))
    case(cases, "convert_negative_to_i32", lambda x: o.convert(x, "i32"), floats(3, 4))
    case(cases, "convert_like", o.convert_like, floats(3, 4, low=0, high=9), ints(1, dtype=np.int32))
    wide = np.concatenate([floats(20, low=-8, high=8), np.array([0, -0.0, 30, -30, 1e-4], np.float32)])
    for name in "sin cos tan sinh cosh tanh asin acos atan asinh acosh atanh sqrt exp log erf".split():
        low, high = {"asin": (-0.99, 0.99), "acos": (-0.99, 0.99), "atanh": (-0.9, 0.9), "acosh": (1.1, 4)}.get(name, (-2.5, 2.5))
        low = 0.05 if name in ("sqrt", "log") else low
        case(cases, name, getattr(o, name), floats(3, 5, low=low, high=high))
    for name in "abs negative sign floor ceiling sigmoid relu mish hswish hsigmoid softsign".split():
        op = opset9.softsign if name == "softsign" else getattr(o, name)
        case(cases, name, op, wide)
    case(cases, "softplus", o.softplus, wide)
    case(cases, "exp_f16", o.exp, floats(3, 5, dtype=np.float16))
    case(cases, "sigmoid_f16", o.sigmoid, floats(3, 5, dtype=np.float16))
    for name in ["abs", "negative", "sign", "relu"]:
        case(cases, name + "_i32", getattr(o, name), ints(3, 4, dtype=np.int32))
    halves = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 0.49, 3.7, -3.2], np.float32)
    case(cases, "round_to_even", lambda x: o.round(x, "half_to_even"), halves)
    case(cases, "round_away", lambda x: o.round(x, "half_away_from_zero"), halves)
    case(cases, "clamp", lambda x: o.clamp(x, -1.5, 2.0), wide)
    case(cases, "clamp_upper", lambda x: o.clamp(x, float(np.finfo("f").min), 7.0), wide)
    case(cases, "clamp_i32", lambda x: o.clamp(x, -2.5, 3.5), ints(3, 4, dtype=np.int32))
    case(cases, "elu", lambda x: o.elu(x, 0.7), wide)
    case(cases, "gelu_erf", lambda x: o.gelu(x, "erf"), wide)
    case(cases, "gelu_tanh", lambda x: o.gelu(x, "tanh"), wide)
    case(cases, "gelu_opset2", opset2.gelu, wide)
    case(cases, "swish", o.swish, wide)
    case(cases, "swish_beta", lambda x, b: o.swish(x, b), wide, Constant(scalar(1.702, np.float32)))
    hard = [Constant(scalar(v, np.float32)) for v in (0.2, 0.5)]
    case(cases, "hard_sigmoid", o.hard_sigmoid, wide, *hard)
    case(cases, "selu", o.selu, wide, *[Constant(scalar(v, np.float32)) for v in (1.67, 1.05)])
    case(cases, "prelu_channels", o.prelu, floats(2, 3, 4), Constant(floats(3)))
    case(cases, "prelu_single", o.prelu, floats(2, 3, 4), Constant(floats(1)))
    odd = np.array([1, np.nan, np.inf, -np.inf, 0, -2], np.float32)
    case(cases, "is_nan", opset10.is_nan, odd)
    case(cases, "is_inf", opset10.is_inf, odd)
    case(cases, "is_inf_negative", lambda x: opset10.is_inf(x, {"detect_positive": False}), odd)
    case(cases, "is_finite", opset10.is_finite, odd)
    return cases


def reduction():
    cases = []
    for name in ["mean", "sum", "prod", "max", "min", "l1", "l2"]:
        op = getattr(o, "reduce_" + name)
        case(cases, f"{name}_last", lambda x, a: op(x, a, keep_dims=True), floats(2, 3, 5), Constant(i64(-1)))
        case(cases, f"{name}_middle", lambda x, a: op(x, a, keep_dims=False), floats(2, 3, 4), Constant(i64(1)))
        case(cases, f"{name}_two", lambda x, a: op(x, a, keep_dims=False), floats(2, 3, 4, 2), Constant(i64(0, -1)))
        case(cases, f"{name}_all", lambda x, a: op(x, a, keep_dims=False), floats(2, 3), Constant(i64(0, 1)))
        case(cases, f"{name}_i32", lambda x, a: op(x, a, keep_dims=True), ints(3, 4, low=1, high=6, dtype=np.int32), Constant(i64(1)))
    case(cases, "mean_scalar_axis", lambda x, a: o.reduce_mean(x, a, keep_dims=True), floats(2, 3, 4), Constant(scalar(2)))
    case(cases, "sum_f16", lambda x, a: o.reduce_sum(x, a, keep_dims=True), floats(2, 6, dtype=np.float16), Constant(i64(1)))
    case(cases, "sum_no_axes", lambda x, a: o.reduce_sum(x, a, keep_dims=False), row := floats(2, 3), Constant(i64()), expected=[row])
    case(cases, "sum_runtime_axes", lambda x, a: o.reduce_sum(x, a, keep_dims=True), floats(2, 3, 2), i64(0, 2))
    for name in ["reduce_logical_and", "reduce_logical_or"]:
        case(cases, name, lambda x, a: getattr(o, name)(x, a, keep_dims=False), bools(6, 3), Constant(i64(1)))
    for exclusive in (False, True):
        for reverse in (False, True):
            op = lambda x, a: opset3.cum_sum(x, a, exclusive=exclusive, reverse=reverse)
            case(cases, f"cum_sum_{exclusive}_{reverse}", op, floats(2, 5, 3), Constant(scalar(1)))
    case(cases, "cum_sum_i64", lambda x, a: opset3.cum_sum(x, a), ints(2, 6), Constant(scalar(-1)))
    for mode in ("max", "min"):
        for sort in ("value", "index"):
            op = lambda x, k: opset11.topk(x, k, -1, mode, sort, "i64")
            case(cases, f"top_k_{mode}_{sort}", op, floats(3, 7), Constant(scalar(3)))
    case(cases, "top_k_axis_0", lambda x, k: opset11.topk(x, k, 0, "max", "value", "i32"), floats(5, 2, 3), Constant(scalar(2)))
    stable = lambda x, k: opset11.topk(x, k, 1, "max", "value", "i32", stable=True)
    case(cases, "top_k_stable", stable, ints(2, 9, low=0, high=3, dtype=np.float32), Constant(scalar(5)))
    least = lambda x, k: opset11.topk(x, k, 1, "min", "value", "i32", stable=True)
    case(cases, "top_k_i32", least, ints(2, 6, dtype=np.int32), Constant(scalar(4)))
    case(cases, "top_k_opset3", lambda x, k: opset3.topk(x, k, 1, "max", "value", "i32"), floats(2, 6), Constant(scalar(1)))
    case(cases, "top_k_opset1", lambda x, k: opset1.topk(x, k, 1, "max", "value", "i32"), floats(2, 6), Constant(scalar(6)))
    case(cases, "softmax_last", lambda x: opset8.softmax(x, -1), floats(2, 3, 5))
    case(cases, "softmax_middle", lambda x: opset8.softmax(x, 1), floats(2, 3, 4))
    case(cases, "softmax_opset1", lambda x: opset1.softmax(x, 0), floats(4, 3))
    case(cases, "softmax_large", lambda x: opset8.softmax(x, -1), floats(2, 6, low=-900, high=900))
    case(cases, "softmax_f16", lambda x: opset8.softmax(x, -1), floats(2, 6, dtype=np.float16))
    case(cases, "log_softmax", lambda x: opset5.log_softmax(x, 1), floats(2, 5, 3))
    for mode in ("INSIDE_SQRT", "OUTSIDE_SQRT"):
        op = lambda x, a: opset6.mvn(x, a, True, 0.01, mode)
        case(cases, "mvn_" + mode.lower(), op, floats(2, 3, 8), Constant(np.array([-1], np.int32)))
    case(cases, "mvn_two_axes", lambda x, a: opset6.mvn(x, a, True, 1e-5, "INSIDE_SQRT"), floats(2, 3, 4, 5), Constant(i64(2, 3)))
    case(cases, "mvn_first_axis", lambda x, a: opset6.mvn(x, a, True, 1e-5, "INSIDE_SQRT"), floats(6, 3), Constant(i64(0)))
    case(cases, "mvn_mean_only", lambda x, a: opset6.mvn(x, a, False, 1e-5, "INSIDE_SQRT"), floats(2, 8), Constant(i64(1)))
    for mode in ("add", "max"):
        case(cases, "normalize_l2_" + mode, lambda x, a: o.normalize_l2(x, a, 0.5, mode), floats(2, 3, 4, 2), Constant(i64(1)))
    group = lambda x, s, b: opset12.group_normalization(x, s, b, 2, 1e-4)
    case(cases, "group_normalization", group, floats(2, 6, 3, 2), floats(6), floats(6))
    batch = lambda x, g, b, m, v: opset5.batch_norm_inference(x, g, b, m, v, 1e-3)
    case(cases, "batch_norm", batch, floats(2, 3, 4, 2), *[Constant(floats(3, low=0.2)) for _ in range(4)])
    return cases


def matmul():
    cases = []
    case(cases, "plain", lambda a, b: o.matmul(a, b, False, False), floats(3, 5), floats(5, 4))
    case(cases, "transpose_b", lambda a, b: o.matmul(a, b, False, True), floats(2, 3, 19), floats(7, 19))
    case(cases, "transpose_a", lambda a, b: o.matmul(a, b, True, False), floats(2, 5, 3), floats(2, 5, 4))
    case(cases, "transpose_both", lambda a, b: o.matmul(a, b, True, True), floats(5, 3), floats(4, 5))
    case(cases, "batch_broadcast", lambda a, b: o.matmul(a, b, False, False), floats(2, 1, 3, 5), floats(4, 5, 2))
    case(cases, "batch_of_weights", lambda a, b: o.matmul(a, b, False, True), floats(3, 4, 9), floats(3, 5, 9))
    case(cases, "vector_left", lambda a, b: o.matmul(a, b, False, False), floats(5), floats(2, 5, 4))
    case(cases, "vector_right", lambda a, b: o.matmul(a, b, False, False), floats(2, 3, 5), floats(5))
    case(cases, "two_vectors", lambda a, b: o.matmul(a, b, False, False), floats(5), floats(5))
    case(cases, "vectors_ignore_transposes", lambda a, b: o.matmul(a, b, True, True), floats(5), floats(4, 5))
    case(cases, "f16", lambda a, b: o.matmul(a, b, False, True), floats(3, 8, dtype=np.float16), floats(4, 8, dtype=np.float16))
    case(cases, "i32", lambda a, b: o.matmul(a, b, False, False), ints(3, 4, dtype=np.int32), ints(4, 2, dtype=np.int32))
    case(cases, "empty_rows", lambda a, b: o.matmul(a, b, False, True), floats(0, 4), floats(3, 4), expected=[floats(0, 3)])
    case(cases, "empty_depth", lambda a, b: o.matmul(a, b, False, False), floats(2, 0), floats(0, 3), expected=[np.zeros((2, 3), "f")])
    einsums = {
        "matmul": ("ij,jk->ik", [(2, 3), (3, 4)]),
        "batched": ("bij,bjk->bik", [(2, 2, 3), (2, 3, 4)]),
        "attention": ("bhqd,bhkd->bhqk", [(1, 2, 3, 4), (1, 2, 5, 4)]),
        "sum": ("ij->i", [(3, 4)]),
        "transpose": ("ijk->kij", [(2, 3, 4)]),
        "outer": ("i,j->ij", [(3,), (4,)]),
        "dot": ("i,i->", [(5,), (5,)]),
        "implicit": ("ba,ca", [(2, 3), (4, 3)]),
        "ellipsis": ("...ij,...jk->...ik", [(2, 1, 3, 4), (5, 4, 2)]),
        "diagonal": ("ii->i", [(4, 4)]),
        "three": ("ij,jk,kl->il", [(2, 3), (3, 2), (2, 4)]),
    }
    for name, (equation, shapes) in einsums.items():
        case(cases, "einsum_" + name, lambda *x: opset7.einsum(list(x), equation), *[floats(*s) for s in shapes])
    attention = o.scaled_dot_product_attention
    qkv = lambda: [floats(2, 3, 4, 8), floats(2, 3, 6, 8), floats(2, 3, 6, 5)]
    same = lambda: [floats(2, 3, 4, 8), floats(2, 3, 6, 8), floats(2, 3, 6, 8)]
    case(cases, "sdpa", attention, *same())
    case(cases, "sdpa_value_width", attention, *qkv())
    case(cases, "sdpa_three_dimensions", attention, floats(3, 4, 8), floats(3, 6, 8), floats(3, 6, 8))
    case(cases, "sdpa_mask", attention, *same(), floats(2, 1, 4, 6))
    case(cases, "sdpa_mask_per_key", attention, *same(), floats(2, 1, 1, 6))
    open_mask = bools(2, 1, 4, 6)
    open_mask[..., 0] = True
    case(cases, "sdpa_boolean_mask", attention, *same(), open_mask)
    case(cases, "sdpa_scalar_mask", attention, *same(), scalar(0, np.float32))
    case(cases, "sdpa_scale", lambda q, k, v, m, s: attention(q, k, v, m, s), *same(), floats(4, 6), Constant(scalar(0.7, np.float32)))
    causal = lambda q, k, v: attention(q, k, v, causal=True)
    case(cases, "sdpa_causal", causal, *same())
    case(cases, "sdpa_causal_more_queries", causal, floats(1, 2, 6, 4), floats(1, 2, 4, 4), floats(1, 2, 4, 4))
    case(cases, "sdpa_masked_by_f16_lowest", attention, floats(1, 2, 3, 4), floats(1, 2, 4, 4), floats(1, 2, 4, 4),
         np.where(bools(1, 1, 3, 4), 0, -65504).astype(np.float32))
    case(cases, "sdpa_groups", attention, floats(2, 2, 3, 4, 8), floats(2, 2, 1, 6, 8), floats(2, 2, 1, 6, 8))
    case(cases, "sdpa_f16", attention, *[x.astype(np.float16) for x in same()])
    return cases


def main():
    DATA.mkdir(parents=True, exist_ok=True)
    for make in (elementwise, reduction, matmul):
        lines = ",\n".join(json.dumps(c, separators=(",", ":")) for c in make())
        (DATA / f"{make.__name__}_cases.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
