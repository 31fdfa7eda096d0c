#include <cmath>
#include <limits>

#include "graph/ops/broadcast.hpp"
#include "graph/ops/compute.hpp"
#include "graph/ops/dimensions.hpp"
#include "graph/ops/elements.hpp"
#include "graph/ops/tables.hpp"

namespace nibble {

namespace {

/// What sums are kept in: twice the precision of the elements where there is one.
template <class C>
using Accumulator = std::conditional_t<std::is_floating_point_v<C>, double, C>;

/// Integers wrap on overflow.
template <class A, class Op>
A wrapping(A a, A b, Op op) {
  if constexpr (std::is_floating_point_v<A>)
    return op(a, b);
  else
    return static_cast<A>(op(static_cast<uint64_t>(a), static_cast<uint64_t>(b)));
}

/// A reduction: start(), then add() for each element, and finish() of the total and the number of elements.
struct SumBase {
  template <class A>
  static A start() {
    return 0;
  }
  template <class A>
  static A add(A total, A x) {
    return wrapping(total, x, std::plus<>{});
  }
  template <class A>
  static A finish(A total, size_t) {
    return total;
  }
};

struct Sum : SumBase {};

struct Mean : SumBase {
  template <class A>
  static A finish(A total, size_t count) {
    if (std::is_integral_v<A> && count == 0) return 0;
    return total / static_cast<A>(count);
  }
};

struct SumOfAbsolutes : SumBase {
  template <class A>
  static A add(A total, A x) {
    return x < 0 ? wrapping(total, x, std::minus<>{}) : wrapping(total, x, std::plus<>{});
  }
};

struct RootOfSquares : SumBase {
  template <class A>
  static A add(A total, A x) {
    return wrapping(total, wrapping(x, x, std::multiplies<>{}), std::plus<>{});
  }
  template <class A>
  static A finish(A total, size_t) {
    return static_cast<A>(std::sqrt(static_cast<double>(total)));
  }
};

struct Product : SumBase {
  template <class A>
  static A start() {
    return 1;
  }
  template <class A>
  static A add(A total, A x) {
    return wrapping(total, x, std::multiplies<>{});
  }
};

struct Largest : SumBase {
  template <class A>
  static A start() {
    return std::is_integral_v<A> ? std::numeric_limits<A>::lowest() : -std::numeric_limits<A>::infinity();
  }
  template <class A>
  static A add(A total, A x) {
    return x > total ? x : total;
  }
};

struct Smallest : SumBase {
  template <class A>
  static A start() {
    return std::is_integral_v<A> ? std::numeric_limits<A>::max() : std::numeric_limits<A>::infinity();
  }
  template <class A>
  static A add(A total, A x) {
    return x < total ? x : total;
  }
};

struct All : SumBase {
  template <class A>
  static A start() {
    return 1;
  }
  template <class A>
  static A add(A total, A x) {
    return total != 0 && x != 0;
  }
};

struct Any : SumBase {
  template <class A>
  static A add(A total, A x) {
    return total != 0 || x != 0;
  }
};

/// Reduced dimensions become 1 or, without keep_dims, disappear.
PartialShape reduced_shape(const PartialShape& shape, const std::vector<bool>& reduced, bool keep_dims) {
  Shape dims;
  for (size_t i = 0; i < shape.rank(); ++i)
    if (!reduced[i])
      dims.push_back(shape[i]);
    else if (keep_dims)
      dims.push_back(1);
  return dims;
}

void infer_reduce(Node& node) {
  const PartialShape& shape = node.input(0).shape();
  bool keep_dims = node.attributes().get_bool("keep_dims", false);
  require_list(node, 1);
  require_integers(node, 1);
  PartialShape out;
  if (shape.rank_is_known()) {
    if (auto axes = known_list(node.input(1)))
      out = reduced_shape(shape, axis_mask(*axes, shape.rank()), keep_dims);
    else if (keep_dims)
      out = PartialShape::of_rank(shape.rank());
  }
  set_output(node, 0, node.input(0).type(), out);
}

template <class Op, class C>
Tensor reduce(const Tensor& input, const Shape& kept) {
  using A = Accumulator<C>;
  BroadcastWalk<1> walk(input.shape(), {kept});
  std::vector<A> totals(element_count(kept), Op::template start<A>());
  Tensor values = to_compute<C>(input);
  fold(walk, values.as<C>().data(), totals.data(), [](A total, C x) { return Op::add(total, static_cast<A>(x)); });
  size_t group = totals.empty() ? 0 : input.size() / totals.size();
  Tensor out(element_type_of<C>::value, kept);
  auto to = out.as_mutable<C>();
  for (size_t i = 0; i < totals.size(); ++i) to[i] = static_cast<C>(Op::finish(totals[i], group));
  return convert(out, input.type());
}

template <class Op>
void evaluate_reduce(EvalContext& context) {
  const Tensor& input = context.inputs[0];
  std::vector<bool> reduced = axis_mask(integers(context, 1), input.rank());
  Shape kept = reduced_shape(input.shape(), reduced, true).dims();
  Shape shape = reduced_shape(input.shape(), reduced, context.node.attributes().get_bool("keep_dims", false)).dims();
  with_compute_type(input.type(), [&](auto zero) { context.outputs[0] = reduce<Op, decltype(zero)>(input, kept).reshaped(shape); });
}

template <class Op>
OpDef reduction(std::string_view type, std::string_view opset = "opset1") {
  return {type, {opset}, 2, 2, 1, infer_reduce, evaluate_reduce<Op>};
}

}  // namespace

std::span<const OpDef> reduction_ops() {
  static const std::vector<OpDef> ops{
      reduction<Mean>("ReduceMean"),
      reduction<Sum>("ReduceSum"),
      reduction<Product>("ReduceProd"),
      reduction<Largest>("ReduceMax"),
      reduction<Smallest>("ReduceMin"),
      reduction<All>("ReduceLogicalAnd"),
      reduction<Any>("ReduceLogicalOr"),
      reduction<SumOfAbsolutes>("ReduceL1", "opset4"),
      reduction<RootOfSquares>("ReduceL2", "opset4"),
  };
  return ops;
}

}  // namespace nibble
