#include "device/cpu/lowering/lower_experts.hpp"

#include <algorithm>

#include "base/fail.hpp"
#include "device/cpu/lowering/token_checks.hpp"
#include "device/cpu/moe_step.hpp"
#include "device/cpu/packed_format.hpp"
#include "device/cpu/weight_match.hpp"

namespace nibble::cpu {

namespace {

class ExpertRequests {
 public:
  /// `inputs`: columns of x.
  ExpertRequests(const MoeMatch& moe, size_t inputs, PlanBuilder& builder) : moe_(moe), inputs_(inputs), builder_(builder) {}

  MoeExperts run() {
    const ExpertMatch& first = moe_.experts[0];
    MoeExperts made;
    made.activation = first.activation;
    made.clamped = first.clamped;
    made.is_interleaved = first.is_interleaved;
    gate_ = matrices(&ExpertMatch::gate);
    down_ = matrices(&ExpertMatch::down);
    if (!first.is_interleaved) up_ = matrices(&ExpertMatch::up);
    made.width = first.is_interleaved ? gate_[0].rows / 2 : gate_[0].rows;
    for (size_t e = 0; e < moe_.count; ++e) made.experts.push_back(request_expert(e, made.width));
    made.gate_up_bias = first.is_interleaved ? biases({&ExpertMatch::gate}) : biases({&ExpertMatch::gate, &ExpertMatch::up});
    made.down_bias = biases({&ExpertMatch::down});
    return made;
  }

 private:
  using Matrices = std::vector<WeightMatrix>;
  using Product = ExpertProduct ExpertMatch::*;

  /// One matrix for each expert; those of a stack share its constant.
  Matrices matrices(Product product) {
    Matrices all;
    for (const ExpertMatch& expert : moe_.experts) {
      auto weight = match_weight((expert.*product).weight, builder_.constants());
      if (!weight) fail(ErrorKind::unsupported, "experts' weights of fewer than two dimensions");
      all.push_back(std::move(*weight));
    }
    if (all.size() == moe_.count) return all;
    WeightMatrix stack = all[0];
    stack.rows /= moe_.count;
    all.assign(moe_.count, stack);
    for (size_t e = 0; e < all.size(); ++e) all[e].first_row = e * stack.rows;
    return all;
  }

  MoeExperts::Expert request_expert(size_t e, size_t width) {
    const WeightMatrix &gate = gate_[e], &down = down_[e];
    bool is_interleaved = up_.empty();
    size_t rows = is_interleaved ? 2 * width : width;
    bool fits = gate.columns == inputs_ && gate.rows == rows && down.columns == width && down.rows == inputs_;
    if (!fits || (!is_interleaved && (up_[e].columns != inputs_ || up_[e].rows != width)))
      fail(ErrorKind::corrupt, "experts whose matrices do not go together");
    MoeExperts::Expert expert;
    expert.stacked = is_interleaved || can_stack(Matrices{gate, up_[e]});
    if (expert.stacked) {
      expert.gate_up = builder_.request_weights(is_interleaved ? Matrices{gate} : Matrices{gate, up_[e]});
    } else {
      expert.gate = builder_.request_weights({gate});
      expert.up = builder_.request_weights({up_[e]});
    }
    expert.down = builder_.request_weights({down});
    return expert;
  }

  /// [experts, rows of all products], or nothing where none has a bias.
  Tensor biases(const std::vector<Product>& products) {
    auto has_bias = [&](Product product) { return static_cast<bool>((moe_.experts[0].*product).bias); };
    if (std::none_of(products.begin(), products.end(), has_bias)) return {};
    bool is_stored_so = products.size() == 1 && moe_.experts.size() == 1;
    if (is_stored_so) {
      Tensor stored = builder_.constants().tensor((moe_.experts[0].*products[0]).bias);
      if (stored.type() == ElementType::f32) return stored.aligned();
    }
    std::vector<std::vector<float>> rows(moe_.count);
    for (Product product : products) append(product, rows);
    std::vector<float> all;
    for (const auto& row : rows) all.insert(all.end(), row.begin(), row.end());
    return Tensor::from<float>({static_cast<int64_t>(all.size())}, all);
  }

  /// Zeros where a product has no bias.
  void append(Product product, std::vector<std::vector<float>>& rows) {
    size_t width = (product == &ExpertMatch::down ? down_ : product == &ExpertMatch::up ? up_ : gate_)[0].rows;
    std::vector<float> all;
    for (const ExpertMatch& expert : moe_.experts) {
      Value bias = (expert.*product).bias;
      std::vector<float> values = bias ? builder_.constants().floats(bias) : std::vector<float>(width * moe_.count / moe_.experts.size());
      all.insert(all.end(), values.begin(), values.end());
    }
    for (size_t e = 0; e < rows.size(); ++e)
      rows[e].insert(rows[e].end(), all.begin() + static_cast<std::ptrdiff_t>(e * width),
                     all.begin() + static_cast<std::ptrdiff_t>((e + 1) * width));
  }

  const MoeMatch& moe_;
  size_t inputs_;
  PlanBuilder& builder_;
  Matrices gate_, up_, down_;
};

}  // namespace

void lower(PlanBuilder& builder, Node& node, const MoeMatch& moe) {
  for (Value value : {moe.x, moe.chosen, moe.weights}) require_tokens_before_last(builder, value);
  View x = builder.view(moe.x), chosen = builder.view(moe.chosen), weights = builder.view(moe.weights);
  if (chosen.width != weights.width) fail(ErrorKind::unsupported, "{} weights for {} experts", weights.width, chosen.width);
  MoeExperts experts = ExpertRequests(moe, x.width, builder).run();
  const PartialShape& shape = node.output_info().shape;
  bool is_known = shape.rank_is_known() && shape.is_static() && element_count(shape.dims()) == x.width;
  View out = builder.new_result(node.output(), is_known ? shape.dims() : Shape{1, static_cast<int64_t>(x.width)});
  builder.emit(node, std::make_unique<MoeStep>(std::move(experts), x, chosen, weights, out));
}

}  // namespace nibble::cpu
