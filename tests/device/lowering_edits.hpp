#pragma once

#include <gmock/gmock.h>

#include <functional>
#include <ostream>
#include <random>

#include "cpu_session.hpp"

namespace nibble::test {

/// What edits are made of.
class Editor {
 public:
  explicit Editor(Graph& graph) : graph_(graph) {}

  Graph& graph() { return graph_; }
  Value add(std::string_view type, std::vector<Value> inputs, Attributes attributes = {}) {
    return graph_.add(type, std::move(inputs), std::move(attributes)).output();
  }
  Value number(float value) { return constant({}, std::vector<float>{value}); }
  Value constant(Shape shape, const std::vector<float>& values) {
    return graph_.add_constant(Tensor::from<float>(std::move(shape), values)).output();
  }
  Value ints(const std::vector<int64_t>& values) {
    return graph_.add_constant(Tensor::from<int64_t>({static_cast<int64_t>(values.size())}, values)).output();
  }
  Value int_scalar(int64_t value) { return graph_.add_constant(Tensor::scalar<int64_t>(value)).output(); }
  Value random(Shape shape, float scale = 1) {
    std::uniform_real_distribution<float> uniform(-scale, scale);
    std::vector<float> values(element_count(shape));
    for (float& v : values) v = uniform(random_);
    return constant(std::move(shape), values);
  }
  Value as(Value value, std::string_view type) { return add("Convert", {value}, {{"destination_type", std::string(type)}}); }
  Value floats(Value value) { return as(value, "f32"); }
  Value input(std::string_view name) { return graph_.find_parameter(name)->output(); }

  Node& result() { return *graph_.find_result("logits"); }
  Value logits() { return result().input(0); }
  void set_logits(Value value) {
    logits().node->output_info(logits().index).names.clear();
    value.node->output_info(value.index).names.insert("logits");
    result().set_input(0, value);
  }
  /// Replaces the logits by a function of them.
  void map_logits(const std::function<Value(Value)>& function) { set_logits(function(logits())); }
  /// The last hidden states: what the head multiplies.
  Value hidden() { return logits().node->input(0); }
  Value head() { return logits().node->input(1); }
  void set_hidden(Value value) { logits().node->set_input(0, value); }

  std::vector<Node*> attentions() { return graph_.of_type("ScaledDotProductAttention"); }
  void map_attention_input(size_t index, const std::function<Value(Value)>& function) {
    for (Node* node : attentions()) node->set_input(index, function(node->input(index)));
  }
  /// Positions of the queries [1, 1, tokens, 1] and of the keys [1, 1, 1, past and tokens].
  Value query_positions() {
    Value positions = floats(input("position_ids"));
    return add("Unsqueeze", {add("Unsqueeze", {positions, ints({1})}), ints({3})});
  }
  Value key_positions() {
    Value length = add("Gather", {add("ShapeOf", {input("attention_mask")}, {{"output_type", "i64"}}), int_scalar(1), int_scalar(0)});
    Value range = add("Range", {int_scalar(0), length, int_scalar(1)}, {{"output_type", "f32"}});
    return add("Unsqueeze", {range, ints({0, 1, 2})});
  }

 private:
  Graph& graph_;
  std::mt19937 random_{1};
};

enum class Planned {
  fused,    ///< the plan has a kernel for everything
  unfused,  ///< some operations run by their `evaluate`
  no,       ///< op by op, as `obstacle` explains
};

/// A change of an exported model, and what the CPU device makes of it.
struct Edit {
  std::string name, model;
  std::function<void(Editor&)> apply;
  Planned planned = Planned::fused;
  std::string obstacle = {};
};

inline void PrintTo(const Edit& edit, std::ostream* stream) { *stream << edit.model; }
inline std::string edit_name(const testing::TestParamInfo<Edit>& info) { return info.param.name; }

constexpr const char* kLlama = "llama-gqa-int4-sym-g32";

class Edits {
 public:
  void add(std::string name, const char* model, std::function<void(Editor&)> apply, Planned planned = Planned::fused,
           std::string obstacle = {}) {
    all_.push_back({std::move(name), model, std::move(apply), planned, std::move(obstacle)});
  }
  void llama(std::string name, std::function<void(Editor&)> apply, Planned planned = Planned::fused, std::string obstacle = {}) {
    add(std::move(name), kLlama, std::move(apply), planned, std::move(obstacle));
  }
  /// Replaces the logits of a Llama by a function of them.
  void logits(std::string name, std::function<Value(Editor&, Value)> map, Planned planned = Planned::fused, std::string obstacle = {}) {
    auto apply = [map](Editor& e) { e.map_logits([&](Value x) { return map(e, x); }); };
    llama(std::move(name), apply, planned, std::move(obstacle));
  }
  const std::vector<Edit>& all() const { return all_; }

 private:
  std::vector<Edit> all_;
};

/// Language models that differ from exported ones: the CPU device either plans them and computes what the graph says, or runs them op by
/// op.
class Lowering : public testing::TestWithParam<Edit> {
 protected:
  Graph graph() const {
    Graph graph = IrFixture(data_path("ir/" + GetParam().model)).graph();
    Editor editor(graph);
    GetParam().apply(editor);
    graph.remove_unused();
    graph.infer();
    return graph;
  }

  /// Calls `run` with the tokens of a prompt and of two continuations.
  static std::vector<Tensor> in_steps(const std::function<Tensor(const std::vector<int64_t>& ids, size_t past)>& run) {
    std::mt19937 random(3);
    std::vector<Tensor> logits;
    size_t past = 0;
    for (size_t count : {12, 3, 1}) {
      std::vector<int64_t> ids(count);
      for (int64_t& id : ids) id = static_cast<int64_t>(random() % 256);
      logits.push_back(run(ids, past));
      past += count;
    }
    return logits;
  }

  /// Compares a request, which gives logits of every token, and a runner that gives those of the last ones with the REFERENCE device.
  void expect_what_the_graph_says() {
    auto model = compile_on_cpu(graph(), context_, exact());
    ModelSession reference(graph(), context_), session(model);
    auto runner = make_runner(model);
    auto expected = in_steps([&](const auto& ids, size_t past) { return reference.extend(ids, past); });
    auto found = in_steps([&](const auto& ids, size_t past) { return session.extend(ids, past); });
    auto last = in_steps([&](const auto& ids, size_t) { return runner->forward(std::vector<TokenSpan>{{1, ids}}); });
    for (size_t i = 0; i < expected.size(); ++i) {
      SCOPED_TRACE(i);
      ASSERT_EQ(found[i].shape(), expected[i].shape());
      expect_logits(found[i], expected[i], 2e-4);
      auto vocab = expected[i].shape().back();
      Tensor last_row = Tensor::from<float>({1, vocab}, expected[i].as<float>().last(static_cast<size_t>(vocab)));
      expect_logits(last[i], last_row, 2e-4);
    }
  }

  void expect_plan() {
    auto plan = compile_on_cpu(graph(), context_, exact())->plan();
    ASSERT_TRUE(plan);
    EXPECT_EQ(plan->obstacle.empty(), GetParam().planned != Planned::no) << plan->obstacle;
    EXPECT_THAT(plan->obstacle, testing::HasSubstr(GetParam().obstacle));
    bool unfused = std::any_of(plan->steps.begin(), plan->steps.end(), [](const PlanStep& step) { return step.unfused; });
    EXPECT_EQ(unfused, GetParam().planned != Planned::fused);
  }

  Context context_{{.threads = 2, .log = {}}};
};

}  // namespace nibble::test
