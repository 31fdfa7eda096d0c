#include <gmock/gmock.h>

#include <mutex>

#include "cpu_session.hpp"
#include "expect_error.hpp"

// Graphs that the CPU device has no plan for run op by op, as the REFERENCE device runs them.

namespace nibble {

using test::fails;
using test::integers;
using testing::HasSubstr;

namespace {

/// total += x, starting from 100.
Graph running_total() {
  Graph graph;
  Value x = graph.add_parameter(ElementType::i64, {kDynamic, 2}, "x").output();
  Value start = graph.add_constant(integers({1, 2}, {100, 100})).output();
  Attributes variable{{"variable_id", "total"}, {"variable_type", "i64"}, {"variable_shape", "?,2"}};
  Value past = graph.add("ReadValue", {start}, variable).output();
  Value total = graph.add("Add", {past, x}).output();
  total.node->output_info().names.insert("total");
  graph.add("Assign", {total}, {{"variable_id", "total"}});
  graph.add("Result", {total});
  return graph;
}

Graph llama() { return test::IrFixture(test::data_path("ir/llama-gqa-int4-sym-g32")).graph(); }

/// A language model whose logits are the sums over earlier tokens.
Graph with_unknown_state() {
  Graph graph = llama();
  Node& result = *graph.find_result("logits");
  Value logits = result.input(0);
  logits.node->output_info().names.clear();
  Value start = graph.add_constant(Tensor::from<float>({1, 1, 1}, std::vector<float>{0})).output();
  Value past = graph.add("ReadValue", {start}, {{"variable_id", "sum"}, {"variable_type", "f32"}, {"variable_shape", "?,?,?"}}).output();
  Value axis = graph.add_constant(integers({1}, {1})).output();
  Value sum = graph.add("Add", {graph.add("ReduceSum", {logits, axis}, {{"keep_dims", "true"}}).output(), past}).output();
  graph.add("Assign", {sum}, {{"variable_id", "sum"}});
  Value all = graph.add("Add", {logits, sum}).output();
  all.node->output_info().names.insert("logits");
  result.set_input(0, all);
  graph.infer();
  return graph;
}

std::vector<std::string> texts(const std::vector<PortInfo>& ports) {
  std::vector<std::string> all;
  for (const PortInfo& port : ports) all.push_back(port.name + " " + std::string(to_string(port.type)) + " " + to_string(port.shape));
  return all;
}

class CpuUnplanned : public testing::Test {
 protected:
  /// Messages of the log, which any thread may write.
  std::vector<std::string> warnings() {
    std::lock_guard lock(mutex_);
    return warnings_;
  }
  void log(LogLevel level, std::string_view message) {
    std::lock_guard lock(mutex_);
    if (level == LogLevel::warning) warnings_.emplace_back(message);
  }

  std::mutex mutex_;
  std::vector<std::string> warnings_;
  Context context_{{.threads = 2, .log = [this](LogLevel level, std::string_view message) { log(level, message); }}};
};

TEST_F(CpuUnplanned, GraphsThatAreNoLanguageModelsRun) {
  auto model = test::compile_on_cpu(running_total(), context_);
  EXPECT_EQ(model->device_name(), "CPU");
  auto request = model->create_request();
  for (int64_t expected : {103, 106}) {
    request->set_input("x", integers({1, 2}, {3, 4}));
    request->infer();
    EXPECT_EQ(to_int64s(request->output("total"))[0], expected);
  }
  request->reset_state();
  request->infer();
  EXPECT_EQ(to_int64s(request->output("total")), (std::vector<int64_t>{103, 104}));
}

TEST_F(CpuUnplanned, ThePlanSaysWhatIsInTheWay) {
  auto plan = test::compile_on_cpu(running_total(), context_)->plan();
  ASSERT_TRUE(plan);
  EXPECT_NE(plan->obstacle, "");
  EXPECT_EQ(plan->weight_bytes, 0u);
  ASSERT_EQ(plan->steps.size(), 1u);
  EXPECT_EQ(plan->steps[0].kind, "Add");
  EXPECT_TRUE(plan->steps[0].unfused);
}

TEST_F(CpuUnplanned, TheLogWarns) {
  test::compile_on_cpu(llama(), context_);
  EXPECT_TRUE(warnings().empty());
  auto plan = test::compile_on_cpu(with_unknown_state(), context_)->plan();
  ASSERT_EQ(warnings().size(), 1u);
  EXPECT_THAT(warnings()[0], testing::AllOf(HasSubstr("op by op"), HasSubstr(plan->obstacle)));
}

TEST_F(CpuUnplanned, PropertiesAreCheckedAllTheSame) {
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"NPU_TURBO"}, [&] {
    test::compile_on_cpu(running_total(), context_, {{"NPU_TURBO", "YES"}});
  }));
  EXPECT_NO_THROW(test::compile_on_cpu(running_total(), context_, {{"INFERENCE_NUM_THREADS", "1"}, {"KV_CACHE_PRECISION", "u8"}}));
}

TEST_F(CpuUnplanned, PortsAreThoseOfTheGraph) {
  auto planned = test::compile_on_cpu(llama(), context_), unplanned = test::compile_on_cpu(with_unknown_state(), context_);
  auto reference = find_device("REFERENCE").compile(llama(), {}, context_);
  EXPECT_EQ(texts(planned->inputs()), texts(reference->inputs()));
  EXPECT_EQ(texts(planned->outputs()), texts(reference->outputs()));
  reference = find_device("REFERENCE").compile(with_unknown_state(), {}, context_);
  EXPECT_EQ(texts(unplanned->inputs()), texts(reference->inputs()));
  EXPECT_EQ(texts(unplanned->outputs()), texts(reference->outputs()));
}

/// Planning infers shapes for windows of its own; the graph must forget them.
TEST_F(CpuUnplanned, LanguageModelsComputeWhatTheyDid) {
  test::ModelSession session(with_unknown_state(), context_, {}, "CPU"), reference(with_unknown_state(), context_);
  ASSERT_NE(session.model().plan()->obstacle, "");
  test::MaskRows mask{{0, 1, 1}, {1, 1, 1}};
  Tensor batch = integers({2, 3}, {9, 5, 17, 1, 2, 3});
  test::expect_logits(session.run(batch, mask, {0, 1}), reference.run(batch, mask, {0, 1}), 0);
  for (auto& row : mask) row.push_back(1);
  Tensor next = integers({2, 1}, {40, 41});
  test::expect_logits(session.run(next, mask, {1, 1}), reference.run(next, mask, {1, 1}), 0);
}

TEST_F(CpuUnplanned, RunnersWorkOverRequests) {
  auto runner = make_runner(test::compile_on_cpu(with_unknown_state(), context_));
  test::ModelSession reference(with_unknown_state(), context_);
  const std::vector<int64_t> prompt{5, 17, 40}, next{77};
  EXPECT_EQ(runner->device_name(), "CPU");
  runner->forward(std::vector<TokenSpan>{{1, prompt}});
  Tensor logits = runner->forward(std::vector<TokenSpan>{{1, next}});
  reference.extend(prompt, 0);
  EXPECT_EQ(test::logits_row(logits, 0), test::logits_row(reference.extend(next, 3), 0));
  EXPECT_TRUE(fails(ErrorKind::unsupported, {"CPU"}, [&] { runner->fork(1, 2); }));
}

/// An exported product that is no model at all.
TEST_F(CpuUnplanned, ExportedLayersRun) {
  auto graph = [] { return read_ir(test::data_path("ir/matmul-int3-sym-g64/openvino_model.xml")); };
  auto on_cpu = test::compile_on_cpu(graph(), context_);
  auto reference = find_device("REFERENCE").compile(graph(), {}, context_);
  Shape shape = on_cpu->inputs().at(0).shape.dims();
  for (int64_t& dim : shape) dim = dim == kDynamic ? 3 : dim;
  std::vector<float> values(element_count(shape));
  for (size_t i = 0; i < values.size(); ++i) values[i] = std::sin(static_cast<float>(i));
  std::vector<std::vector<float>> outputs;
  for (const CompiledModel* model : {on_cpu.get(), static_cast<const CompiledModel*>(reference.get())}) {
    auto request = model->create_request();
    request->set_input(model->inputs()[0].name, Tensor::from<float>(shape, values));
    request->infer();
    outputs.push_back(to_floats(request->output(model->outputs().at(0).name)));
  }
  EXPECT_EQ(outputs[0], outputs[1]);
  EXPECT_GT(outputs[0].size(), 1u);
}

}  // namespace
}  // namespace nibble
