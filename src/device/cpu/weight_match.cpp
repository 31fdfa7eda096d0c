#include "device/cpu/weight_match.hpp"

#include "tensor/convert.hpp"

namespace nibble::cpu {

namespace {

bool is_code_type(ElementType type) {
  switch (type) {
    case ElementType::u4:
    case ElementType::i4:
    case ElementType::u8:
    case ElementType::i8:
    case ElementType::nf4:
    case ElementType::f4e2m1:
    case ElementType::f8e4m3: return true;
    default: return false;
  }
}

bool is_plain_float(ElementType type) { return type == ElementType::f16 || type == ElementType::bf16 || type == ElementType::f32; }

bool is_unsigned(ElementType type) { return to_string(type).front() == 'u'; }

/// Whether a conversion changes no number.
bool is_exact(const Node& convert) {
  ElementType from = convert.input(0).type(), to = convert.output_info().type;
  bool is_narrow = bit_width(from) <= 8 && from != ElementType::nf4 && from != ElementType::f8e8m0;  // what f16 and bf16 hold
  if (from == to) return true;
  if (to == ElementType::f16 || to == ElementType::bf16) return is_narrow;
  if (to == ElementType::f32) return bit_width(from) <= 16;
  return is_integer(from) && is_integer(to) && bit_width(from) < bit_width(to) && (is_unsigned(from) || !is_unsigned(to));
}

/// Behind conversions that keep every value.
Value skip_converts(Value value) {
  while (value.node->is("Convert") && is_exact(*value.node)) value = value.node->input(0);
  return value;
}

Value skip_reshapes(Value value) {
  while (value.node->is("Reshape")) value = value.node->input(0);
  return value;
}

/// The Constant behind conversions between types.
std::optional<ConstantValue> stored_constant(Value value) {
  value = skip_converts(value);
  if (!value.node->is("Constant")) return std::nullopt;
  return value.node->constant();
}

class Matcher {
 public:
  Matcher(Value value, ConstantValues& constants) : value_(value), constants_(constants) {}

  std::optional<WeightMatrix> run() {
    const PartialShape& shape = value_.shape();
    if (!shape.rank_is_known() || !shape.is_static() || shape.rank() < 2) return std::nullopt;
    weight_.columns = static_cast<size_t>(shape.dims().back());
    weight_.rows = element_count(shape.dims()) / std::max<size_t>(weight_.columns, 1);
    weight_.group_size = weight_.columns;
    if (weight_.rows == 0 || weight_.columns == 0) return std::nullopt;
    if (match_compressed() || match_floats()) return weight_;
    return computed();
  }

 private:
  bool match_compressed() {
    Value root = skip_converts(skip_reshapes(skip_converts(value_)));
    Value codes = root;
    if (root.node->is("Multiply")) {
      if (root.type() != ElementType::f32) return false;  // rounded to f16 at every step: passes/decompress_in_f32.hpp says when
      for (size_t side : {0, 1}) {
        if (!match_codes(root.node->input(side))) continue;
        return match_scales(root.node->input(1 - side));
      }
      return false;
    }
    return match_codes(codes);
  }

  bool match_codes(Value value) {
    value = skip_converts(value);
    if (value.node->is("Subtract")) return match_shifted_codes(*value.node);
    if (value.node->is("Gather")) return match_codebook(*value.node);
    return match_stored_codes(value);
  }

  /// Codes minus zero points, in floats: integers would wrap around.
  bool match_shifted_codes(const Node& subtract) {
    auto zero = stored_constant(subtract.input(1));
    if (!zero || !is_integer(zero->type()) || !is_float(subtract.output_info().type)) return false;
    if (!match_stored_codes(subtract.input(0)) || !is_integer(weight_.codes.type())) return false;
    if (!fits(zero->shape())) return false;
    weight_.zero_points = *zero;
    return true;
  }

  bool match_stored_codes(Value value) {
    auto codes = stored_constant(value);
    if (!codes || !is_code_type(codes->type()) || element_count(codes->shape()) != weight_.rows * weight_.columns) return false;
    weight_.codes = *codes;
    weight_.name = skip_converts(value).node->name();
    return true;
  }

  bool match_codebook(const Node& gather) {
    auto codes = stored_constant(gather.input(1));
    Value table = gather.input(0);
    if (!codes || codes->type() != ElementType::u4 || !constants_.is_constant(table)) return false;
    if (element_count(codes->shape()) != weight_.rows * weight_.columns) return false;
    std::vector<float> levels = constants_.floats(table);
    if (levels.size() > 16 || levels.empty()) return false;
    levels.resize(16, levels.back());
    weight_.levels = std::move(levels);
    weight_.codes = *codes;
    weight_.name = gather.name();
    return true;
  }

  /// Scales [.., groups, 1] or [.., 1]; those that are computed (nvfp4 multiplies them by one more, in f16) are small.
  bool match_scales(Value value) {
    if (auto stored = stored_constant(value); stored && is_float(stored->type()))
      weight_.scales = *stored;
    else
      weight_.scales = convert(constants_.tensor(value), ElementType::f32);
    return fits(weight_.scales.shape());
  }

  /// Whether scales or zero points are one for all, or one per row and group; takes the group size from them.
  bool fits(const Shape& shape) {
    size_t count = element_count(shape);
    if (count == 1) return true;
    if (shape.empty() || shape.back() != 1 || count % weight_.rows != 0) return false;
    size_t groups = count / weight_.rows;
    if (groups == 0 || weight_.columns % groups != 0) return false;
    const Shape& codes = weight_.codes.shape();
    bool in_order = shape.size() == codes.size() && std::equal(shape.begin(), shape.end() - 1, codes.begin());
    size_t group_size = weight_.columns / groups;
    if (!in_order || static_cast<size_t>(codes.back()) != group_size) return false;
    weight_.group_size = group_size;
    return true;
  }

  bool match_floats() {
    weight_.levels.clear();
    weight_.scales = weight_.zero_points = {};
    weight_.group_size = weight_.columns;
    auto codes = stored_constant(skip_reshapes(skip_converts(value_)));
    if (!codes || !is_plain_float(codes->type()) || element_count(codes->shape()) != weight_.rows * weight_.columns) return false;
    weight_.codes = *codes;
    weight_.name = skip_converts(value_).node->name();
    return true;
  }

  std::optional<WeightMatrix> computed() {
    Tensor tensor = constants_.tensor(value_);
    weight_.codes = is_plain_float(tensor.type()) ? tensor : convert(tensor, ElementType::f32);
    weight_.name = value_.node->name();
    return weight_;
  }

  Value value_;
  ConstantValues& constants_;
  WeightMatrix weight_;
};

}  // namespace

std::optional<WeightMatrix> match_weight(Value value, ConstantValues& constants) {
  if (!constants.is_constant(value)) return std::nullopt;
  return Matcher(value, constants).run();
}

}  // namespace nibble::cpu
