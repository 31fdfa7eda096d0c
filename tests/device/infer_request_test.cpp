#include "expect_error.hpp"
#include "model_session.hpp"

namespace nibble {

using test::fails;
using test::integers;

namespace {

/// total += x, starting from 100; the second output is 12 / x, which fails where x is 0.
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
  Value ratio = graph.add("Divide", {graph.add_constant(Tensor::scalar<int64_t>(12)).output(), x}, {}, "divide").output();
  ratio.node->output_info().names.insert("ratio");
  graph.add("Result", {ratio});
  return graph;
}

class Request : public testing::Test {
 protected:
  std::unique_ptr<CompiledModel> compile(const Properties& properties = {}) {
    return find_device("REFERENCE").compile(running_total(), properties, context_);
  }
  static void run(InferRequest& request, std::vector<int64_t> x) {
    request.set_input("x", integers({1, 2}, x));
    request.infer();
  }
  static std::vector<int64_t> total(const InferRequest& request) { return to_int64s(request.output("total")); }

  Context context_{{.threads = 2, .log = {}}};
  std::unique_ptr<CompiledModel> model_ = compile();
  std::unique_ptr<InferRequest> request_ = model_->create_request();
};

using Totals = std::vector<int64_t>;

TEST_F(Request, StatesCarryOverFromRunToRun) {
  run(*request_, {1, 2});
  EXPECT_EQ(total(*request_), (Totals{101, 102}));
  run(*request_, {10, 20});
  EXPECT_EQ(total(*request_), (Totals{111, 122}));
}

TEST_F(Request, ResetStartsFromTheInitialValue) {
  run(*request_, {1, 2});
  request_->reset_state();
  run(*request_, {5, 5});
  EXPECT_EQ(total(*request_), (Totals{105, 105}));
}

TEST_F(Request, RequestsOfOneModelHaveTheirOwnStates) {
  auto other = model_->create_request();
  run(*request_, {1, 2});
  run(*other, {7, 7});
  EXPECT_EQ(total(*other), (Totals{107, 107}));
  run(*request_, {1, 2});
  EXPECT_EQ(total(*request_), (Totals{102, 104}));
}

TEST_F(Request, OutputsOutliveLaterRunsAndTheModel) {
  run(*request_, {1, 2});
  Tensor kept = request_->output("total");
  run(*request_, {1, 2});
  request_.reset();
  model_.reset();
  EXPECT_EQ(to_int64s(kept), (Totals{101, 102}));
}

TEST_F(Request, RequestsOutliveTheModel) {
  model_.reset();
  run(*request_, {1, 2});
  EXPECT_EQ(total(*request_), (Totals{101, 102}));
}

TEST_F(Request, MissingInputIsNamed) {
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"'x'", "not set"}, [&] { request_->infer(); }));
}

TEST_F(Request, UnknownNamesAreNotFound) {
  EXPECT_TRUE(fails(ErrorKind::not_found, {"'y'"}, [&] { request_->set_input("y", integers({1, 2}, {1, 2})); }));
  run(*request_, {1, 2});
  EXPECT_TRUE(fails(ErrorKind::not_found, {"'y'"}, [&] { request_->output("y"); }));
}

TEST_F(Request, WrongTypesAreNamedWithTheRightOnes) {
  Tensor ints(ElementType::i32, {1, 2});
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"'x'", "i64", "i32"}, [&] { request_->set_input("x", ints); }));
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"'x'"}, [&] { request_->set_input("x", Tensor()); }));
}

TEST_F(Request, WrongShapesAreNamedWithTheRightOnes) {
  for (Shape shape : {Shape{1, 3}, Shape{2}, Shape{1, 2, 1}, Shape{}})
    EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"'x'", "?,2", to_string(shape)},
                      [&] { request_->set_input("x", Tensor(ElementType::i64, shape)); }));
}

TEST_F(Request, OutputBeforeTheFirstRunIsAnError) {
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"'total'", "infer"}, [&] { request_->output("total"); }));
}

TEST_F(Request, AFailedRunLeavesTheStateAsItWas) {
  run(*request_, {1, 2});
  EXPECT_THROW(run(*request_, {0, 5}), Error);  // the sum was computed by then
  run(*request_, {10, 20});
  EXPECT_EQ(total(*request_), (Totals{111, 122}));
}

TEST_F(Request, AFailedRunLeavesTheOutputsAsTheyWere) {
  run(*request_, {1, 2});
  EXPECT_THROW(run(*request_, {0, 5}), Error);
  EXPECT_EQ(total(*request_), (Totals{101, 102}));
}

TEST_F(Request, ErrorsOfARunNameTheNode) {
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"Divide 'divide'", "zero"}, [&] { run(*request_, {0, 5}); }));
}

TEST_F(Request, StatesWithoutInitialValueStartEmpty) {
  Graph graph;
  Value x = graph.add_parameter(ElementType::f32, {kDynamic}, "x").output();
  Value past = graph.add("ReadValue", {}, {{"variable_id", "v"}, {"variable_type", "f32"}, {"variable_shape", "?"}}).output();
  Value all = graph.add("Concat", {past, x}, {{"axis", "0"}}).output();
  all.node->output_info().names.insert("all");
  graph.add("Assign", {all}, {{"variable_id", "v"}});
  graph.add("Result", {all});
  auto model = find_device("REFERENCE").compile(std::move(graph), {}, context_);
  auto request = model->create_request();
  for (size_t run : {1, 2, 3}) {
    request->set_input("x", Tensor::from<float>({2}, std::array<float, 2>{1, 2}));
    request->infer();
    EXPECT_EQ(request->output("all").size(), 2 * run);
  }
}

TEST_F(Request, PortsAreListedWithTypesAndShapes) {
  ASSERT_EQ(model_->inputs().size(), 1u);
  EXPECT_EQ(model_->inputs()[0].name, "x");
  EXPECT_EQ(model_->inputs()[0].type, ElementType::i64);
  EXPECT_EQ(to_string(model_->inputs()[0].shape), "?,2");
  ASSERT_EQ(model_->outputs().size(), 2u);
  EXPECT_EQ(model_->outputs()[0].name, "total");
  EXPECT_EQ(model_->outputs()[1].name, "ratio");
  EXPECT_TRUE(model_->has_input("x"));
  EXPECT_FALSE(model_->has_input("total"));
}

TEST_F(Request, PropertiesOfOtherDevicesAreAccepted) {
  auto model = compile({{"INFERENCE_PRECISION_HINT", "f32"}, {"PERFORMANCE_HINT", "LATENCY"}, {"INFERENCE_NUM_THREADS", "4"}});
  EXPECT_EQ(model->device_name(), "REFERENCE");
}

TEST_F(Request, UnknownPropertyIsNamed) {
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"REFERENCE", "NUM_STREMS"}, [&] { compile({{"NUM_STREMS", "1"}}); }));
}

TEST(Devices, AreFoundByName) {
  EXPECT_EQ(find_device("REFERENCE").name(), "REFERENCE");
  EXPECT_EQ(find_device("").name(), default_device());
}

TEST(Devices, UnknownNameNamesTheKnownOnes) {
  EXPECT_TRUE(fails(ErrorKind::not_found, {"TPU", "REFERENCE"}, [] { find_device("TPU"); }));
}

TEST(Devices, AvailableOnesCanBeFound) {
  ASSERT_FALSE(available_devices().empty());
  for (const DeviceInfo& info : available_devices()) {
    EXPECT_EQ(find_device(info.name).name(), info.name);
    EXPECT_FALSE(info.description.empty());
  }
}

}  // namespace
}  // namespace nibble
