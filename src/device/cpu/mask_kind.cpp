#include "device/cpu/mask_kind.hpp"

#include <algorithm>
#include <cmath>

#include "base/fail.hpp"
#include "device/cpu/kernels/attention.hpp"
#include "tensor/convert.hpp"
#include "tensor/float_types.hpp"

namespace nibble::cpu {

namespace {

constexpr float kMasked = -40000.0f;     // graphs mask with -65504 and below; biases stay above -32768 for probes of that length
constexpr int64_t kProbe = 1 << 15;      // tokens: ALiBi slopes are below 1
constexpr int64_t kLongProbe = 1 << 18;  // beyond any sliding window

/// A mask for one window, [heads or 1][count][past + count].
class Mask {
 public:
  Mask(Value value, TokenWindow window, const PositionalValues& positional) : window_(window) {
    Tensor tensor = positional.evaluate({value}, window)[0];
    bool is_boolean = tensor.type() == ElementType::boolean;
    const Shape& shape = tensor.shape();
    length_ = static_cast<size_t>(window.past + window.count);
    bool fits = shape.size() >= 2 && shape.size() <= 4 && static_cast<size_t>(shape.back()) == length_ &&
                (shape[shape.size() - 2] == window.count || shape[shape.size() - 2] == 1);
    if (shape.size() == 4) fits = fits && shape[0] == 1;
    if (!fits)
      fail(ErrorKind::unsupported, "a mask of shape {} for {} tokens after {}", nibble::to_string(shape), window.count, window.past);
    rows_ = static_cast<size_t>(shape[shape.size() - 2]);
    heads_ = shape.size() >= 3 ? static_cast<size_t>(shape[shape.size() - 3]) : 1;
    values_ = to_floats(tensor);
    if (is_boolean)
      for (float& v : values_) v = v != 0 ? 0 : -INFINITY;
  }

  size_t heads() const { return heads_; }
  size_t length() const { return length_; }
  size_t queries() const { return static_cast<size_t>(window_.count); }
  size_t position(size_t row) const { return static_cast<size_t>(window_.past) + row; }
  float at(size_t head, size_t row, size_t key) const {
    return values_[((heads_ == 1 ? 0 : head) * rows_ + (rows_ == 1 ? 0 : row)) * length_ + key];
  }
  bool sees(size_t head, size_t row, size_t key) const { return at(head, row, key) > kMasked; }

 private:
  TokenWindow window_;
  size_t rows_ = 0, heads_ = 1, length_ = 0;
  std::vector<float> values_;
};

/// The window of the last token, 0 for everything.
size_t find_window(const Mask& mask) {
  size_t first = 0;
  while (first < mask.length() && !mask.sees(0, 0, first)) ++first;
  return first == 0 ? 0 : mask.length() - first;
}

std::vector<float> find_slopes(const Mask& mask, size_t heads) {
  std::vector<float> slopes(heads);
  size_t last = mask.length() - 1;
  for (size_t h = 0; h < heads; ++h) slopes[h] = (mask.at(h, 0, last) - mask.at(h, 0, 0)) / static_cast<float>(last);
  bool none = std::all_of(slopes.begin(), slopes.end(), [](float s) { return s == 0; });
  return none ? std::vector<float>{} : slopes;
}

/// What slopes are if what they give is rounded.
void assume_rounded(MaskKind& kind, const Mask& mask, float scale) {
  kind.slope_unit = scale;
  for (size_t h = 0; h < kind.slopes.size(); ++h) kind.slopes[h] = to_float(to_bfloat16((mask.at(h, 0, 1) - mask.at(h, 0, 0)) / scale));
}

/// Relative to the query's own place.
float bias(const MaskKind& kind, size_t head, size_t query, size_t key) {
  if (kind.slopes.empty()) return 0;
  auto at = [&](size_t place) { return alibi_bias(kind.slopes[head], kind.slope_unit, query, place); };
  return at(key) - at(query);
}

bool is_allowed(const MaskKind& kind, size_t query, size_t key) { return key <= query && (kind.window == 0 || query - key < kind.window); }

/// What is not as `kind` says, or nothing; a constant per row does not matter.
std::string disagreement(const MaskKind& kind, const Mask& mask, size_t heads) {
  for (size_t h = 0; h < heads; ++h)
    for (size_t row = 0; row < mask.queries(); ++row) {
      size_t query = mask.position(row);
      float own = mask.at(h, row, query);
      for (size_t key = 0; key < mask.length(); ++key) {
        bool sees = mask.sees(h, row, key);
        bool equal =
            sees == is_allowed(kind, query, key) && (!sees || std::abs(mask.at(h, row, key) - own - bias(kind, h, query, key)) < 1e-3f);
        if (!equal) return fmt::format("{} for query {}, key {}", mask.at(h, row, key), query, key);
      }
    }
  return {};
}

std::string disagreement(const MaskKind& kind, const std::vector<Mask>& masks, size_t heads) {
  for (const Mask& mask : masks)
    if (std::string found = disagreement(kind, mask, heads); !found.empty()) return found;
  return {};
}

}  // namespace

MaskKind classify_mask(Value value, size_t heads, float scale, const PositionalValues& positional) {
  MaskKind kind;
  Mask small(value, {1, 7}, positional);
  if (small.heads() != 1 && small.heads() != heads) fail(ErrorKind::unsupported, "a mask of {} heads for {} heads", small.heads(), heads);
  size_t visible = find_window(small);
  if (visible == 0) kind.slopes = find_slopes(small, heads);
  kind.window = visible ? visible : find_window(Mask(value, {1, (kind.slopes.empty() ? kLongProbe : kProbe) - 1}, positional));
  // Windows of tens and of thousands of tokens, and around where the mask's own window ends.
  std::vector<Mask> masks;
  auto edge = static_cast<int64_t>(kind.window);
  for (TokenWindow window :
       {TokenWindow{5, 7}, TokenWindow{16, 0}, TokenWindow{1, 0}, TokenWindow{3, 40}, TokenWindow{2, 2100}, TokenWindow{3, edge}})
    masks.emplace_back(value, window, positional);
  std::string wrong = disagreement(kind, masks, heads);
  if (!wrong.empty() && !kind.slopes.empty()) {
    assume_rounded(kind, small, scale);
    wrong = disagreement(kind, masks, heads);
  }
  if (!wrong.empty()) fail(ErrorKind::unsupported, "an attention mask that is neither causal nor a window nor ALiBi: {}", wrong);
  return kind;
}

}  // namespace nibble::cpu
