#include "device/model_runner.hpp"
#include "expect_error.hpp"
#include "export/checkpoint_graph.hpp"
#include "model_session.hpp"

namespace nibble {

using test::fails;

namespace {

using Tokens = std::vector<int64_t>;

constexpr int64_t kPoison = 13;

/// A device's model whose requests fail on one token.
class FragileModel : public CompiledModel {
 public:
  explicit FragileModel(std::unique_ptr<CompiledModel> model) : model_(std::move(model)) {}
  std::string_view device_name() const override { return model_->device_name(); }
  const std::vector<PortInfo>& inputs() const override { return model_->inputs(); }
  const std::vector<PortInfo>& outputs() const override { return model_->outputs(); }
  std::unique_ptr<InferRequest> create_request() const override { return std::make_unique<Request>(model_->create_request()); }

 private:
  class Request : public InferRequest {
   public:
    explicit Request(std::unique_ptr<InferRequest> request) : request_(std::move(request)) {}
    void set_input(std::string_view name, Tensor tensor) override {
      if (name == "input_ids") tokens_ = to_int64s(tensor);
      request_->set_input(name, std::move(tensor));
    }
    void infer() override {
      if (std::count(tokens_.begin(), tokens_.end(), kPoison) > 0) throw Error(ErrorKind::device, "the device has failed");
      request_->infer();
    }
    Tensor output(std::string_view name) const override { return request_->output(name); }
    void reset_state() override { request_->reset_state(); }

   private:
    std::unique_ptr<InferRequest> request_;
    Tokens tokens_;
  };
  std::unique_ptr<CompiledModel> model_;
};

/// A runner over a small Llama, and the same model without a runner for what to expect.
class Runner : public testing::Test {
 protected:
  static Graph graph() { return build_checkpoint_graph(test::data_path("models/llama-gqa"), FloatFormat::stored); }

  /// Logits [tokens, vocab] of a sequence run at once from an empty cache.
  Tensor alone(const Tokens& tokens) {
    session_.reset();
    Tensor logits = session_.extend(tokens, 0);
    return logits.reshaped({logits.shape()[1], logits.shape()[2]});
  }
  static std::vector<float> row(const Tensor& logits, int64_t index) {
    auto vocab = static_cast<size_t>(logits.shape()[1]);
    auto values = logits.as<float>().subspan(static_cast<size_t>(index) * vocab, vocab);
    return {values.begin(), values.end()};
  }
  void expect_row(const Tensor& logits, int64_t index, const Tokens& sequence) {
    Tensor expected = alone(sequence);
    auto a = row(logits, index), e = row(expected, static_cast<int64_t>(sequence.size()) - 1);
    for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], e[i], 1e-4) << "row " << index << ", token " << i;
  }
  Tensor forward(std::vector<TokenSpan> batch) { return runner_->forward(batch); }

  Context context_;
  test::ModelSession session_{graph(), context_};
  std::unique_ptr<ModelRunner> runner_ =
      make_stateful_runner(std::make_shared<FragileModel>(find_device("REFERENCE").compile(graph(), {}, context_)));
  const Tokens a_{5, 17, 40, 2}, b_{9, 9, 31}, next_{77}, more_{8, 120}, poison_{1, kPoison};
};

TEST_F(Runner, GivesTheLastRowOfEachSpanInTheirOrder) {
  Tensor logits = forward({{7, a_}, {3, b_}});
  ASSERT_EQ(logits.shape(), (Shape{2, 256}));
  expect_row(logits, 0, a_);
  expect_row(logits, 1, b_);
}

TEST_F(Runner, ContinuesWhatItHasSeen) {
  forward({{1, a_}});
  expect_row(forward({{1, next_}}), 0, {5, 17, 40, 2, 77});
  expect_row(forward({{1, more_}}), 0, {5, 17, 40, 2, 77, 8, 120});
}

TEST_F(Runner, MixesPromptsAndSingleTokens) {
  forward({{1, a_}});
  Tensor logits = forward({{2, b_}, {1, next_}});
  expect_row(logits, 0, b_);
  expect_row(logits, 1, {5, 17, 40, 2, 77});
}

TEST_F(Runner, ASequenceMayAppearTwiceInABatch) {
  Tensor logits = forward({{1, a_}, {1, next_}});
  expect_row(logits, 0, a_);
  expect_row(logits, 1, {5, 17, 40, 2, 77});
}

TEST_F(Runner, GivesARowPerTokenOnRequest) {
  Tensor logits = forward({{1, b_}, {2, a_, true}, {3, b_}});
  ASSERT_EQ(logits.shape(), (Shape{6, 256}));
  Tensor expected = alone(a_);
  for (int64_t i = 0; i < 4; ++i) EXPECT_EQ(row(logits, 1 + i), row(expected, i)) << "token " << i;
  expect_row(logits, 0, b_);
  expect_row(logits, 5, b_);
}

TEST_F(Runner, ReleasedSequencesStartAgain) {
  forward({{1, a_}});
  runner_->release(1);
  expect_row(forward({{1, b_}}), 0, b_);
}

TEST_F(Runner, ReleaseLeavesOtherSequencesAlone) {
  forward({{1, a_}, {2, b_}});
  runner_->release(1);
  expect_row(forward({{2, next_}}), 0, {9, 9, 31, 77});
}

TEST_F(Runner, ReleasingUnknownSequencesDoesNothing) {
  runner_->release(42);
  expect_row(forward({{1, a_}}), 0, a_);
}

TEST_F(Runner, AnEmptyBatchGivesNoRows) { EXPECT_EQ(forward({}).size(), 0u); }

TEST_F(Runner, EmptySpansAreRefusedBeforeAnythingRuns) {
  Tokens none;
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"no tokens"}, [&] { forward({{1, a_}, {2, none}}); }));
  expect_row(forward({{1, b_}}), 0, b_);
}

TEST_F(Runner, AFailureSaysThatTheBatchMustBeReleased) {
  EXPECT_TRUE(fails(ErrorKind::device, {"failed", "released"}, [&] { forward({{1, a_}, {2, poison_}}); }));
}

TEST_F(Runner, AFailureOfTheFirstSpanLeavesItsSequence) {
  forward({{1, a_}});
  EXPECT_THROW(forward({{1, poison_}}), Error);
  expect_row(forward({{1, next_}}), 0, {5, 17, 40, 2, 77});
}

TEST_F(Runner, NamesItsDevice) { EXPECT_EQ(runner_->device_name(), "REFERENCE"); }

TEST_F(Runner, ModelsWithoutTokensOrBeamsAreRefused) {
  Graph graph;
  graph.add("Result", {graph.add_parameter(ElementType::i64, {kDynamic, kDynamic}, "input_ids").output()});
  std::shared_ptr<const CompiledModel> model = find_device("REFERENCE").compile(std::move(graph), {}, context_);
  EXPECT_TRUE(fails(ErrorKind::unsupported, {"beam_idx"}, [&] { make_stateful_runner(model); }));
}

}  // namespace
}  // namespace nibble
