#include <cstdint>
#include <limits>

#include "export/blocks.hpp"

namespace nibble {

namespace {

Value frequency_constant(GraphBuilder& b, const std::vector<float>& values) {
  auto count = static_cast<int64_t>(values.size());
  return b.graph().add_constant(Tensor::from<float>({1, count, 1}, values)).output();
}

/// The length that all positions of this call lie within: max(position_ids) + 1.
Value sequence_length(GraphBuilder& b, Value position_ids) {
  Value last = b.op("ReduceMax", {position_ids, b.i64s({0, 1})}, {{"keep_dims", "false"}}, "aten::max");
  return b.add(last, b.i64(1));
}

Value longrope_choice(GraphBuilder& b, Value position_ids, const Rope& rope, Value if_long, Value if_short) {
  Value is_long = b.binary("Greater", sequence_length(b, position_ids), b.i64(rope.switch_length), "aten::gt");
  return b.op("Select", {is_long, if_long, if_short}, {{"auto_broadcast", "numpy"}}, "aten::where");
}

/// 1 / base^(2i/dims) with base = theta * (factor*length/max_positions - (factor-1))^(dims/(dims-2)), length >= max_positions.
Value dynamic_frequencies(GraphBuilder& b, Value position_ids, const Rope& rope) {
  auto positions = static_cast<float>(rope.max_positions);
  auto factor = static_cast<float>(rope.factor);
  auto dims = static_cast<float>(rope.dims);
  Value length = b.convert(sequence_length(b, position_ids), ElementType::f32);
  length = b.binary("Maximum", length, b.f32(positions), "aten::maximum");
  Value growth = b.add(b.multiply(length, b.f32(factor / positions)), b.f32(1.0f - factor));
  Value base = b.multiply(b.binary("Power", growth, b.f32(dims / (dims - 2.0f)), "aten::pow"), b.f32(static_cast<float>(rope.theta)));
  std::vector<float> exponents;
  for (int64_t i = 0; i < rope.dims; i += 2) exponents.push_back(-static_cast<float>(i) / dims);
  return b.binary("Power", base, frequency_constant(b, exponents), "aten::pow");
}

Value frequencies(GraphBuilder& b, Value position_ids, const Rope& rope) {
  if (!rope.long_inverse_frequencies.empty())
    return longrope_choice(b, position_ids, rope, frequency_constant(b, rope.long_inverse_frequencies),
                           frequency_constant(b, rope.inverse_frequencies));
  if (rope.dynamic) return dynamic_frequencies(b, position_ids, rope);
  return frequency_constant(b, rope.inverse_frequencies);
}

}  // namespace

RotaryAngles rotary_angles(GraphBuilder& b, Value position_ids, const Rope& rope) {
  GraphBuilder::Module module(b, "model.rotary_emb");
  Value positions = b.convert(b.unsqueeze(position_ids, 1), ElementType::f32);
  Value angles = b.matmul(frequencies(b, position_ids, rope), positions, false, "aten::matmul");
  angles = b.transpose(angles, {0, 2, 1});
  angles = b.concat({angles, angles}, -1);
  bool has_two_factors = !rope.long_inverse_frequencies.empty() && rope.long_attention_factor != rope.attention_factor;
  auto finish = [&](std::string_view type, std::string_view torch_name) {
    Value x = b.op(type, {angles}, {}, torch_name);
    if (has_two_factors)
      x = b.multiply(x, longrope_choice(b, position_ids, rope, b.f32(rope.long_attention_factor, 3), b.f32(rope.attention_factor, 3)));
    else if (rope.attention_factor != 1.0f)
      x = b.multiply(x, b.f32(rope.attention_factor, 3));
    return b.unsqueeze(x, 1);
  };
  return {finish("Cos", "aten::cos"), finish("Sin", "aten::sin")};
}

Value apply_rotary(GraphBuilder& b, Value x, const RotaryAngles& angles, int64_t dims, int64_t head_dim) {
  constexpr int64_t kToEnd = std::numeric_limits<int64_t>::max();
  Value rotated = dims < head_dim ? b.slice(x, 0, dims, 3) : x;
  Value second = b.slice(rotated, dims / 2, kToEnd, 3);
  Value minus_one = b.op("Convert", {b.i32(-1)}, {{"destination_type", "f32"}}, "aten::neg");
  Value negated = b.binary("Multiply", second, minus_one, "aten::neg");
  Value half_turn = b.concat({negated, b.slice(rotated, 0, dims / 2, 3)}, -1);
  Value result = b.add(b.multiply(rotated, angles.cosine), b.multiply(half_turn, angles.sine));
  return dims < head_dim ? b.concat({result, b.slice(x, dims, kToEnd, 3)}, -1) : result;
}

}  // namespace nibble
