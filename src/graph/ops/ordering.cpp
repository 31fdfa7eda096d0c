#include <algorithm>
#include <numeric>

#include "graph/ops/compute.hpp"
#include "graph/ops/dimensions.hpp"
#include "graph/ops/elements.hpp"
#include "graph/ops/tables.hpp"

namespace nibble {

namespace {

void infer_cum_sum(Node& node) {
  infer_like_input(node);
  const PartialShape& shape = node.input(0).shape();
  if (node.input_count() < 2) return;
  require_list(node, 1);
  auto axis = known_scalar(node.input(1));
  if (axis && shape.rank_is_known()) normalize_axis(*axis, shape.rank());
}

struct SumOrder {
  bool exclusive, reverse;
};

template <class C>
C wrapping_sum(C a, C b) {
  if constexpr (std::is_floating_point_v<C>)
    return a + b;
  else
    return static_cast<C>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}

template <class C>
void sum_along(const C* from, C* to, const AxisView& view, SumOrder order) {
  C total = 0;
  for (size_t step = 0; step < view.size; ++step) {
    size_t i = (order.reverse ? view.size - 1 - step : step) * view.inner;
    C next = wrapping_sum(total, from[i]);
    to[i] = order.exclusive ? total : next;
    total = next;
  }
}

void evaluate_cum_sum(EvalContext& context) {
  const Tensor& input = context.inputs[0];
  const Attributes& attributes = context.node.attributes();
  int64_t axis = context.inputs.size() > 1 ? scalar_integer(context, 1) : 0;
  AxisView view(input.shape(), normalize_axis(axis, input.rank()));
  SumOrder order{attributes.get_bool("exclusive", false), attributes.get_bool("reverse", false)};
  with_compute_type(input.type(), [&](auto zero) {
    using C = decltype(zero);
    Tensor values = to_compute<C>(input);
    Tensor out(values.type(), input.shape());
    for (size_t block = 0; block < view.outer; ++block)
      for (size_t i = 0; i < view.inner; ++i) {
        size_t start = block * view.size * view.inner + i;
        sum_along(values.as<C>().data() + start, out.as_mutable<C>().data() + start, view, order);
      }
    context.outputs[0] = convert(out, input.type());
  });
}

enum class Sort { none, value, index };

struct TopKRule {
  bool largest;
  Sort sort;
  explicit TopKRule(const Attributes& attributes) : largest(attributes.equals("mode", "max", "max")) {
    if (!largest && !attributes.equals("mode", "min", "max"))
      fail(ErrorKind::corrupt, "mode=\"{}\" is neither min nor max", attributes.get_string("mode"));
    sort = attributes.equals("sort", "index", "value")  ? Sort::index
           : attributes.equals("sort", "none", "value") ? Sort::none
                                                        : Sort::value;
  }
};

size_t top_k_axis(const Node& node, size_t rank) { return read_axis(node, "axis", -1, rank); }

void require_k(int64_t k, int64_t dim) {
  if (k < 0 || (dim >= 0 && k > dim)) fail(ErrorKind::corrupt, "cannot take {} elements of a dimension of {}", k, dim);
}

void infer_top_k(Node& node) {
  TopKRule{node.attributes()};
  PartialShape shape = node.input(0).shape();
  auto k = known_scalar(node.input(1));
  if (shape.rank_is_known()) {
    int64_t& dim = shape[top_k_axis(node, shape.rank())];
    if (k) require_k(*k, dim);
    dim = k ? *k : kDynamic;
  }
  set_output(node, 0, node.input(0).type(), shape);
  set_output(node, 1, node.attributes().get_type("index_element_type", ElementType::i32), shape);
}

/// Positions of the k first of `length` elements in the order of the rule. Equal elements keep their order; NaN is last.
template <class C>
void choose(const C* from, size_t inner, const TopKRule& rule, size_t k, std::vector<int64_t>& positions) {
  auto before = [&](int64_t a, int64_t b) {
    C x = from[static_cast<size_t>(a) * inner], y = from[static_cast<size_t>(b) * inner];
    bool x_is_number = x == x, y_is_number = y == y;
    if (x_is_number != y_is_number) return x_is_number;
    if (x_is_number && x != y) return rule.largest ? x > y : x < y;
    return a < b;
  };
  auto middle = positions.begin() + static_cast<std::ptrdiff_t>(k);
  std::iota(positions.begin(), positions.end(), 0);
  std::partial_sort(positions.begin(), middle, positions.end(), before);
  if (rule.sort == Sort::index) std::sort(positions.begin(), middle);
}

template <class C>
void top_k(const C* values, const AxisView& view, const TopKRule& rule, size_t k, C* chosen, int64_t* indices) {
  std::vector<int64_t> positions(view.size);
  for (size_t block = 0; block < view.outer; ++block)
    for (size_t i = 0; i < view.inner; ++i) {
      const C* from = values + block * view.size * view.inner + i;
      choose(from, view.inner, rule, k, positions);
      for (size_t j = 0; j < k; ++j) {
        size_t to = (block * k + j) * view.inner + i;
        indices[to] = positions[j];
        chosen[to] = from[static_cast<size_t>(positions[j]) * view.inner];
      }
    }
}

void evaluate_top_k(EvalContext& context) {
  const Tensor& input = context.inputs[0];
  const Attributes& attributes = context.node.attributes();
  Shape shape = input.shape();
  size_t axis = top_k_axis(context.node, shape.size());
  AxisView view(shape, axis);
  int64_t k = scalar_integer(context, 1);
  require_k(k, shape[axis]);
  shape[axis] = k;
  with_compute_type(input.type(), [&](auto zero) {
    using C = decltype(zero);
    Tensor values = to_compute<C>(input);
    Tensor chosen(values.type(), shape), indices(ElementType::i64, shape);
    top_k(values.as<C>().data(), view, TopKRule(attributes), static_cast<size_t>(k), chosen.as_mutable<C>().data(),
          indices.as_mutable<int64_t>().data());
    context.outputs[0] = convert(chosen, input.type());
    context.outputs[1] = convert(indices, attributes.get_type("index_element_type", ElementType::i32));
  });
}

}  // namespace

std::span<const OpDef> ordering_ops() {
  static const std::vector<OpDef> ops{
      {"CumSum", {"opset3"}, 1, 2, 1, infer_cum_sum, evaluate_cum_sum},
      {"TopK", {"opset1", "opset3", "opset11"}, 2, 2, 2, infer_top_k, evaluate_top_k},
  };
  return ops;
}

}  // namespace nibble
