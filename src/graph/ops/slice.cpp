#include <algorithm>
#include <limits>

#include "base/fail.hpp"
#include "graph/ops/dimensions.hpp"
#include "graph/ops/elements.hpp"
#include "graph/ops/tables.hpp"

namespace nibble {

namespace {

AxisMap to_map(const StepRange& indices) {
  AxisMap map = make_map(indices.count);
  for (int64_t i = 0; i < indices.count; ++i) map[static_cast<size_t>(i)] = indices.first + i * indices.step;
  return map;
}

/// Start, stop and step of an axis as far as they are known.
struct Bounds {
  PartialInteger start, stop, step;
};

/// Whether start:stop:step takes nothing of an axis of any length: both ends count from the same side, the wrong way round.
bool is_nothing(int64_t start, int64_t stop, int64_t step) {
  return (start < 0) == (stop < 0) && (step > 0 ? start >= stop : start <= stop);
}

int64_t sliced_dim(const Bounds& bounds, int64_t length) {
  if (bounds.step.is_known() && bounds.step.value == 0) fail(ErrorKind::corrupt, "a slice needs a step other than 0");
  if (!bounds.start.is_known() || !bounds.stop.is_known() || !bounds.step.is_known()) return kDynamic;
  if (is_nothing(bounds.start.value, bounds.stop.value, bounds.step.value)) return 0;
  return length == kDynamic ? kDynamic : clip_range(bounds.start.value, bounds.stop.value, bounds.step.value, length).count;
}

/// Axes of a Slice: input 4, or the first ones; nothing when not known.
std::optional<std::vector<size_t>> slice_axes(const Node& node, size_t count, size_t rank) {
  std::vector<int64_t> axes(count);
  for (size_t i = 0; i < count; ++i) axes[i] = static_cast<int64_t>(i);
  if (node.input_count() > 4) {
    auto given = known_integers(node.input(4));
    if (!given) return std::nullopt;
    axes = *given;
  }
  if (axes.size() != count) fail(ErrorKind::corrupt, "{} axes for {} slices", axes.size(), count);
  return normalize_axes(axes, rank);
}

void infer_slice(Node& node) {
  for (size_t i = 1; i < node.input_count(); ++i) {
    require_integers(node, i);
    require_list(node, i);
  }
  PartialShape shape = node.input(0).shape();
  set_output(node, 0, node.input(0).type(), shape.rank_is_known() ? PartialShape::of_rank(shape.rank()) : PartialShape());
  if (!shape.rank_is_known()) return;
  auto start = partial_integers(node.input(1)), stop = partial_integers(node.input(2)), step = partial_integers(node.input(3));
  if (!start || !stop || !step) return;
  if (start->size() != stop->size() || start->size() != step->size())
    fail(ErrorKind::corrupt, "start, stop and step have {}, {} and {} elements", start->size(), stop->size(), step->size());
  auto axes = slice_axes(node, start->size(), shape.rank());
  if (!axes) return;
  for (size_t i = 0; i < axes->size(); ++i) shape[(*axes)[i]] = sliced_dim({(*start)[i], (*stop)[i], (*step)[i]}, shape[(*axes)[i]]);
  node.output_info().shape = shape;
}

void evaluate_slice(EvalContext& context) {
  Tensor data = whole_bytes(context.inputs[0]);
  std::vector<int64_t> start = integers(context, 1), stop = integers(context, 2), step = integers(context, 3);
  std::vector<int64_t> axes;
  for (size_t i = 0; i < start.size(); ++i) axes.push_back(static_cast<int64_t>(i));
  if (context.inputs.size() > 4) axes = integers(context, 4);
  if (stop.size() != start.size() || step.size() != start.size() || axes.size() != start.size())
    fail(ErrorKind::corrupt, "start, stop, step and axes have different lengths");
  std::vector<size_t> normal = normalize_axes(axes, data.rank());
  std::vector<AxisMap> maps = identity_maps(data.shape());
  for (size_t i = 0; i < normal.size(); ++i) maps[normal[i]] = to_map(clip_range(start[i], stop[i], step[i], data.shape()[normal[i]]));
  context.outputs[0] = packed_as(remap_axes(data, maps), context.inputs[0].type());
}

// StridedSlice: its masks say for each position of begin/end/strides what it does.

enum class Action { keep, add_axis, shrink, slice };

struct Position {
  Action action;
  size_t source = 0;  // position in begin, end and strides
  bool open_begin = false, open_end = false;
};

std::vector<bool> mask(const Node& node, std::string_view name, size_t size) {
  std::vector<bool> bits(size, false);
  std::vector<int64_t> values = node.attributes().get_ints(name);
  for (size_t i = 0; i < std::min(size, values.size()); ++i) bits[i] = values[i] != 0;
  return bits;
}

/// What happens to the axes of data of rank `rank`, in the order of the result.
std::vector<Position> plan_positions(const Node& node, size_t count, size_t rank) {
  auto begin = mask(node, "begin_mask", count), end = mask(node, "end_mask", count), add = mask(node, "new_axis_mask", count);
  auto shrink = mask(node, "shrink_axis_mask", count), ellipsis = mask(node, "ellipsis_mask", count);
  if (std::count(ellipsis.begin(), ellipsis.end(), true) > 1) fail(ErrorKind::corrupt, "ellipsis_mask has more than one position");
  size_t named = 0;  // axes of the data that positions stand for
  for (size_t i = 0; i < count; ++i) named += !ellipsis[i] && !add[i];
  if (named > rank) fail(ErrorKind::corrupt, "{} positions for data of rank {}", named, rank);
  size_t rest = rank - named;
  std::vector<Position> plan;
  for (size_t i = 0; i < count; ++i) {
    if (ellipsis[i])
      for (; rest > 0; --rest) plan.push_back({Action::keep});
    else if (add[i])
      plan.push_back({Action::add_axis, i});
    else
      plan.push_back({shrink[i] ? Action::shrink : Action::slice, i, begin[i], end[i]});
  }
  for (; rest > 0; --rest) plan.push_back({Action::keep});
  return plan;
}

/// Open ends replaced by the values that mean them.
Bounds close_bounds(const Position& position, Bounds bounds) {
  auto known = [](int64_t value) { return PartialInteger{PartialInteger::State::known, value}; };
  bool forward = !bounds.step.is_known() || bounds.step.value > 0;
  bool any_open = position.open_begin || position.open_end;
  if (any_open && !bounds.step.is_known()) return {};
  constexpr int64_t kFar = std::numeric_limits<int64_t>::max();
  if (position.open_begin) bounds.start = known(forward ? 0 : kFar);
  if (position.open_end) bounds.stop = known(forward ? kFar : -kFar);
  return bounds;
}

PartialShape strided_shape(const PartialShape& data, const std::vector<Position>& plan, const std::vector<Bounds>& bounds) {
  Shape dims;
  size_t axis = 0;
  for (const Position& position : plan) {
    switch (position.action) {
      case Action::keep: dims.push_back(data[axis++]); break;
      case Action::add_axis: dims.push_back(1); break;
      case Action::shrink: ++axis; break;
      case Action::slice: dims.push_back(sliced_dim(close_bounds(position, bounds[position.source]), data[axis++]));
    }
  }
  return dims;
}

void infer_strided_slice(Node& node) {
  for (size_t i = 1; i < node.input_count(); ++i) {
    require_integers(node, i);
    require_list(node, i);
  }
  const PartialShape& data = node.input(0).shape();
  set_output(node, 0, node.input(0).type(), {});
  auto begin = partial_integers(node.input(1)), end = partial_integers(node.input(2));
  if (!data.rank_is_known() || !begin || !end) return;
  PartialIntegers ones(begin->size(), {PartialInteger::State::known, 1});
  auto step = node.input_count() > 3 ? partial_integers(node.input(3)) : ones;
  if (!step) step = PartialIntegers(begin->size());
  if (end->size() != begin->size() || step->size() != begin->size())
    fail(ErrorKind::corrupt, "begin, end and strides have {}, {} and {} elements", begin->size(), end->size(), step->size());
  std::vector<Bounds> bounds;
  for (size_t i = 0; i < begin->size(); ++i) bounds.push_back({(*begin)[i], (*end)[i], (*step)[i]});
  node.output_info().shape = strided_shape(data, plan_positions(node, begin->size(), data.rank()), bounds);
}

AxisMap strided_map(const Position& position, const std::vector<Bounds>& all, int64_t length) {
  if (position.action == Action::keep) return identity_map(length);
  const Bounds& bounds = all[position.source];
  if (position.action == Action::shrink) return {normalize_index(position.open_begin ? 0 : bounds.start.value, length)};
  Bounds closed = close_bounds(position, bounds);
  return to_map(clip_range(closed.start.value, closed.stop.value, closed.step.value, length));
}

void evaluate_strided_slice(EvalContext& context) {
  Tensor data = whole_bytes(context.inputs[0]);
  PartialIntegers begin = to_partial(integers(context, 1)), end = to_partial(integers(context, 2));
  PartialIntegers step(begin.size(), {PartialInteger::State::known, 1});
  if (context.inputs.size() > 3) step = to_partial(integers(context, 3));
  if (end.size() != begin.size() || step.size() != begin.size()) fail(ErrorKind::corrupt, "begin, end and strides have different lengths");
  std::vector<Bounds> bounds;
  for (size_t i = 0; i < begin.size(); ++i) bounds.push_back({begin[i], end[i], step[i]});
  std::vector<Position> plan = plan_positions(context.node, begin.size(), data.rank());
  std::vector<AxisMap> maps;
  for (const Position& position : plan)
    if (position.action != Action::add_axis) maps.push_back(strided_map(position, bounds, data.shape()[maps.size()]));
  Tensor out = remap_axes(data, maps);
  out = out.reshaped(strided_shape(data.shape(), plan, bounds).dims());
  context.outputs[0] = packed_as(out, context.inputs[0].type());
}

}  // namespace

std::span<const OpDef> slice_ops() {
  static const std::vector<OpDef> ops{
      {"Slice", {"opset8"}, 4, 5, 1, infer_slice, evaluate_slice},
      {"StridedSlice", {"opset1"}, 3, 4, 1, infer_strided_slice, evaluate_strided_slice},
  };
  return ops;
}

}  // namespace nibble
