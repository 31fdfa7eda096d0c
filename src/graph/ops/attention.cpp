#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "base/thread_pool.hpp"
#include "graph/ops/broadcast.hpp"
#include "graph/ops/compute.hpp"
#include "graph/ops/dimensions.hpp"
#include "graph/ops/dot.hpp"
#include "graph/ops/elements.hpp"
#include "graph/ops/tables.hpp"

namespace nibble {

namespace {

constexpr size_t kWorthThreads = 1 << 15;  // multiplications below which waking threads costs more than it gives
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kVanishes = -104;  // exp() of less is 0 in f32, after a long way through libm

enum Input : size_t { kQuery, kKey, kValue, kMask, kScale, kSink };

bool is_causal(const Node& node) { return node.attributes().get_bool("causal", false); }

/// All but the last two dimensions.
PartialShape batch_of(const PartialShape& shape) { return Shape(shape.dims().begin(), shape.dims().end() - 2); }

int64_t from_back(const PartialShape& shape, size_t back) { return shape[shape.rank() - back]; }

/// Shapes of query [..., L, E], key [..., S, E] and value [..., S, Ev], checked: batch, scores [..., L, S] and result [..., L, Ev].
struct AttentionShapes {
  PartialShape batch, scores, result;
  AttentionShapes(const PartialShape& q, const PartialShape& k, const PartialShape& v) {
    for (const auto* shape : {&q, &k, &v}) require_rank_within(*shape, 2, 64, "query, key or value");
    merge_dims(from_back(q, 1), from_back(k, 1));
    int64_t length = merge_dims(from_back(k, 2), from_back(v, 2));
    batch = broadcast_shapes(broadcast_shapes(batch_of(q), batch_of(k)), batch_of(v));
    scores = extended(from_back(q, 2), length);
    result = extended(from_back(q, 2), from_back(v, 1));
  }
  PartialShape extended(int64_t rows, int64_t columns) const {
    Shape dims = batch.dims();
    dims.insert(dims.end(), {rows, columns});
    return dims;
  }
};

/// A mask or a sink may be broadcast to the scores but must not enlarge them.
void require_fits(const PartialShape& shape, const PartialShape& target, std::string_view what) {
  if (!shape.rank_is_known()) return;
  bool fits = shape.rank() <= target.rank();
  for (size_t back = 1; fits && back <= shape.rank(); ++back) {
    int64_t dim = from_back(shape, back), to = from_back(target, back);
    fits = dim < 0 || to < 0 || dim == 1 || dim == to;
  }
  if (!fits) fail(ErrorKind::corrupt, "a {} of shape [{}] does not fit scores of shape [{}]", what, to_string(shape), to_string(target));
}

void infer_attention(Node& node) {
  ElementType type = ElementType::dynamic;
  for (size_t i : {kQuery, kKey, kValue}) type = merge_types(type, node.input(i).type());
  set_output(node, 0, type, {});
  const PartialShape& q = node.input(kQuery).shape();
  const PartialShape& k = node.input(kKey).shape();
  const PartialShape& v = node.input(kValue).shape();
  if (!q.rank_is_known() || !k.rank_is_known() || !v.rank_is_known()) return;
  AttentionShapes shapes(q, k, v);
  if (node.input_count() > kMask && !is_causal(node)) require_fits(node.input(kMask).shape(), shapes.scores, "mask");
  node.output_info().shape = shapes.result;
}

/// What is added to the scores: a boolean mask forbids where it is false.
Tensor additive_mask(const Tensor& mask) {
  if (mask.type() != ElementType::boolean) return convert(mask, ElementType::f32);
  Tensor out(ElementType::f32, mask.shape());
  std::span<const std::byte> allowed = mask.bytes();
  auto to = out.as_mutable<float>();
  for (size_t i = 0; i < to.size(); ++i) to[i] = allowed[i] != std::byte{0} ? 0 : -kInfinity;
  return out;
}

/// Where a tensor broadcast to `target` starts for each index of the target's leading dimensions, all but the last `tail`.
std::vector<size_t> starts(const Shape& shape, const Shape& target, size_t tail) {
  Shape padded = align_shape(shape, target.size()).dims(), leading(target.begin(), target.end() - static_cast<std::ptrdiff_t>(tail));
  int64_t unit = 1;
  for (size_t i = leading.size(); i < padded.size(); ++i) unit *= padded[i];
  padded.resize(leading.size());
  BroadcastWalk<1> walk(leading, {padded});
  std::vector<size_t> found;
  walk.for_each_row([&](size_t, const auto& at) {
    for (size_t i = 0; i < walk.row_size(); ++i) found.push_back((at[0] + i * walk.step(0)) * static_cast<size_t>(unit));
  });
  return found;
}

/// An optional input broadcast to the rows of scores: values of row r start at data + start[r], `step` apart.
struct RowInput {
  Tensor values;
  std::vector<size_t> start;
  size_t step = 0;
  RowInput() = default;
  RowInput(Tensor tensor, const Shape& target, std::string_view what) : values(std::move(tensor)) {
    require_fits(values.shape(), target, what);
    start = starts(values.shape(), target, 1);
    step = values.rank() > 0 && values.shape().back() != 1;
  }
  explicit operator bool() const { return static_cast<bool>(values); }
  const float* row(size_t r) const { return values.as<float>().data() + start[r]; }
};

struct Attention {
  AttentionShapes shapes;
  Tensor q, k, v;
  std::vector<size_t> q_start, k_start, v_start;  // per batch
  size_t rows, length, depth, width;              // L, S, E, Ev
  float scale, softcap;
  bool causal;
  RowInput mask, sink;
  Tensor out;

  explicit Attention(const EvalContext& context);
  void run(ThreadPool& threads);
  void run_row(size_t row, std::span<float> weights);
  size_t attended(size_t row) const;
  void apply_mask(size_t row, std::span<float> weights) const;
  size_t normalize(size_t row, std::span<float> weights) const;
};

float read_scale(const EvalContext& context) {
  if (context.inputs.size() > kScale) {
    std::vector<float> values = to_floats(context.inputs[kScale]);
    if (values.size() != 1) fail(ErrorKind::corrupt, "the scale must be one number, not {}", values.size());
    return values[0];
  }
  return 1 / std::sqrt(static_cast<float>(context.inputs[kQuery].shape().back()));
}

Attention::Attention(const EvalContext& context)
    : shapes(context.inputs[kQuery].shape(), context.inputs[kKey].shape(), context.inputs[kValue].shape()),
      q(to_compute<float>(context.inputs[kQuery])),
      k(to_compute<float>(context.inputs[kKey])),
      v(to_compute<float>(context.inputs[kValue])),
      scale(read_scale(context)),
      softcap(static_cast<float>(context.node.attributes().get_float("softcap", 0))),
      causal(is_causal(context.node)) {
  const Shape& scores = shapes.scores.dims();
  q_start = starts(q.shape(), scores, 2);
  k_start = starts(k.shape(), scores, 2);
  v_start = starts(v.shape(), scores, 2);
  rows = static_cast<size_t>(from_back(scores, 2));
  length = static_cast<size_t>(from_back(scores, 1));
  depth = static_cast<size_t>(q.shape().back());
  width = static_cast<size_t>(v.shape().back());
  if (context.inputs.size() > kMask && !causal) mask = RowInput(additive_mask(context.inputs[kMask]), scores, "mask");
  if (context.inputs.size() > kSink)
    sink = RowInput(to_compute<float>(context.inputs[kSink]), shapes.extended(scores[scores.size() - 2], 1).dims(), "sink");
  out = make_output(ElementType::f32, shapes.result.dims());
}

/// Keys that the row may attend to: all but those at the end that are forbidden.
size_t Attention::attended(size_t row) const {
  if (causal) return std::min(row % rows + 1, length);
  if (!mask || mask.step == 0) return length;
  const float* bias = mask.row(row);
  size_t count = length;
  while (count > 0 && bias[count - 1] == -kInfinity) --count;
  return count;
}

void Attention::apply_mask(size_t row, std::span<float> weights) const {
  if (!mask) return;
  const float* bias = mask.row(row);
  if (mask.step == 1)
    for (size_t i = 0; i < weights.size(); ++i) weights[i] += bias[i];
  else
    for (float& score : weights) score += *bias;
}

/// In several maxima side by side: one after the other waits for each.
float largest_of(std::span<const float> values, float least) {
  std::array<float, 16> lanes;
  lanes.fill(least);
  size_t whole = values.size() / lanes.size() * lanes.size();
  for (size_t i = 0; i < whole; i += lanes.size())
    for (size_t lane = 0; lane < lanes.size(); ++lane) lanes[lane] = std::max(lanes[lane], values[i + lane]);
  for (float value : values.subspan(whole)) least = std::max(least, value);
  return std::max(least, *std::max_element(lanes.begin(), lanes.end()));
}

/// Softmax in place. A sink is one more score, whose weight is dropped. Returns how many weights there are up to the last that is not zero:
/// none where the mask forbids everything.
size_t Attention::normalize(size_t row, std::span<float> weights) const {
  float largest = largest_of(weights, sink ? *sink.row(row) : -kInfinity);
  if (largest == -kInfinity) return 0;
  float sum = sink ? std::exp(*sink.row(row) - largest) : 0;
  for (float& score : weights) sum += score = score - largest < kVanishes ? 0 : std::exp(score - largest);
  size_t count = weights.size();
  while (count > 0 && weights[count - 1] == 0) --count;
  for (float& weight : weights.first(count)) weight /= sum;
  return count;
}

/// `weights`: room for one row of scores.
void Attention::run_row(size_t row, std::span<float> weights) {
  size_t batch = row / rows, count = attended(row);
  weights = weights.first(count);
  const float* query = q.as<float>().data() + q_start[batch] + row % rows * depth;
  multiply_rows(query, 1, k.as<float>().data() + k_start[batch], count, depth, weights.data(), count);
  for (float& score : weights) score *= scale;
  if (softcap != 0)
    for (float& score : weights) score = softcap * std::tanh(score / softcap);
  apply_mask(row, weights);
  // With nothing to attend to, softmax has no value; zero keeps such rows (padding) from spreading NaN.
  size_t used = normalize(row, weights);
  combine_rows(weights.data(), v.as<float>().data() + v_start[batch], used, width, out.as_mutable<float>().data() + row * width);
}

void Attention::run(ThreadPool& threads) {
  size_t total = q_start.size() * rows;
  size_t per_row = std::max<size_t>(1, length * (depth + width));
  size_t grain = std::max<size_t>(1, kWorthThreads / per_row);
  threads.parallel_for(total, grain, [&](size_t begin, size_t end) {
    std::vector<float> weights(length);
    for (size_t row = begin; row < end; ++row) run_row(row, weights);
  });
}

/// softmax(q k^T * scale + mask) v. With Nibble's own attribute `softcap` (passes/fuse_attention.hpp) scores become
/// softcap * tanh(score / softcap) before the mask. Inputs: query, key, value, [mask], [scale], [sink]. `causal` ignores the mask and lets
/// row i attend to the first i + 1 keys. Computed in f32.
void evaluate_attention(EvalContext& context) {
  ElementType type = context.inputs[kQuery].type();
  if (!is_float(type)) fail(ErrorKind::unsupported, "ScaledDotProductAttention of {} is not supported", to_string(type));
  Attention attention(context);
  attention.run(context.threads);
  context.outputs[0] = convert(attention.out, type);
}

}  // namespace

std::span<const OpDef> attention_ops() {
  static const std::vector<OpDef> ops{{"ScaledDotProductAttention", {"opset13"}, 3, 6, 1, infer_attention, evaluate_attention}};
  return ops;
}

}  // namespace nibble
