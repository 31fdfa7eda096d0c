#include "graph/ops/checked_arithmetic.hpp"

#include <algorithm>
#include <limits>

namespace nibble {

namespace {

std::optional<int64_t> add(int64_t a, int64_t b) {
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max(), kMin = std::numeric_limits<int64_t>::min();
  if (b > 0 ? a > kMax - b : a < kMin - b) return std::nullopt;
  return a + b;
}

std::optional<int64_t> subtract(int64_t a, int64_t b) {
  if (b == std::numeric_limits<int64_t>::min()) return std::nullopt;
  return add(a, -b);
}

std::optional<int64_t> divide_floor(int64_t a, int64_t b) {
  if (b == 0 || (b == -1 && a == std::numeric_limits<int64_t>::min())) return std::nullopt;
  return a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
}

std::optional<int64_t> divide_truncate(int64_t a, int64_t b) {
  if (b == 0 || (b == -1 && a == std::numeric_limits<int64_t>::min())) return std::nullopt;
  return a / b;
}

std::optional<int64_t> modulo_floor(int64_t a, int64_t b) {
  if (b == 0 || b == -1) return std::nullopt;
  int64_t rest = a % b;
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

std::optional<int64_t> modulo_truncate(int64_t a, int64_t b) {
  if (b == 0 || b == -1) return std::nullopt;
  return a % b;
}

}  // namespace

std::optional<int64_t> checked_multiply(int64_t a, int64_t b) {
  constexpr int64_t kLimit = int64_t{1} << 31;  // products of two such factors always fit
  if (a > -kLimit && a < kLimit && b > -kLimit && b < kLimit) return a * b;
  if (a < 0 || b < 0 || (b != 0 && a > std::numeric_limits<int64_t>::max() / b)) return std::nullopt;
  return a * b;
}

CheckedBinary checked_binary(const Node& node) {
  std::string_view type = node.type();
  if (type == "Add") return add;
  if (type == "Subtract") return subtract;
  if (type == "Multiply") return checked_multiply;
  if (type == "Divide") return node.attributes().get_bool("m_pythondiv", true) ? divide_floor : divide_truncate;
  if (type == "FloorMod") return modulo_floor;
  if (type == "Mod") return modulo_truncate;
  if (type == "Maximum") return [](int64_t a, int64_t b) { return std::optional(std::max(a, b)); };
  if (type == "Minimum") return [](int64_t a, int64_t b) { return std::optional(std::min(a, b)); };
  if (type == "Equal") return [](int64_t a, int64_t b) { return std::optional<int64_t>(a == b); };
  if (type == "Greater") return [](int64_t a, int64_t b) { return std::optional<int64_t>(a > b); };
  return nullptr;
}

}  // namespace nibble
