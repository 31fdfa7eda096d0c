#include <cmath>

#include "graph/ops/compute.hpp"
#include "graph/ops/inference.hpp"
#include "graph/ops/tables.hpp"

namespace nibble {

namespace {

template <class C>
constexpr bool kFloat = std::is_floating_point_v<C>;

#define NIBBLE_MATH_FUNCTION(Name, function) \
  struct Name {                              \
    template <class C>                       \
    C operator()(C x) const {                \
      return std::function(x);               \
    }                                        \
  }

NIBBLE_MATH_FUNCTION(Sqrt, sqrt);
NIBBLE_MATH_FUNCTION(Exp, exp);
NIBBLE_MATH_FUNCTION(Log, log);
NIBBLE_MATH_FUNCTION(Cos, cos);
NIBBLE_MATH_FUNCTION(Sin, sin);
NIBBLE_MATH_FUNCTION(Tan, tan);
NIBBLE_MATH_FUNCTION(Cosh, cosh);
NIBBLE_MATH_FUNCTION(Sinh, sinh);
NIBBLE_MATH_FUNCTION(Tanh, tanh);
NIBBLE_MATH_FUNCTION(Acos, acos);
NIBBLE_MATH_FUNCTION(Asin, asin);
NIBBLE_MATH_FUNCTION(Atan, atan);
NIBBLE_MATH_FUNCTION(Acosh, acosh);
NIBBLE_MATH_FUNCTION(Asinh, asinh);
NIBBLE_MATH_FUNCTION(Atanh, atanh);
NIBBLE_MATH_FUNCTION(Erf, erf);

#undef NIBBLE_MATH_FUNCTION

struct Floor {
  template <class C>
  C operator()(C x) const {
    if constexpr (kFloat<C>) return std::floor(x);
    return x;
  }
};

struct Ceiling {
  template <class C>
  C operator()(C x) const {
    if constexpr (kFloat<C>) return std::ceil(x);
    return x;
  }
};

struct Round {
  bool away_from_zero;
  explicit Round(const Attributes& attributes) : away_from_zero(attributes.equals("mode", "half_away_from_zero", "half_to_even")) {}
  template <class C>
  C operator()(C x) const {
    if constexpr (kFloat<C>) return away_from_zero ? std::round(x) : std::nearbyint(x);
    return x;
  }
};

struct Negative {
  template <class C>
  C operator()(C x) const {
    if constexpr (kFloat<C>)
      return -x;
    else
      return static_cast<C>(0 - static_cast<uint64_t>(x));  // wraps for the least integer
  }
};

struct Abs {
  template <class C>
  C operator()(C x) const {
    if constexpr (kFloat<C>)
      return std::fabs(x);
    else
      return x < 0 ? Negative{}(x) : x;
  }
};

struct Sign {
  template <class C>
  C operator()(C x) const {
    if (x != x) return x;
    return static_cast<C>(x > 0) - static_cast<C>(x < 0);
  }
};

template <class Op>
OpDef float_function(std::string_view type, std::vector<std::string_view> opsets = {"opset1"}) {
  return {type, std::move(opsets), 1, 1, 1, infer_like_input, evaluate_float_map<Op>};
}

template <class Op>
OpDef function(std::string_view type, std::vector<std::string_view> opsets = {"opset1"}) {
  return {type, std::move(opsets), 1, 1, 1, infer_like_input, evaluate_map<Op>};
}

}  // namespace

std::span<const OpDef> math_ops() {
  static const std::vector<OpDef> ops{
      float_function<Sqrt>("Sqrt"),
      float_function<Exp>("Exp"),
      float_function<Log>("Log"),
      float_function<Cos>("Cos"),
      float_function<Sin>("Sin"),
      float_function<Tan>("Tan"),
      float_function<Cosh>("Cosh"),
      float_function<Sinh>("Sinh"),
      float_function<Tanh>("Tanh"),
      float_function<Acos>("Acos"),
      float_function<Asin>("Asin"),
      float_function<Atan>("Atan"),
      float_function<Acosh>("Acosh", {"opset4"}),
      float_function<Asinh>("Asinh", {"opset4"}),
      float_function<Atanh>("Atanh", {"opset4"}),
      float_function<Erf>("Erf"),
      function<Floor>("Floor"),
      function<Ceiling>("Ceiling"),
      function<Round>("Round", {"opset5"}),
      function<Negative>("Negative"),
      function<Abs>("Abs"),
      function<Sign>("Sign"),
  };
  return ops;
}

}  // namespace nibble
