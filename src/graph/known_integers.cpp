#include <algorithm>
#include <limits>
#include <unordered_map>

#include "graph/op_set.hpp"
#include "graph/ops/checked_arithmetic.hpp"
#include "graph/ops/dimensions.hpp"
#include "graph/partial_integers.hpp"
#include "tensor/convert.hpp"

namespace nibble {

namespace {

using State = PartialInteger::State;
using Known = std::optional<PartialIntegers>;

constexpr int64_t kMaxElements = 64;
constexpr int kMaxDepth = 32;
constexpr int kMaxNodes = 256;  // per query: far beyond the shape arithmetic of real models

/// Elements of a tensor of this shape, -1 if they are too many or not known.
int64_t small_count(const PartialShape& shape) {
  if (!shape.is_static()) return -1;
  int64_t count = 1;
  for (int64_t dim : shape.dims()) {
    if (dim > kMaxElements || count * dim > kMaxElements) return -1;
    count *= dim;
  }
  return count;
}

PartialInteger known(int64_t value) { return {State::known, value}; }
PartialInteger not_known(const PartialInteger& a, const PartialInteger& b) { return {std::max(a.state, b.state), 0}; }

PartialInteger apply(CheckedBinary function, const PartialInteger& a, const PartialInteger& b) {
  if (!a.is_known() || !b.is_known()) return not_known(a, b);
  auto value = function(a.value, b.value);
  return value ? known(*value) : PartialInteger{};
}

/// Walks from a value towards what it is computed from. For one query.
class Evaluator {
 public:
  Known value(Value source, int depth);

 private:
  Known compute(Value source, int depth);
  Known input(const Node& node, size_t i, int depth) { return i < node.input_count() ? value(node.input(i), depth + 1) : std::nullopt; }

  Known constant(const Node& node) const;
  Known shape_of(const Node& node) const;
  Known concat(const Node& node, int depth);
  Known gather(const Node& node, int depth);
  Known slice(const Node& node, int depth);
  Known strided_slice(const Node& node, int depth);
  Known split(const Node& node, size_t output, int depth);
  Known convert(const Node& node, int depth);
  Known binary(const Node& node, CheckedBinary function, int depth);
  Known select(const Node& node, int depth);
  Known product(const Node& node, int depth);
  Known repeat(const Node& node, int depth);
  std::optional<int64_t> scalar(const Node& node, size_t i, int depth);

  std::unordered_map<const Node*, std::vector<std::pair<size_t, Known>>> memo_;
  int nodes_ = 0;
};

bool holds_integers(ElementType type) { return is_integer(type) || type == ElementType::boolean; }

Known Evaluator::value(Value source, int depth) {
  if (!source || source.index >= source.node->output_count() || !holds_integers(source.type())) return std::nullopt;
  for (const auto& [index, found] : memo_[source.node])
    if (index == source.index) return found;
  Known found;
  if (depth < kMaxDepth && nodes_++ < kMaxNodes) found = compute(source, depth);
  int64_t count = small_count(source.shape());
  if (found && static_cast<int64_t>(found->size()) > kMaxElements) found.reset();
  if (found && count >= 0 && static_cast<int64_t>(found->size()) != count) found.reset();
  if (!found && count >= 0) found = PartialIntegers(static_cast<size_t>(count));
  memo_[source.node].emplace_back(source.index, found);
  return found;
}

Known Evaluator::compute(Value source, int depth) {
  const Node& node = *source.node;
  std::string_view type = node.type();
  if (type == "Constant") return constant(node);
  if (type == "ShapeOf") return shape_of(node);
  // The order of the elements is what counts here; the inferred shape says how many there should be.
  if (type == "Squeeze" || type == "Unsqueeze" || type == "Reshape") return input(node, 0, depth);
  if (type == "Floor" || type == "Ceiling") return input(node, 0, depth);  // of integers: exporters write floor_divide so
  if (type == "Concat") return concat(node, depth);
  if (type == "Gather") return gather(node, depth);
  if (type == "Slice") return slice(node, depth);
  if (type == "StridedSlice") return strided_slice(node, depth);
  if (type == "Split" || type == "VariadicSplit") return split(node, source.index, depth);
  if (type == "Convert") return convert(node, depth);
  if (type == "Select") return select(node, depth);
  if (type == "ReduceProd") return product(node, depth);
  if (type == "Broadcast") return repeat(node, depth);
  if (CheckedBinary function = checked_binary(node)) return binary(node, function, depth);
  return std::nullopt;
}

Known Evaluator::constant(const Node& node) const {
  int64_t count = small_count(node.output_info().shape);
  if (count < 0 || node.constant().type() != node.output_info().type || node.constant().shape() != node.output_info().shape.dims())
    return std::nullopt;
  return to_partial(to_int64s(node.constant().tensor()));
}

Known Evaluator::shape_of(const Node& node) const {
  const PartialShape& shape = node.input(0).shape();
  if (!shape.rank_is_known() || static_cast<int64_t>(shape.rank()) > kMaxElements) return std::nullopt;
  PartialIntegers dims;
  for (int64_t dim : shape.dims()) dims.push_back(dim == kDynamic ? PartialInteger{State::dimension, 0} : known(dim));
  return dims;
}

bool is_list(Value value) { return value.shape().rank_is_known() && value.shape().rank() == 1; }

/// Lists only: of higher ranks the elements would have to be interleaved.
Known Evaluator::concat(const Node& node, int depth) {
  PartialIntegers all;
  if (node.input_count() > static_cast<size_t>(2 * kMaxElements)) return std::nullopt;
  for (size_t i = 0; i < node.input_count(); ++i) {
    auto part = input(node, i, depth);
    if (!part || !is_list(node.input(i)) || all.size() + part->size() > static_cast<size_t>(kMaxElements)) return std::nullopt;
    all.insert(all.end(), part->begin(), part->end());
  }
  return all;
}

Known Evaluator::gather(const Node& node, int depth) {
  auto data = input(node, 0, depth), indices = input(node, 1, depth);
  if (!data || !indices || !is_list(node.input(0)) || node.attributes().get_int("batch_dims", 0) != 0) return std::nullopt;
  auto size = static_cast<int64_t>(data->size());
  PartialIntegers picked;
  for (const PartialInteger& index : *indices) {
    int64_t at = index.value < 0 ? index.value + size : index.value;
    picked.push_back(index.is_known() && at >= 0 && at < size ? (*data)[static_cast<size_t>(at)] : PartialInteger{});
  }
  return picked;
}

std::optional<int64_t> Evaluator::scalar(const Node& node, size_t i, int depth) {
  auto values = input(node, i, depth);
  if (!values || values->size() != 1 || !values->front().is_known()) return std::nullopt;
  return values->front().value;
}

/// Elements start, start + step, ... before stop, by Python's clipping.
PartialIntegers take(const PartialIntegers& data, int64_t start, int64_t stop, int64_t step) {
  StepRange range = clip_range(start, stop, step, static_cast<int64_t>(data.size()));
  PartialIntegers taken;
  for (int64_t i = 0; i < range.count; ++i) taken.push_back(data[static_cast<size_t>(range.first + i * range.step)]);
  return taken;
}

Known Evaluator::slice(const Node& node, int depth) {
  auto data = input(node, 0, depth);
  auto start = scalar(node, 1, depth), stop = scalar(node, 2, depth), step = scalar(node, 3, depth);
  if (!data || !is_list(node.input(0)) || !start || !stop || !step || *step == 0) return std::nullopt;
  return take(*data, *start, *stop, *step);
}

bool masked(const Node& node, std::string_view name) {
  auto bits = node.attributes().get_ints(name);
  return !bits.empty() && bits[0] != 0;
}

Known Evaluator::strided_slice(const Node& node, int depth) {
  auto data = input(node, 0, depth);
  auto begin = scalar(node, 1, depth), end = scalar(node, 2, depth);
  auto step = node.input_count() > 3 ? scalar(node, 3, depth) : 1;
  if (!data || !is_list(node.input(0)) || !begin || !end || !step || *step == 0) return std::nullopt;
  if (masked(node, "ellipsis_mask") || masked(node, "new_axis_mask")) return std::nullopt;
  constexpr int64_t kFar = std::numeric_limits<int64_t>::max();
  if (masked(node, "shrink_axis_mask")) return take(*data, *begin, *begin == -1 ? kFar : *begin + 1, 1);
  if (masked(node, "begin_mask")) begin = *step > 0 ? 0 : kFar;
  if (masked(node, "end_mask")) end = *step > 0 ? kFar : -kFar;
  return take(*data, *begin, *end, *step);
}

/// The outputs before this one say where it starts.
Known Evaluator::split(const Node& node, size_t output, int depth) {
  auto data = input(node, 0, depth);
  if (!data || !is_list(node.input(0))) return std::nullopt;
  size_t first = 0;
  for (size_t i = 0; i <= output; ++i) {
    int64_t count = small_count(node.output_info(i).shape);
    if (count < 0 || first + static_cast<size_t>(count) > data->size()) return std::nullopt;
    if (i == output) return take(*data, static_cast<int64_t>(first), static_cast<int64_t>(first) + count, 1);
    first += static_cast<size_t>(count);
  }
  return std::nullopt;
}

/// Values that the narrower type cannot hold are not known.
Known Evaluator::convert(const Node& node, int depth) {
  auto data = input(node, 0, depth);
  size_t bits = bit_width(node.output_info().type);
  bool is_wide = bits == 64 || (bits == 32 && node.output_info().type == ElementType::i32);
  if (!data) return std::nullopt;
  for (PartialInteger& value : *data) {
    bool fits = bits == 64 || (value.value >= std::numeric_limits<int32_t>::min() && value.value <= std::numeric_limits<int32_t>::max());
    if (!is_wide || !fits) value = {};
  }
  return data;
}

/// Operands of equal length, or one element against any.
Known Evaluator::binary(const Node& node, CheckedBinary function, int depth) {
  auto a = input(node, 0, depth), b = input(node, 1, depth);
  if (!a || !b) return std::nullopt;
  size_t size = a->size() == 1 ? b->size() : a->size();
  bool same_order = a->size() == b->size() || a->size() == 1 || b->size() == 1;
  bool lists = node.output_info().shape.rank_is_known() && node.output_info().shape.rank() <= 1;
  if (!same_order || !lists) return std::nullopt;
  PartialIntegers results;
  for (size_t i = 0; i < size; ++i) results.push_back(apply(function, (*a)[a->size() == 1 ? 0 : i], (*b)[b->size() == 1 ? 0 : i]));
  return results;
}

Known Evaluator::select(const Node& node, int depth) {
  auto condition = input(node, 0, depth), yes = input(node, 1, depth), no = input(node, 2, depth);
  bool lists = node.output_info().shape.rank_is_known() && node.output_info().shape.rank() <= 1;
  if (!condition || !yes || !no || !lists) return std::nullopt;
  size_t size = std::max({condition->size(), yes->size(), no->size()});
  for (const auto* part : {&*condition, &*yes, &*no})
    if (part->size() != size && part->size() != 1) return std::nullopt;
  auto at = [](const PartialIntegers& part, size_t i) { return part[part.size() == 1 ? 0 : i]; };
  PartialIntegers results;
  for (size_t i = 0; i < size; ++i) {
    PartialInteger chosen = at(*condition, i);
    results.push_back(!chosen.is_known() ? chosen : at(chosen.value ? *yes : *no, i));
  }
  return results;
}

/// Of a whole list.
Known Evaluator::product(const Node& node, int depth) {
  auto data = input(node, 0, depth);
  if (!data || !is_list(node.input(0)) || !scalar(node, 1, depth)) return std::nullopt;
  PartialInteger result = known(1);
  for (const PartialInteger& value : *data) result = apply(checked_multiply, result, value);
  return PartialIntegers{result};
}

/// One element as often as the inferred shape says.
Known Evaluator::repeat(const Node& node, int depth) {
  auto data = input(node, 0, depth);
  int64_t count = small_count(node.output_info().shape);
  if (!data || data->size() != 1 || count < 0) return std::nullopt;
  return PartialIntegers(static_cast<size_t>(count), data->front());
}

}  // namespace

PartialIntegers to_partial(std::span<const int64_t> values) {
  PartialIntegers partial;
  for (int64_t value : values) partial.push_back(known(value));
  return partial;
}

std::optional<PartialIntegers> partial_integers(Value value) { return Evaluator().value(value, 0); }

std::optional<std::vector<int64_t>> known_integers(Value value) {
  auto partial = partial_integers(value);
  if (!partial) return std::nullopt;
  std::vector<int64_t> values;
  for (const PartialInteger& element : *partial) {
    if (element.state == State::unknown) return std::nullopt;
    values.push_back(element.is_known() ? element.value : kDynamic);
  }
  return values;
}

}  // namespace nibble
