#include <algorithm>
#include <cmath>
#include <limits>

#include "base/fail.hpp"
#include "export/blocks.hpp"

namespace nibble {

namespace {

constexpr float kHidden = -65504.0f;  // the most negative half: safe for devices that compute in f16

constexpr auto kUnchanged = [](float x) { return x; };

template <class F = decltype(kUnchanged)>
Value column(GraphBuilder& b, std::vector<float> values, const F& change = kUnchanged) {
  std::transform(values.begin(), values.end(), values.begin(), change);
  return b.graph().add_constant(Tensor::from<float>({static_cast<int64_t>(values.size()), 1}, values)).output();
}

Value choose(GraphBuilder& b, Value condition, Value yes, Value no) {
  return b.op("Select", {condition, yes, no}, {{"auto_broadcast", "numpy"}}, "aten::where");
}

/// From 1 to 2.
float significand(float x) {
  int exponent = 0;
  return 2 * std::frexp(x, &exponent);
}

/// Rounds numbers from 1 to 2 to the significand of bf16.
Value to_8_bits(GraphBuilder& b, Value x) {
  Value steps = b.op("Round", {b.multiply(x, b.f32(128, 3))}, {{"mode", "half_to_even"}}, "aten::round", "opset5");
  return b.multiply(steps, b.f32(1.0f / 128, 3));
}

}  // namespace

Value AttentionContext::batch_vector() {
  if (!batch_) batch_ = b_.gather(b_.shape_of(input_ids_), b_.i64s({0}), 0);
  return batch_;
}

AttentionContext::State AttentionContext::state(int64_t layer, const std::string& what, Value empty_shape, const std::string& shape) {
  std::string past_name =
      is_mixed_ ? fmt::format("cache_params.past.{}.{}", what, layer) : fmt::format("past_key_values.{}.{}", layer, what);
  std::string variable =
      past_name + (is_mixed_ ? fmt::format("cache_params.present.{}.{}", what, layer) : fmt::format("present.{}.{}", layer, what));
  Value empty = b_.op("Broadcast", {b_.f32(0.0f), empty_shape}, {{"mode", "numpy"}}, "aten::zeros", "opset3");
  Attributes attributes{{"variable_id", variable}, {"variable_type", "f32"}, {"variable_shape", shape}};
  Value value = b_.graph().add("ReadValue", {empty}, std::move(attributes), "ReadValue_" + past_name).output();
  value.node->output_info().names.insert(past_name);
  return {b_.gather(value, beam_idx_, 0), past_name, variable};
}

void AttentionContext::assign(const State& state, Value value) {
  b_.graph().add("Assign", {value}, {{"variable_id", state.variable}}, "Assign_" + state.name);
}

Value AttentionContext::extend_tokens(int64_t layer, Value fresh, int64_t hidden, int64_t count) {
  Value empty_shape = b_.concat({batch_vector(), b_.i64s({hidden}), b_.i64s({count})}, 0, "prim::ListConstruct");
  State state = this->state(layer, "conv", empty_shape, fmt::format("?,{},{}", hidden, count));
  Value all = b_.concat({state.past, fresh}, -1);
  assign(state, b_.slice(all, -count, std::numeric_limits<int64_t>::max(), 2));
  return all;
}

/// By positions: those of padding on the left do not lead up to the last one. The attention mask is for attention alone, or paged
/// attention, which has none, could not take its place.
Value AttentionContext::fresh_mask() {
  if (fresh_mask_) return fresh_mask_;
  constexpr int64_t kToEnd = std::numeric_limits<int64_t>::max();
  GraphBuilder::Module module(b_, "model");
  Value count = b_.dim(position_ids_, 1);
  Value first =
      b_.binary("Subtract", b_.slice(position_ids_, -1, kToEnd, 1), b_.binary("Subtract", count, b_.i64(1), "aten::sub"), "aten::sub");
  Value expected = b_.add(first, b_.range(b_.i64(0), count));
  Value is_real = b_.binary("Equal", position_ids_, expected, "aten::eq");
  return fresh_mask_ = b_.unsqueeze(b_.convert(is_real, ElementType::f32), 1);
}

Value AttentionContext::extend_cache(int64_t layer, const std::string& what, Value fresh, int64_t heads, int64_t head_dim) {
  Value empty_shape = b_.concat({batch_vector(), b_.i64s({heads}), b_.i64s({0}), b_.i64s({head_dim})}, 0, "prim::ListConstruct");
  State state = this->state(layer, what, empty_shape, fmt::format("?,{},?,{}", heads, head_dim));
  if (!past_length_) set_lengths(state.past);
  Value all = b_.concat({state.past, fresh}, -2);
  if (!first_cache_) first_cache_ = all;
  assign(state, all);
  return all;
}

void AttentionContext::set_lengths(Value past) {
  past_length_ = b_.dim(past, 2);
  new_length_ = b_.dim(input_ids_, 1);
  new_vector_ = b_.as_vector(new_length_);
  total_vector_ = b_.add(b_.as_vector(past_length_), new_vector_);
}

Value AttentionContext::repeat_heads(Value x, int64_t kv_heads, int64_t repeats, int64_t head_dim) {
  if (repeats == 1) return x;
  auto [shape, fresh] = repeat_shapes_.try_emplace({kv_heads, repeats, head_dim});
  if (fresh) {
    Value leading = b_.gather(b_.shape_of(first_cache_), b_.i64s({0, 1}), 0);
    if (kv_heads != first_cache_.shape()[1]) leading = b_.concat({batch_vector(), b_.i64s({kv_heads})}, 0, "prim::ListConstruct");
    shape->second = b_.concat({leading, b_.i64s({repeats}), total_vector_, b_.i64s({head_dim})}, 0, "prim::ListConstruct");
  }
  Value expanded = b_.op("Broadcast", {b_.unsqueeze(x, 2), shape->second}, {{"mode", "bidirectional"}}, "aten::expand", "opset3");
  return b_.reshape(expanded, {0, kv_heads * repeats, -1, head_dim}, "aten::reshape");
}

/// The places of all keys: [1,1,1,K].
Value AttentionContext::key_index() {
  Value key_count = b_.add(past_length_, b_.op("Squeeze", {new_vector_, b_.i32(0)}, {}, "aten::size"));
  return b_.unsqueeze(b_.unsqueeze(b_.unsqueeze(b_.range(b_.i32(0), key_count), 0), 1), 2);
}

/// True where the mask lets a query see a key: [B,1,S,K].
Value AttentionContext::visible(int64_t window) {
  Value key_index = this->key_index();
  Value query_range = b_.range(past_length_, b_.add(past_length_, new_length_));
  Value query_index = b_.unsqueeze(b_.unsqueeze(b_.unsqueeze(query_range, 0), 1), 3);
  auto both = [&](Value x, Value y) { return b_.binary("BitwiseAnd", x, y, "aten::__and__"); };
  Value causal = b_.binary("LessEqual", key_index, query_index, "aten::le");
  if (window > 0) {
    Value minus_window = b_.graph().add_constant(Tensor::scalar<int64_t>(-window).reshaped({1, 1, 1, 1})).output();
    Value oldest = b_.binary("Add", query_index, minus_window, "aten::sub");
    causal = both(both(b_.boolean(true), b_.binary("Greater", key_index, oldest, "aten::gt")), causal);
  }
  return both(both(b_.boolean(true), causal), padding(key_index));
}

/// attention_mask[b, key] as [B,1,1,K], by the flattened gather that PyTorch's indexing converts to.
Value AttentionContext::padding(Value key_index) {
  Value mask = b_.convert(attention_mask_, ElementType::boolean);
  Value shape = b_.op("ShapeOf", {mask}, {{"output_type", "i32"}}, "aten::index", "opset3");
  Value count = b_.op("ReduceProd", {shape, b_.i32(0)}, {{"keep_dims", "true"}}, "aten::index");
  Value flat_shape = b_.concat({count, b_.i32s({-1})}, 0, "aten::index");
  Value flat = b_.op("Reshape", {mask, flat_shape}, {{"special_zero", "true"}}, "aten::index");
  Value rows = b_.range(b_.i32(0), b_.dim(input_ids_, 0));
  Value row_index = b_.unsqueeze(b_.unsqueeze(b_.unsqueeze(rows, 1), 2), 3);
  Value dims = b_.op("Split", {shape, b_.i32(0)}, {{"num_splits", "2"}}, "aten::index");
  Value row_start = b_.binary("Multiply", b_.convert(row_index, ElementType::i32), Value{dims.node, 1}, "aten::index");
  Value index = b_.binary("Add", b_.convert(key_index, ElementType::i32), row_start, "aten::index");
  Value gathered = b_.op("Gather", {flat, index, b_.i32(0)}, {{"batch_dims", "0"}}, "aten::index", "opset8");
  Value list = b_.op("Reshape", {gathered, b_.i64s({-1})}, {{"special_zero", "false"}}, "aten::index");
  Value index_shape = b_.op("ShapeOf", {index}, {{"output_type", "i32"}}, "aten::index", "opset3");
  return b_.op("Reshape", {list, index_shape}, {{"special_zero", "false"}}, "aten::index");
}

Value AttentionContext::mask(int64_t window) {
  auto [mask, fresh] = masks_.try_emplace(window);
  if (!fresh) return mask->second;
  GraphBuilder::Module module(b_, "model");
  Value rows = b_.as_vector(b_.dim(input_ids_, 0));
  Value shape = b_.concat({rows, b_.i64s({1}), new_vector_, total_vector_}, 0, "prim::ListConstruct");
  Value seen = b_.op("Broadcast", {visible(window), shape}, {{"mode", "bidirectional"}}, "aten::expand", "opset3");
  mask->second = alibi_.slopes.empty() ? additive_mask(seen) : sloped_mask(seen);
  return mask->second;
}

Value AttentionContext::additive_mask(Value seen) {
  Value additive = choose(b_, seen, b_.f32(0.0f), b_.f32(kHidden));
  return b_.op("Slice", {additive, b_.i64s({0}), total_vector_, b_.i64s({1}), b_.i64s({3})}, {}, "aten::slice");
}

/// The places of all keys among those that are not padding: [B,1,K].
Value AttentionContext::real_places() {
  Value count = b_.op("CumSum", {b_.convert(attention_mask_, ElementType::f32), b_.i32(1)}, {}, "aten::cumsum", "opset3");
  return b_.unsqueeze(b_.add(count, b_.f32(-1, 2)), 1);
}

/// What slopes multiply to give bf16(slope * bf16(place)), [B,heads,K]: in arithmetic that is exact in f32, because devices compute bf16
/// as f32 where they like. Places up to 2^21.
Value AttentionContext::rounded_places() {
  std::vector<float> powers(20);
  for (size_t i = 0; i < powers.size(); ++i) powers[i] = std::exp2(static_cast<float>(i + 1));
  Value places = real_places(), reached = b_.binary("GreaterEqual", places, column(b_, powers), "aten::ge");
  auto of_reached = [&](std::string_view reduction, std::string_view torch_name, Value factors) {
    return b_.op(reduction, {choose(b_, reached, factors, b_.f32(1, 3)), b_.i64s({1})}, {{"keep_dims", "true"}}, torch_name);
  };
  Value unit = of_reached("ReduceMax", "aten::amax", column(b_, powers));
  Value inverse = of_reached("ReduceMin", "aten::amin", column(b_, powers, [](float x) { return 1 / x; }));
  Value place = to_8_bits(b_, b_.multiply(places, inverse));  // 0, or from 1 to 2
  Value product = b_.multiply(place, column(b_, alibi_.slopes, significand));
  Value is_large = b_.binary("GreaterEqual", product, b_.f32(2, 3), "aten::ge");
  auto if_large = [&](float factor) { return choose(b_, is_large, b_.f32(factor, 3), b_.f32(1, 3)); };
  Value rounded = b_.multiply(to_8_bits(b_, b_.multiply(product, if_large(0.5f))), if_large(2));
  return b_.multiply(b_.multiply(rounded, unit), column(b_, alibi_.slopes, [](float x) { return 1 / significand(x); }));
}

/// ALiBi: slope times the key's place. That of the query makes no difference to its softmax. The order of operations is Bloom's, from which
/// OpenVINO's paged attention learns the slopes.
Value AttentionContext::sloped_mask(Value seen) {
  auto heads = static_cast<int64_t>(alibi_.slopes.size());
  bool is_rounded = alibi_.bf16_unit != 0;
  Value slopes = column(b_, alibi_.slopes, [&](float slope) { return is_rounded ? slope * alibi_.bf16_unit : slope; });
  Value places = is_rounded ? rounded_places() : b_.reshape(b_.convert(key_index(), ElementType::f32), {1, 1, -1});
  Value sloped = b_.reshape(b_.reshape(b_.multiply(slopes, places), {0, heads, -1}), {0, heads, 1, -1});
  Value hidden = b_.op("LogicalNot", {seen}, {}, "aten::bitwise_not");
  return choose(b_, hidden, b_.f32(kHidden), sloped);
}

}  // namespace nibble
