#include "calibrate/kernel_ops.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "calibrate/fused_norms.hpp"
#include "graph/graph.hpp"

namespace nibble {

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

Tensor random_tensor(Shape shape, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  Tensor out(ElementType::f32, std::move(shape));
  for (float& value : out.as_mutable<float>()) value = normal(random);
  return out;
}

/// A mask [1, 1, length, length] of what is ahead.
Tensor causal_mask(int64_t length, float forbidden) {
  Tensor out(ElementType::f32, {1, 1, length, length});
  auto values = out.as_mutable<float>();
  for (int64_t row = 0; row < length; ++row)
    for (int64_t i = row + 1; i < length; ++i) values[static_cast<size_t>(row * length + i)] = forbidden;
  return out;
}

/// A node of its own for these inputs.
struct Operation {
  Operation(std::string_view type, std::vector<Tensor> given, Attributes attributes = {}) : inputs(std::move(given)) {
    std::vector<Value> parameters;
    for (const Tensor& input : inputs) parameters.push_back(graph.add_parameter(input.type(), input.shape(), "").output());
    node = &graph.add(type, parameters, std::move(attributes));
  }
  std::vector<Tensor> expected() {
    std::vector<Tensor> outputs(1);
    EvalContext context{*node, inputs, outputs, threads};
    node->op().evaluate(context);
    return outputs;
  }
  /// Nothing where there is no kernel for it.
  std::vector<Tensor> by_kernel(int thread_count = 1) {
    ThreadPool some(thread_count);
    std::vector<Tensor> outputs(1);
    EvalContext context{*node, inputs, outputs, some};
    KernelOp kernel = find_kernel_op(*node);
    return kernel && kernel(context) ? outputs : std::vector<Tensor>();
  }

  Graph graph;
  ThreadPool threads{1};
  std::vector<Tensor> inputs;
  Node* node;
};

double largest_difference(const Tensor& a, const Tensor& b) {
  EXPECT_EQ(a.shape(), b.shape());
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) largest = std::max(largest, static_cast<double>(std::fabs(a.as<float>()[i] - b.as<float>()[i])));
  return largest;
}

std::vector<Tensor> prompt(int64_t length, int64_t depth, int64_t width) {
  return {random_tensor({1, 3, length, depth}, 1), random_tensor({1, 3, length, depth}, 2), random_tensor({1, 3, length, width}, 3)};
}

TEST(KernelOps, CausalAttentionIsThatOfTheOperation) {
  for (int64_t length : {1, 7, 32, 45}) {
    SCOPED_TRACE(length);
    for (float forbidden : {-kInfinity, -65504.0f}) {
      auto inputs = prompt(length, 16, 24);
      inputs.push_back(causal_mask(length, forbidden));
      inputs.push_back(Tensor::scalar(0.3f));
      Operation attention("ScaledDotProductAttention", inputs, {{"causal", "false"}});
      auto found = attention.by_kernel(), expected = attention.expected();
      ASSERT_EQ(found.size(), 1u);
      EXPECT_LT(largest_difference(found[0], expected[0]), 2e-6);
      EXPECT_TRUE(std::ranges::equal(attention.by_kernel(2)[0].bytes(), found[0].bytes()));
    }
    Operation causal("ScaledDotProductAttention", prompt(length, 20, 20), {{"causal", "true"}});
    ASSERT_EQ(causal.by_kernel().size(), 1u);
    EXPECT_LT(largest_difference(causal.by_kernel()[0], causal.expected()[0]), 2e-6);
  }
}

TEST(KernelOps, AttentionThatIsNotCausalIsLeftToTheOperation) {
  auto with_mask = [](Tensor mask) {
    auto inputs = prompt(5, 8, 8);
    inputs.push_back(std::move(mask));
    return Operation("ScaledDotProductAttention", inputs, {{"causal", "false"}}).by_kernel().empty();
  };
  Tensor window = causal_mask(5, -kInfinity), bias = causal_mask(5, -kInfinity), open = causal_mask(5, -kInfinity);
  window.as_mutable<float>()[4 * 5] = -kInfinity;
  bias.as_mutable<float>()[4 * 5] = 0.5f;
  open.as_mutable<float>()[4] = 0;
  EXPECT_TRUE(with_mask(window));
  EXPECT_TRUE(with_mask(bias));
  EXPECT_TRUE(with_mask(open));
  EXPECT_TRUE(with_mask(random_tensor({1, 3, 5, 5}, 4)));
  EXPECT_TRUE(Operation("ScaledDotProductAttention", prompt(5, 8, 8), {{"causal", "false"}}).by_kernel().empty());
  auto after_others = prompt(5, 8, 8);
  after_others[0] = random_tensor({1, 3, 2, 8}, 5);
  EXPECT_TRUE(Operation("ScaledDotProductAttention", after_others, {{"causal", "true"}}).by_kernel().empty());
}

TEST(KernelOps, ActivationsAreThoseOfTheOperations) {
  Tensor x = random_tensor({3, 37}, 6);
  for (auto& [type, attributes] : std::vector<std::pair<std::string, Attributes>>{
           {"Swish", {}}, {"Sigmoid", {}}, {"Gelu", {{"approximation_mode", "ERF"}}}, {"Gelu", {{"approximation_mode", "TANH"}}}}) {
    SCOPED_TRACE(type);
    Operation activation(type, {x}, attributes);
    ASSERT_EQ(activation.by_kernel().size(), 1u);
    EXPECT_LT(largest_difference(activation.by_kernel()[0], activation.expected()[0]), 1e-6);
  }
  EXPECT_TRUE(Operation("Swish", {x, Tensor::scalar(1.7f)}).by_kernel().empty());
}

/// x / sqrt(mean(x^2) + epsilon) * weight.
struct RmsNorm {
  RmsNorm() {
    Value two = graph.add_constant(Tensor::scalar(2.0f)).output(), one = graph.add_constant(Tensor::scalar(1.0f)).output();
    Value axis = graph.add_constant(Tensor::from<int64_t>({1}, std::vector<int64_t>{-1})).output();
    Value epsilon = graph.add_constant(Tensor::scalar(1e-5f)).output(), weight = graph.add_constant(random_tensor({8}, 7)).output();
    x = graph.add_parameter(ElementType::f32, Shape{1, -1, 8}, "x").output();
    auto put = [&](std::string_view type, std::vector<Value> inputs, Attributes attributes = {}) {
      nodes.push_back(&graph.add(type, std::move(inputs), std::move(attributes)));
      return nodes.back()->output();
    };
    Value mean = put("ReduceMean", {put("Power", {x, two}), axis}, {{"keep_dims", "true"}});
    Value inverse = put("Divide", {one, put("Sqrt", {put("Add", {mean, epsilon})})});
    put("Multiply", {put("Multiply", {x, inverse}), weight});
  }
  Graph graph;
  Value x;
  std::vector<Node*> nodes;
};

TEST(FusedNorms, TakeThePlaceOfNodesThatNothingElseReads) {
  RmsNorm norm;
  ThreadPool threads(1);
  std::vector<Value> kept{norm.nodes.back()->output()};
  {
    cpu::ConstantValues constants(norm.graph, threads);
    FusedNorms found = find_norms(norm.nodes, kept, constants);
    ASSERT_EQ(found.results.size(), 1u);
    EXPECT_EQ(found.results.at(norm.nodes.back()).x, norm.x);
    EXPECT_EQ(found.inner.size(), norm.nodes.size() - 1);
    std::vector<Value> keeps_mean{norm.nodes.back()->output(), norm.nodes[1]->output()};
    EXPECT_TRUE(find_norms(norm.nodes, keeps_mean, constants).results.empty());
    EXPECT_TRUE(find_norms(std::span(norm.nodes).subspan(1), kept, constants).results.empty());
  }
  norm.graph.add("Sqrt", {norm.nodes[1]->output()});
  cpu::ConstantValues constants(norm.graph, threads);
  EXPECT_TRUE(find_norms(norm.nodes, kept, constants).results.empty());
}

}  // namespace

}  // namespace nibble
