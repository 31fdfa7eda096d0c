#!/usr/bin/env python3
"""Writes tests/data/graph/{shape,movement,vision}_cases.json: operations with random inputs, OpenVINO's results and the shapes it infers.

Needs the openvino package; deterministic. Run from anywhere: python3 tests/graph/make_op_cases_b.py
"""
import json
import pathlib
import re
import tempfile
import xml.etree.ElementTree as ElementTree

import numpy as np
import openvino as ov
from openvino import opset1, opset4, opset6, opset7, opset8, opset9, opset11, opset12, opset13, opset14, opset15, opset16
from openvino.utils.node_factory import NodeFactory

DATA = pathlib.Path(__file__).resolve().parent.parent / "data" / "graph"
CORE = ov.Core()
RNG = np.random.default_rng(7)


class Const:
    """An input that is a constant of the model: axes, shapes, weights."""

    def __init__(self, values, dtype=np.int64):
        self.array = np.array(values, dtype=dtype)


def i64(*values):
    return Const(list(values), np.int64)


def i32(*values):
    return Const(list(values), np.int32)


def scalar(value, dtype=np.int64):
    return Const(value, dtype)


def floats(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def integers(high, *shape, low=0, dtype=np.int64):
    return RNG.integers(low, high, shape).astype(dtype)


def build(make, inputs, dynamic):
    parameters, nodes = [], []
    for value in inputs:
        if isinstance(value, Const):
            nodes.append(opset13.constant(value.array))
            continue
        shape = [-1] * value.ndim if dynamic else list(value.shape)
        parameters.append(opset13.parameter(shape, value.dtype))
        nodes.append(parameters[-1])
    node = make(*nodes)
    return ov.Model([opset13.result(node.output(i)) for i in range(len(node.outputs()))], parameters), node


def inferred(node):
    """OpenVINO's shapes in Nibble's notation, which has no bounds."""
    shapes = []
    for output in node.outputs():
        shape = output.partial_shape
        shapes.append("..." if shape.rank.is_dynamic else ",".join("?" if d.is_dynamic else str(d.get_length()) for d in shape))
    return shapes


def layer_of(model, node):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.xml"
        ov.serialize(model, path, path.with_suffix(".bin"))
        for layer in ElementTree.parse(path).iter("layer"):
            if layer.get("name") == node.get_friendly_name():
                data = layer.find("data")
                return layer.get("type"), layer.get("version"), dict(data.attrib) if data is not None else {}
    raise KeyError(node.get_friendly_name())


TYPES = {"float32": "f32", "float16": "f16", "int64": "i64", "int32": "i32", "int8": "i8", "uint8": "u8", "bool": "boolean"}


def tensor_json(array):
    values = array.astype(np.int64) if array.dtype == bool else array
    numbers = [float(f"{v:.9g}") if isinstance(v, float) else v for v in values.ravel().tolist()]
    return {"type": TYPES[str(array.dtype)], "shape": list(array.shape), "values": numbers}


def run_reference(node, inputs):
    """OpenVINO's own evaluate, for what its CPU device does differently."""
    outputs = [ov.Tensor(output.get_element_type(), output.get_shape()) for output in node.outputs()]
    if not node.evaluate(outputs, [ov.Tensor(x.array if isinstance(x, Const) else x) for x in inputs]):
        raise RuntimeError("no reference for " + node.get_type_name())
    return [output.data for output in outputs]


def run_cpu(model, inputs):
    compiled = CORE.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    results = compiled([x for x in inputs if not isinstance(x, Const)])
    return [results[i] for i in range(len(model.outputs))]


def case(name, make, *inputs, check_shapes=True, reference=False):
    model, node = build(make, inputs, dynamic=False)
    kind, version, attributes = layer_of(model, node)
    shapes, (_, dynamic_node) = inferred(node), build(make, inputs, dynamic=True)
    results = run_reference(node, inputs) if reference else run_cpu(model, inputs)
    entry = {"name": re.sub(r"\W", "_", name), "type": kind, "opset": version, "attributes": attributes, "inputs": []}
    for value in inputs:
        entry["inputs"].append({**tensor_json(value.array), "constant": True} if isinstance(value, Const) else tensor_json(value))
    entry["outputs"] = [tensor_json(result) for result in results]
    if check_shapes:
        entry["inferred"], entry["inferred_dynamic"] = shapes, inferred(dynamic_node)
    return entry


def shape_cases():
    x = floats(2, 3, 4)
    yield case("shape_of", lambda a: opset8.shape_of(a), x)
    yield case("shape_of_i32", lambda a: opset8.shape_of(a, "i32"), x)
    yield case("shape_of_v1", lambda a: opset1.shape_of(a), x)
    yield case("reshape", lambda a, s: opset1.reshape(a, s, False), x, i64(4, 6))
    yield case("reshape_infer", lambda a, s: opset1.reshape(a, s, False), x, i64(3, -1, 2))
    yield case("reshape_zero", lambda a, s: opset1.reshape(a, s, True), x, i64(0, -1))
    yield case("reshape_zero_tail", lambda a, s: opset1.reshape(a, s, True), x, i64(0, 0, 2, -1))
    yield case("reshape_empty", lambda a, s: opset1.reshape(a, s, False), floats(0, 3), i64(3, 0))
    yield case("reshape_scalar", lambda a, s: opset1.reshape(a, s, False), floats(1, 1), Const([], np.int64))
    y = floats(1, 2, 1, 3)
    yield case("squeeze", lambda a, s: opset1.squeeze(a, s), y, i64(0, -2))
    yield case("squeeze_scalar_axis", lambda a, s: opset1.squeeze(a, s), y, scalar(2))
    yield case("squeeze_all", lambda a: opset15.squeeze(a), y)
    yield case("squeeze_v15", lambda a, s: opset15.squeeze(a, s, True), y, i64(2))
    yield case("unsqueeze", lambda a, s: opset1.unsqueeze(a, s), x, i64(0, -1))
    yield case("unsqueeze_scalar_axis", lambda a, s: opset1.unsqueeze(a, s), x, scalar(1))
    yield case("broadcast", lambda a, s: opset8.broadcast(a, s), floats(3, 1), i64(2, 3, 4))
    yield case("broadcast_scalar", lambda a, s: opset8.broadcast(a, s), scalar(2.5, np.float32), i64(2, 3))
    yield case("broadcast_to_nothing", lambda a, s: opset8.broadcast(a, s), scalar(0, np.float32), i64(2, 0, 3))
    yield case("broadcast_bidirectional", lambda a, s: opset8.broadcast(a, s, broadcast_spec="BIDIRECTIONAL"), floats(2, 1, 3), i64(4, 1))
    yield case("broadcast_explicit", lambda a, s, m: opset8.broadcast(a, s, m, "EXPLICIT"), floats(3, 2), i64(4, 3, 5, 2), i64(1, 3))
    yield case("broadcast_i64", lambda a, s: opset8.broadcast(a, s), integers(9, 1, 4), i64(3, 4))
    yield case("tile", lambda a, r: opset1.tile(a, r), floats(2, 3), i64(2, 3))
    yield case("tile_more_repeats", lambda a, r: opset1.tile(a, r), floats(2, 3), i64(2, 1, 2))
    yield case("tile_fewer_repeats", lambda a, r: opset1.tile(a, r), x, i64(3))
    yield case("tile_none", lambda a, r: opset1.tile(a, r), floats(2, 3), i64(0, 1))
    yield case("range_i64", lambda a, b, c: opset4.range(a, b, c, "i64"), scalar(2), scalar(11), scalar(3))
    yield case("range_down", lambda a, b, c: opset4.range(a, b, c, "i32"), scalar(5), scalar(-4), scalar(-2))
    yield case("range_none", lambda a, b, c: opset4.range(a, b, c, "i64"), scalar(5), scalar(5), scalar(1))
    f = np.float32
    yield case("range_f32", lambda a, b, c: opset4.range(a, b, c, "f32"), scalar(0.5, f), scalar(2.1, f), scalar(0.3, f), check_shapes=False)
    yield case("range_float_to_int", lambda a, b, c: opset4.range(a, b, c, "i64"), scalar(1.9, f), scalar(7.2, f), scalar(2.5, f),
               check_shapes=False)
    yield case("range_v1", lambda a, b, c: opset1.range(a, b, c), scalar(1), scalar(4), scalar(1))
    yield case("eye", lambda a, b, c: opset9.eye(a, b, c, "f32"), scalar(3), scalar(4), scalar(1))
    yield case("eye_below", lambda a, b, c: opset9.eye(a, b, c, "i32"), scalar(4), scalar(3), scalar(-2))
    yield case("eye_batch", lambda a, b, c, d: opset9.eye(a, b, c, "i64", d), scalar(2), scalar(3), scalar(0), i64(2, 2))
    hot = [scalar(4), scalar(2.0, f), scalar(-1.0, f)]
    yield case("one_hot", lambda a, d, x, y: opset1.one_hot(a, d, x, y, -1), np.array([[0, 3], [1, 5]]), *hot)
    yield case("one_hot_axis", lambda a, d, x, y: opset1.one_hot(a, d, x, y, 1), integers(4, 2, 3), *hot)
    yield case("one_hot_normalize", lambda a, d, x, y: opset16.one_hot(a, d, x, y, 0, "normalize"), np.array([-1, -4, 2, -5]), *hot)
    yield case("one_hot_ignore", lambda a, d, x, y: opset16.one_hot(a, d, x, y, 0, "ignore_negative"), np.array([-1, 2]), *hot)
    yield case("non_zero", lambda a: opset8.non_zero(a), np.array([[0.0, -0.0, 1.5], [2, 0, -1]], f))
    yield case("non_zero_bool", lambda a: opset8.non_zero(a, "i32"), np.array([True, False, True]))


def gather_cases():
    x = floats(3, 4, 2)
    yield case("gather", lambda a, i, k: opset8.gather(a, i, k), x, np.array([2, 0, -1]), scalar(0))
    yield case("gather_middle", lambda a, i, k: opset8.gather(a, i, k), x, np.array([[0, 3], [1, 1]]), scalar(1))
    yield case("gather_last", lambda a, i, k: opset8.gather(a, i, k), x, np.array(1), scalar(-1))
    yield case("gather_batch", lambda a, i, k: opset8.gather(a, i, k, 1), x, integers(4, 3, 2), scalar(1))
    yield case("gather_batch_deep", lambda a, i, k: opset8.gather(a, i, k, 1), floats(2, 3, 4), integers(4, 2, 5), scalar(2))
    yield case("gather_negative_batch", lambda a, i, k: opset8.gather(a, i, k, -1), x, integers(4, 3, 2), scalar(1))
    yield case("gather_v7", lambda a, i, k: opset7.gather(a, i, k), x, np.array([1], np.int32), scalar(0))
    yield case("gather_v1", lambda a, i, k: opset1.gather(a, i, k), x, np.array([1, 0], np.int32), scalar(2))
    yield case("gather_i64", lambda a, i, k: opset8.gather(a, i, k), integers(99, 5), np.array([4, 0]), scalar(0))
    yield case("gather_f16", lambda a, i, k: opset8.gather(a, i, k), floats(3, 3).astype(np.float16), np.array([2, 1]), scalar(0))
    yield case("gather_elements", lambda a, i: opset6.gather_elements(a, i, 1), x, integers(4, 3, 6, 2, low=-4), check_shapes=False)
    yield case("gather_elements_first", lambda a, i: opset6.gather_elements(a, i, 0), x, integers(3, 1, 4, 2), check_shapes=False)
    yield case("gather_nd", lambda a, i: opset8.gather_nd(a, i), x, np.array([[2, 0], [1, 3]]))
    yield case("gather_nd_full", lambda a, i: opset8.gather_nd(a, i), x, np.array([[[2, 0, 1]], [[1, 3, 0]]]))
    yield case("gather_nd_batch", lambda a, i: opset8.gather_nd(a, i, 1), x, np.array([[[1]], [[3]], [[0]]]))
    deep = (floats(2, 3, 4), integers(4, 2, 3, 1))
    yield case("gather_nd_batch2", lambda a, i: opset8.gather_nd(a, i, 2), *deep)
    yield case("gather_nd_batch2_v5", lambda a, i: ov.opset5.gather_nd(a, i, 2), *deep, check_shapes=False)


def slice_cases():
    x = floats(4, 5, 6)
    end = np.iinfo(np.int64).max

    def slices(name, *bounds, data=x):
        return case(name, lambda a, b, e, s, *k: opset8.slice(a, b, e, s, *k), data, *bounds)

    yield slices("slice", i64(1), i64(3), i64(1), i64(1))
    yield slices("slice_to_end", i64(2), i64(end), i64(1), i64(-1))
    yield slices("slice_from_end", i64(-3, 0), i64(-1, 2), i64(1, 1), i64(2, 0))
    yield slices("slice_steps", i64(0, 1), i64(99, 5), i64(3, 2))
    yield slices("slice_back", i64(-1), i64(-99), i64(-2), i64(1))
    yield slices("slice_last", i64(-1), i64(-2), i64(-1), i64(1))
    yield slices("slice_nothing", i64(3), i64(1), i64(1), i64(0))
    yield slices("slice_i32", i32(1), i32(2), i32(1), i32(0))
    yield slices("slice_min", i64(end), i64(-end - 1), i64(-1), i64(2))

    def strided(name, begin, end_, step, data=x, **masks):
        names = ["begin_mask", "end_mask", "new_axis_mask", "shrink_axis_mask", "ellipsis_mask"]
        masks = [masks.get(n, [0] * len(begin)) for n in names]
        return case(name, lambda a, b, e, s: opset1.strided_slice(a, b, e, s, *masks), data, i64(*begin), i64(*end_), i64(*step))

    yield strided("strided", [1, 0, 2], [3, 4, 6], [1, 2, 3])
    yield strided("strided_masks", [1, 1, 1], [2, 2, 2], [1, 1, 1], begin_mask=[1, 0, 1], end_mask=[0, 1, 1])
    yield strided("strided_back", [0, 0], [0, 0], [-1, -2], begin_mask=[1, 1], end_mask=[1, 1])
    yield strided("strided_negative", [-2], [-1], [1])
    yield strided("strided_shrink", [2, -1], [3, 0], [1, 1], shrink_axis_mask=[1, 1])
    yield strided("strided_new_axis", [0, 1], [0, 3], [1, 1], new_axis_mask=[1, 0])
    yield strided("strided_ellipsis", [1, 0, 2], [2, 0, 5], [1, 1, 2], ellipsis_mask=[0, 1, 0])
    yield strided("strided_mix", [1, 0, 0, 3], [2, 0, 0, 5], [1, 1, 1, 1], shrink_axis_mask=[1, 0, 0, 0], new_axis_mask=[0, 1, 0, 0],
                  ellipsis_mask=[0, 0, 1, 0])
    yield strided("strided_clipped", [0, -99], [99, 99], [1, 1])


def arrange_cases():
    x = floats(2, 3, 4)
    yield case("concat", lambda a, b: opset1.concat([a, b], 1), x, floats(2, 5, 4))
    yield case("concat_last", lambda a, b, c: opset1.concat([a, b, c], -1), x, floats(2, 3, 1), floats(2, 3, 0))
    yield case("concat_first_i64", lambda a, b: opset1.concat([a, b], 0), integers(9, 2), i64(7))
    yield case("split", lambda a, k: opset1.split(a, k, 2), x, scalar(-1))
    yield case("split_first", lambda a, k: opset1.split(a, k, 3), floats(6, 2), scalar(0))
    yield case("variadic_split", lambda a, k, n: opset1.variadic_split(a, k, n), x, scalar(2), i64(1, 3))
    yield case("variadic_split_rest", lambda a, k, n: opset1.variadic_split(a, k, n), floats(7, 2), scalar(0), i64(2, -1, 1))
    yield case("transpose", lambda a, o: opset1.transpose(a, o), x, i64(2, 0, 1))
    yield case("transpose_heads", lambda a, o: opset1.transpose(a, o), floats(2, 3, 4, 5), i32(0, 2, 1, 3))
    yield case("transpose_reverse", lambda a, o: opset1.transpose(a, o), x, Const([], np.int64))
    yield case("transpose_same", lambda a, o: opset1.transpose(a, o), x, i64(0, 1, 2))
    yield case("transpose_u8", lambda a, o: opset1.transpose(a, o), integers(255, 3, 2, dtype=np.uint8), i64(1, 0))
    yield case("reverse_sequence", lambda a, n: opset1.reverse_sequence(a, n, 0, 1), floats(2, 4, 3), np.array([2, 4]))
    yield case("reverse_sequence_batch_last", lambda a, n: opset1.reverse_sequence(a, n, 2, 0), floats(4, 2, 3), np.array([1, 4, 3]))
    yield case("roll", lambda a, s, k: opset7.roll(a, s, k), x, i64(1), i64(2))
    yield case("roll_more", lambda a, s, k: opset7.roll(a, s, k), x, i64(-1, 7, 2), i64(0, -1, 1))
    yield case("roll_same_axis", lambda a, s, k: opset7.roll(a, s, k), x, i64(1, 1), i64(2, 2))
    yield case("depth_to_space", lambda a: opset1.depth_to_space(a, "blocks_first", 2), floats(1, 8, 2, 3))
    yield case("depth_to_space_depth", lambda a: opset1.depth_to_space(a, "depth_first", 2), floats(1, 8, 2, 3))
    yield case("space_to_depth", lambda a: opset1.space_to_depth(a, "blocks_first", 2), floats(1, 2, 4, 6))
    yield case("space_to_depth_depth", lambda a: opset1.space_to_depth(a, "depth_first", 3), floats(2, 2, 3, 6))
    yield case("shuffle_channels", lambda a: opset8.shuffle_channels(a, 1, 3), floats(2, 6, 2))
    for mode in ("constant", "edge", "reflect", "symmetric"):
        yield case("pad_" + mode, lambda a, b, e: opset12.pad(a, b, e, mode), floats(3, 4), i64(1, 2), i64(2, 0))
    yield case("pad_value", lambda a, b, e, v: opset1.pad(a, b, e, "constant", v), floats(2, 2), i64(0, 1), i64(1, 1), scalar(7, np.float32))
    yield case("pad_crop", lambda a, b, e, v: opset12.pad(a, b, e, "constant", v), floats(4, 3), i64(-1, 1), i64(1, -2),
               scalar(7, np.float32))
    yield case("pad_crop_reflect", lambda a, b, e: opset12.pad(a, b, e, "reflect"), floats(5), i64(-1), i64(2))
    yield case("bucketize", lambda a, b: opset8.bucketize(a, b, "i64", True), floats(2, 3), Const([-1, 0, 0.5, 1], np.float32))
    exact = np.array([-1, 0, 0.25, 1, 3], np.float32)
    yield case("bucketize_right", lambda a, b: opset8.bucketize(a, b, "i32", True), exact, Const([-1, 0, 1], np.float32))
    yield case("bucketize_left", lambda a, b: opset8.bucketize(a, b, "i64", False), exact, Const([-1, 0, 1], np.float32))
    rows = np.sort(integers(9, 2, 5), axis=-1)
    yield case("search_sorted", lambda a, b: opset15.search_sorted(a, b, False), rows, integers(9, 2, 3))
    yield case("search_sorted_right", lambda a, b: opset15.search_sorted(a, b, True), rows, integers(9, 2, 3))
    yield case("search_sorted_one", lambda a, b: opset15.search_sorted(a, b, True), np.array([1, 3, 3, 7]), integers(9, 2, 2))
    limits = [Const(v, np.float32) for v in (-1.0, [[0.5], [1.0], [1.5]], [-2.0], 2.0)]
    yield case("fake_quantize", lambda a, b, c, d, e: opset13.fake_quantize(a, b, c, d, e, 16), floats(2, 3, 4), *limits)


def scatter_cases():
    x = floats(4, 3)
    rows = floats(2, 3)
    yield case("scatter_update", lambda a, i, u, k: opset8.scatter_update(a, i, u, k), x, np.array([2, 0]), rows, scalar(0))
    yield case("scatter_update_axis", lambda a, i, u, k: opset8.scatter_update(a, i, u, k), floats(2, 4, 2), np.array([[3, 0]]),
               floats(2, 1, 2, 2), scalar(1))
    yield case("scatter_nd", lambda a, i, u: opset8.scatter_nd_update(a, i, u), x, np.array([[3], [1]]), rows)
    yield case("scatter_nd_single", lambda a, i, u: opset8.scatter_nd_update(a, i, u), x, np.array([[3, 2], [0, 0]]), floats(2))
    yield case("scatter_nd_nothing", lambda a, i, u: opset8.scatter_nd_update(a, i, u), x, np.zeros((0, 2), np.int64), floats(0))
    for reduction in ("none", "sum", "sub", "prod", "min", "max"):
        yield case("scatter_nd_" + reduction, lambda a, i, u: opset15.scatter_nd_update(a, i, u, reduction), x,
                   np.array([[1], [-2]]) if reduction == "none" else np.array([[1], [1]]), rows)
    yield case("scatter_elements", lambda a, i, u, k: opset12.scatter_elements_update(a, i, u, k), x, np.array([[0, 2], [1, -1]]),
               floats(2, 2), scalar(1))
    yield case("scatter_elements_v3", lambda a, i, u, k: ov.opset3.scatter_elements_update(a, i, u, k), x, np.array([[3, 2, 0]]),
               floats(1, 3), scalar(0))
    for reduction in ("sum", "prod", "min", "max", "mean"):
        for initial in (True, False):
            yield case(f"scatter_elements_{reduction}_{initial}",
                       lambda a, i, u, k: opset12.scatter_elements_update(a, i, u, k, reduction, initial), x,
                       np.array([[1, 1, 2], [1, 0, 2]]), floats(2, 3), scalar(0))
    yield case("scatter_elements_mean_i32", lambda a, i, u, k: opset12.scatter_elements_update(a, i, u, k, "mean", True),
               np.array([5, -8, 3], np.int32), np.array([0, 1, 1, 2]), np.array([2, 3, -2, 4], np.int32), scalar(0))
    yield case("scatter_elements_sum_i64", lambda a, i, u, k: opset12.scatter_elements_update(a, i, u, k, "sum", True),
               np.array([5, -8, 3]), np.array([0, 1, 1, 2]), np.array([2, 3, -2, 4]), scalar(0))


def vision_cases():
    def conv(name, data, filters, strides, begin, end, dilations, auto_pad="explicit", op=opset1.convolution):
        return case(name, lambda a, w: op(a, w, strides, begin, end, dilations, auto_pad), data, Const(filters, np.float32))

    yield conv("conv_1d", floats(2, 3, 9), floats(4, 3, 3), [2], [1], [1], [1])
    yield conv("conv_2d", floats(1, 2, 6, 7), floats(3, 2, 3, 2), [2, 1], [1, 0], [0, 1], [1, 2])
    yield conv("conv_3d", floats(1, 2, 3, 4, 4), floats(2, 2, 2, 2, 2), [1, 2, 2], [0, 0, 0], [1, 0, 0], [1, 1, 1])
    yield conv("conv_upper", floats(1, 1, 6, 5), floats(2, 1, 4, 3), [2, 2], [0, 0], [0, 0], [1, 1], "same_upper")
    yield conv("conv_lower", floats(1, 1, 6, 5), floats(2, 1, 4, 3), [2, 2], [0, 0], [0, 0], [1, 1], "same_lower")
    yield conv("conv_valid", floats(1, 1, 6, 5), floats(2, 1, 4, 3), [1, 1], [0, 0], [0, 0], [1, 1], "valid")
    yield conv("conv_wide_pads", floats(1, 1, 2), floats(1, 1, 2), [3], [4], [5], [1])
    yield conv("group_conv", floats(1, 4, 5, 5), floats(2, 3, 2, 3, 3), [1, 1], [1, 1], [1, 1], [1, 1], op=opset1.group_convolution)
    yield conv("depthwise_1d", floats(2, 3, 8), floats(3, 1, 1, 4), [1], [3], [0], [1], op=opset1.group_convolution)

    def transposed(name, data, filters, strides, begin, end, dilations, padding, op, shape=None, auto_pad="explicit"):
        if shape is None:
            return case(name, lambda a, w: op(a, w, strides, pads_begin=begin, pads_end=end, dilations=dilations, auto_pad=auto_pad,
                                              output_padding=padding), data, Const(filters, np.float32))
        return case(name, lambda a, w, s: op(a, w, strides, s, begin, end, dilations, auto_pad, padding), data,
                    Const(filters, np.float32), Const(shape))

    back, group_back = opset1.convolution_backprop_data, opset1.group_convolution_backprop_data
    yield transposed("conv_back", floats(1, 3, 3, 4), floats(3, 2, 3, 3), [2, 2], [1, 0], [1, 1], [1, 1], [1, 0], back)
    yield transposed("conv_back_1d", floats(2, 2, 5), floats(2, 3, 4), [3], [1], [2], [2], [0], back)
    yield transposed("conv_back_upper", floats(1, 1, 3, 3), floats(1, 1, 3, 4), [2, 2], [0, 0], [0, 0], [1, 1], [0, 0], back, [6, 5],
                     "same_upper")
    yield transposed("group_conv_back", floats(1, 4, 3), floats(2, 2, 3, 2), [2], [0], [0], [1], [0], group_back)

    x = floats(1, 2, 7, 6)
    for rounding in ("floor", "ceil"):
        for exclude in (True, False):
            yield case(f"avg_pool_{rounding}_{exclude}", lambda a: opset1.avg_pool(a, [2, 2], [1, 1], [1, 0], [3, 2], exclude, rounding), x)
    yield case("avg_pool_torch", lambda a: opset14.avg_pool(a, [3, 3], [1, 1], [1, 1], [2, 2], False, "ceil_torch"), x)
    yield case("avg_pool_upper", lambda a: opset1.avg_pool(a, [2, 2], [0, 0], [0, 0], [3, 3], True, "floor", "same_upper"), x)
    yield case("max_pool_v1", lambda a: opset1.max_pool(a, [2, 2], [1, 1], [1, 1], [3, 3], "ceil"), x)
    yield case("max_pool", lambda a: opset8.max_pool(a, [2, 1], [1, 2], [0, 1], [0, 1], [3, 2]), x)
    yield case("max_pool_places", lambda a: opset8.max_pool(a, [2, 2], [1, 1], [0, 0], [0, 0], [2, 2], "floor", "explicit", "i32", 2), x)
    yield case("max_pool_torch", lambda a: opset14.max_pool(a, [3, 3], [1, 1], [1, 1], [1, 1], [2, 2], "ceil_torch"), x)
    yield case("adaptive_avg_pool", lambda a, s: opset8.adaptive_avg_pool(a, s), x, i64(3, 4))

    y = floats(1, 2, 5, 4)
    coordinates = ("half_pixel", "pytorch_half_pixel", "asymmetric", "tf_half_pixel_for_nn", "align_corners")
    for mode in ("nearest", "linear", "linear_onnx", "cubic"):
        for coordinate in coordinates:
            for size in ([8, 9], [3, 2]):
                yield case(f"interpolate_{mode}_{coordinate}_{size[0]}",
                           lambda a, s, k: opset11.interpolate(a, s, mode, "sizes", [0] * 4, [0] * 4, coordinate, "round_prefer_floor",
                                                               False, -0.75, k), y, i64(*size), i64(2, 3))
    for nearest in ("round_prefer_ceil", "floor", "ceil", "simple"):
        for size in ([8, 9], [3, 2]):
            yield case(f"interpolate_{nearest}_{size[0]}",
                       lambda a, s, k: opset11.interpolate(a, s, "nearest", "sizes", [0] * 4, [0] * 4, "half_pixel", nearest, False, -0.75,
                                                           k), y, i64(*size), i64(2, 3))
    scales = Const([1.7, 0.6], np.float32)
    yield case("interpolate_scales", lambda a, s, k: opset11.interpolate(a, s, "linear_onnx", "scales", [0] * 4, [0] * 4, "half_pixel",
                                                                         "round_prefer_floor", False, -0.75, k), y, scales, i64(2, 3))
    yield case("interpolate_antialias", lambda a, s, k: opset11.interpolate(a, s, "linear", "sizes", [0] * 4, [0] * 4, "half_pixel",
                                                                            "round_prefer_floor", True, -0.75, k), y, i64(2, 2), i64(2, 3),
               reference=True)
    attributes = {"mode": "nearest", "shape_calculation_mode": "scales", "pads_begin": [0, 0, 1, 0], "pads_end": [0, 0, 0, 2],
                  "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    yield case("interpolate_v4", lambda *inputs: NodeFactory("opset4").create("Interpolate", list(inputs), attributes), y, i64(0, 0),
               Const([2.0, 1.5], np.float32), i64(2, 3))


def movement_cases():
    for cases in (gather_cases, slice_cases, arrange_cases, scatter_cases):
        yield from cases()


def main():
    DATA.mkdir(parents=True, exist_ok=True)
    for name, cases in (("shape", shape_cases), ("movement", movement_cases), ("vision", vision_cases)):
        lines = [json.dumps(entry) for entry in cases()]
        (DATA / f"{name}_cases.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")
        print(f"{name}_cases.json: {len(lines)} cases")


if __name__ == "__main__":
    main()
