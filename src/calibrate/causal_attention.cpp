#include "calibrate/causal_attention.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "base/thread_pool.hpp"
#include "device/cpu/kernels/attention.hpp"

namespace nibble {

namespace {

constexpr float kForbidden = -1e4f;  // a score with this added has no weight beside one without

enum Input : size_t { kQuery, kKey, kValue, kMask, kScale };

size_t from_back(const Tensor& tensor, size_t back) { return static_cast<size_t>(tensor.shape()[tensor.rank() - back]); }

/// Whether a mask for all heads lets each of `length` tokens see those up to itself, and adds nothing to their scores.
bool is_causal_mask(const Tensor& mask, size_t length) {
  if (mask.rank() < 2 || mask.size() != length * length || from_back(mask, 1) != length) return false;
  auto check = [&](auto allows, auto forbids) {
    for (size_t row = 0; row < length; ++row) {
      for (size_t i = 0; i <= row; ++i)
        if (!allows(row * length + i)) return false;
      for (size_t i = row + 1; i < length; ++i)
        if (!forbids(row * length + i)) return false;
    }
    return true;
  };
  if (mask.type() == ElementType::boolean) {
    auto allowed = mask.bytes();
    return check([&](size_t i) { return allowed[i] != std::byte{0}; }, [&](size_t i) { return allowed[i] == std::byte{0}; });
  }
  if (mask.type() != ElementType::f32) return false;
  auto bias = mask.as<float>();
  return check([&](size_t i) { return bias[i] == 0; }, [&](size_t i) { return bias[i] <= kForbidden; });
}

std::optional<float> scale_of(const EvalContext& context) {
  if (context.inputs.size() <= kScale) return 1 / std::sqrt(static_cast<float>(from_back(context.inputs[kQuery], 1)));
  const Tensor& scale = context.inputs[kScale];
  if (scale.type() != ElementType::f32 || scale.size() != 1) return std::nullopt;
  return scale.as<float>()[0];
}

/// f32 [.., length, width], of as many heads and tokens each.
bool is_prompt(std::span<const Tensor> inputs) {
  const Shape& query = inputs[kQuery].shape();
  for (const Tensor& tensor : inputs.first(kMask)) {
    const Shape& shape = tensor.shape();
    if (tensor.type() != ElementType::f32 || shape.size() != query.size() || shape.size() < 2 || tensor.size() == 0) return false;
    if (!std::equal(shape.begin(), shape.end() - 1, query.begin())) return false;
  }
  return from_back(inputs[kQuery], 1) == from_back(inputs[kKey], 1);
}

/// Attention of some heads, one after the other in the same memory.
class CausalHeads {
 public:
  CausalHeads(const EvalContext& context, cpu::Isa isa, float scale, float* out)
      : q_(context.inputs[kQuery]),
        k_(context.inputs[kKey]),
        v_(context.inputs[kValue]),
        out_(out),
        length_(from_back(q_, 2)),
        depth_(from_back(q_, 1)),
        width_(from_back(v_, 1)),
        layout_(cpu::kv_layout(cpu::KvPrecision::f32, depth_, width_)),
        blocks_(ElementType::u8, {static_cast<int64_t>((length_ + cpu::kKvBlock - 1) / cpu::kKvBlock * layout_.bytes)}),
        scratch_(ElementType::u8, {static_cast<int64_t>(cpu::attention_scratch_bytes(layout_, length_))}),
        maxima_(length_),
        sums_(length_),
        values_(length_ * layout_.value_lanes),
        kernel_(cpu::attention_kernels(isa, false)) {
    for (size_t at = 0; at < blocks_.byte_size(); at += layout_.bytes) block_pointers_.push_back(blocks_.data() + at);
    task_.layout = &layout_;
    task_.blocks = block_pointers_.data();
    task_.key_end = task_.tokens = length_;
    task_.heads = 1;
    task_.query_stride = depth_;
    task_.scale = scale;
    task_.softcap = static_cast<float>(context.node.attributes().get_float("softcap", 0));
    task_.maxima = maxima_.data();
    task_.sums = sums_.data();
    task_.values = values_.data();
    task_.scratch = scratch_.mutable_data();
  }

  void run(size_t head) {
    std::byte* block = blocks_.mutable_data();
    for (size_t t = 0; t < length_; ++t)
      cpu::kv_write(layout_, block + t / cpu::kKvBlock * layout_.bytes, t % cpu::kKvBlock, row(k_, head, t, depth_),
                    row(v_, head, t, width_));
    task_.queries = row(q_, head, 0, depth_);
    kernel_.many(task_);
    float* out = out_ + head * length_ * width_;
    for (size_t t = 0; t < length_; ++t)
      for (size_t d = 0; d < width_; ++d) out[t * width_ + d] = values_[t * layout_.value_lanes + d] / sums_[t];
  }

 private:
  const float* row(const Tensor& tensor, size_t head, size_t token, size_t columns) const {
    return tensor.as<float>().data() + (head * length_ + token) * columns;
  }

  const Tensor &q_, &k_, &v_;
  float* out_;
  size_t length_, depth_, width_;
  cpu::KvLayout layout_;
  Tensor blocks_, scratch_;  // aligned, and zero at first
  std::vector<const std::byte*> block_pointers_;
  std::vector<float> maxima_, sums_, values_;
  const cpu::AttentionKernels& kernel_;
  cpu::AttentionTask task_;
};

}  // namespace

bool attend_causally(EvalContext& context, cpu::Isa isa) {
  if (context.inputs.size() > kScale + 1 || !is_prompt(context.inputs)) return false;
  size_t length = from_back(context.inputs[kQuery], 2), width = from_back(context.inputs[kValue], 1);
  bool is_causal = context.node.attributes().get_bool("causal", false);
  if (!is_causal && (context.inputs.size() <= kMask || !is_causal_mask(context.inputs[kMask], length))) return false;
  auto scale = scale_of(context);
  if (!scale) return false;
  Shape shape = context.inputs[kQuery].shape();
  shape.back() = static_cast<int64_t>(width);
  Tensor out = Tensor::uninitialized(ElementType::f32, shape);
  size_t heads = out.size() / (length * width), threads = static_cast<size_t>(context.threads.size());
  context.threads.parallel_for(heads, (heads + threads - 1) / threads, [&](size_t begin, size_t end) {
    CausalHeads some(context, isa, *scale, out.as_mutable<float>().data());
    for (size_t head = begin; head < end; ++head) some.run(head);
  });
  context.outputs[0] = std::move(out);
  return true;
}

}  // namespace nibble
