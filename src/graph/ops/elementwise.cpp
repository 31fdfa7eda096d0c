#include <cmath>
#include <limits>

#include "graph/ops/broadcast.hpp"
#include "graph/ops/compute.hpp"
#include "graph/ops/elements.hpp"
#include "graph/ops/inference.hpp"
#include "graph/ops/tables.hpp"

namespace nibble {

namespace {

// Arithmetic on two tensors. Integers wrap on overflow, as they do in memory.

template <class C>
constexpr bool kFloat = std::is_floating_point_v<C>;

template <class C>
C wrap(uint64_t bits) {
  return static_cast<C>(bits);
}

template <class C>
void require_divisor(C divisor) {
  if (divisor == 0) fail(ErrorKind::invalid_argument, "integer division by zero");
}

/// Quotient truncated towards zero. Dividing the least integer by -1 wraps instead of trapping.
template <class C>
C divide_integers(C a, C b) {
  require_divisor(b);
  if (std::is_signed_v<C> && b == static_cast<C>(-1)) return wrap<C>(0 - static_cast<uint64_t>(a));
  return a / b;
}

template <class C>
C integer_remainder(C a, C b) {
  require_divisor(b);
  return std::is_signed_v<C> && b == static_cast<C>(-1) ? 0 : a % b;
}

template <class C>
C integer_power(C base, C exponent) {
  if (std::is_signed_v<C> && exponent < 0) return base == 1 ? 1 : base != static_cast<C>(-1) ? 0 : exponent % 2 ? base : 1;
  uint64_t result = 1, square = static_cast<uint64_t>(base);
  for (auto rest = static_cast<uint64_t>(exponent); rest; rest >>= 1, square *= square)
    if (rest & 1) result *= square;
  return wrap<C>(result);
}

struct Add {
  template <class C>
  C operator()(C a, C b) const {
    if constexpr (kFloat<C>)
      return a + b;
    else
      return wrap<C>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
  }
};

struct Subtract {
  template <class C>
  C operator()(C a, C b) const {
    if constexpr (kFloat<C>)
      return a - b;
    else
      return wrap<C>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
  }
};

struct Multiply {
  template <class C>
  C operator()(C a, C b) const {
    if constexpr (kFloat<C>)
      return a * b;
    else
      return wrap<C>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
  }
};

/// m_pythondiv: integer quotients are rounded down instead of towards zero.
struct Divide {
  bool floors;
  explicit Divide(const Attributes& attributes) : floors(attributes.get_bool("m_pythondiv", true)) {}
  template <class C>
  C operator()(C a, C b) const {
    if constexpr (kFloat<C>) {
      return a / b;
    } else {
      C quotient = divide_integers(a, b);
      bool rounded_up = std::is_signed_v<C> && (a < 0) != (b < 0) && integer_remainder(a, b) != 0;
      return floors && rounded_up ? quotient - 1 : quotient;
    }
  }
};

struct Maximum {
  template <class C>
  C operator()(C a, C b) const {
    return a > b ? a : b;
  }
};

struct Minimum {
  template <class C>
  C operator()(C a, C b) const {
    return a < b ? a : b;
  }
};

struct Power {
  template <class C>
  C operator()(C a, C b) const {
    if constexpr (kFloat<C>)
      return b == 2 ? a * a : std::pow(a, b);
    else
      return integer_power(a, b);
  }
};

/// The remainder has the sign of the dividend.
struct Mod {
  template <class C>
  C operator()(C a, C b) const {
    if constexpr (kFloat<C>)
      return std::fmod(a, b);
    else
      return integer_remainder(a, b);
  }
};

/// The remainder has the sign of the divisor.
struct FloorMod {
  template <class C>
  C operator()(C a, C b) const {
    C remainder = Mod{}(a, b);
    return remainder != 0 && (remainder < 0) != (b < 0) ? remainder + b : remainder;
  }
};

struct SquaredDifference {
  template <class C>
  C operator()(C a, C b) const {
    C difference = Subtract{}(a, b);
    return Multiply{}(difference, difference);
  }
};

void infer_arithmetic(Node& node) {
  AutoBroadcast broadcast(node.attributes());
  node.output_info().type = merge_types(node.input(0).type(), node.input(1).type());
  node.output_info().shape = broadcast_shapes(node.input(0).shape(), node.input(1).shape(), broadcast);
}

template <class Op>
void evaluate_arithmetic(EvalContext& context) {
  const Tensor& a = context.inputs[0];
  const Tensor& b = context.inputs[1];
  AutoBroadcast broadcast(context.node.attributes());
  Op op = make_functor<Op>(context.node.attributes());
  Shape shape = broadcast_shapes(a.shape(), b.shape(), broadcast).dims();
  BroadcastWalk<2> walk(shape, {a.shape(), align_shape(b.shape(), shape.size(), broadcast).dims()});
  with_compute_type(merge_types(a.type(), b.type()), [&](auto zero) {
    using C = decltype(zero);
    Tensor left = to_compute<C>(a), right = to_compute<C>(b);
    Tensor out = make_unset_output(left.type(), shape);
    zip(walk, left.as<C>().data(), right.as<C>().data(), out.as_mutable<C>().data(), op);
    context.outputs[0] = convert(out, a.type());
  });
}

template <class Op>
OpDef arithmetic(std::string_view type) {
  return {type, {"opset1"}, 2, 2, 1, infer_arithmetic, evaluate_arithmetic<Op>};
}

}  // namespace

std::span<const OpDef> elementwise_ops() {
  static const std::vector<OpDef> ops{
      arithmetic<Add>("Add"),           arithmetic<Subtract>("Subtract"),
      arithmetic<Multiply>("Multiply"), arithmetic<Divide>("Divide"),
      arithmetic<Maximum>("Maximum"),   arithmetic<Minimum>("Minimum"),
      arithmetic<Power>("Power"),       arithmetic<Mod>("Mod"),
      arithmetic<FloorMod>("FloorMod"), arithmetic<SquaredDifference>("SquaredDifference"),
  };
  return ops;
}

}  // namespace nibble
