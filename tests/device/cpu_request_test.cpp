#include <numeric>

#include "cpu_session.hpp"
#include "expect_error.hpp"

// Requests of the CPU device: padded rows over a cache that has no padding.

namespace nibble {

using test::fails;
using test::integers;
using test::IrFixture;

namespace {

using Tokens = std::vector<int64_t>;

/// Inputs of one run. What is empty follows from the tokens, as for sequences without padding.
struct Inputs {
  std::vector<Tokens> ids;
  test::MaskRows mask = {};
  std::vector<Tokens> positions = {};
  std::vector<int32_t> beams = {};
};

class CpuRequest : public testing::Test {
 protected:
  static Tensor matrix(const std::vector<Tokens>& rows) {
    Tokens flat;
    for (const Tokens& row : rows) flat.insert(flat.end(), row.begin(), row.end());
    return integers({static_cast<int64_t>(rows.size()), static_cast<int64_t>(rows[0].size())}, flat);
  }

  Tensor run(Inputs in, size_t past = 0) { return run(*request_, std::move(in), past); }

  static Tensor run(InferRequest& request, Inputs in, size_t past = 0) {
    size_t rows = in.ids.size(), length = in.ids[0].size();
    if (in.mask.empty()) in.mask.assign(rows, Tokens(past + length, 1));
    if (in.beams.empty()) {
      in.beams.resize(rows);
      std::iota(in.beams.begin(), in.beams.end(), 0);
    }
    if (in.positions.empty()) {
      in.positions.assign(rows, Tokens(length));
      for (size_t r = 0; r < rows; ++r) {
        int64_t seen = std::accumulate(in.mask[r].begin(), in.mask[r].end() - static_cast<std::ptrdiff_t>(length), int64_t{0});
        for (size_t i = 0; i < length; ++i) {
          seen += in.mask[r][in.mask[r].size() - length + i];
          in.positions[r][i] = std::max<int64_t>(seen - 1, 0);
        }
      }
    }
    request.set_input("input_ids", matrix(in.ids));
    request.set_input("attention_mask", matrix(in.mask));
    request.set_input("position_ids", matrix(in.positions));
    request.set_input("beam_idx", Tensor::from<int32_t>({static_cast<int64_t>(in.beams.size())}, in.beams));
    request.infer();
    return request.output("logits");
  }

  /// The logits of a sequence's last token, run by itself at once.
  std::vector<float> alone(const Tokens& tokens) {
    auto request = model_->create_request();
    Tensor logits = run(*request, {{tokens}});
    return test::logits_row(logits, tokens.size() - 1);
  }
  static void expect_near(const std::vector<float>& a, const std::vector<float>& b) {
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 1e-4) << i;
  }

  Context context_{{.threads = 2, .log = {}}};
  std::shared_ptr<const CompiledModel> model_ =
      test::compile_on_cpu(IrFixture(test::data_path("ir/llama-gqa-int4-sym-g32")).graph(), context_, test::exact());
  std::unique_ptr<InferRequest> request_ = model_->create_request();
};

TEST_F(CpuRequest, GivesARowPerToken) {
  Tensor logits = run({{{5, 17, 40}, {1, 2, 3}}});
  EXPECT_EQ(logits.shape(), (Shape{2, 3, 256}));
  expect_near(test::logits_row(logits, 2), alone({5, 17, 40}));
  expect_near(test::logits_row(logits, 5), alone({1, 2, 3}));
}

TEST_F(CpuRequest, PaddingGetsZeros) {
  Tensor logits = run({{{9, 9, 40}, {1, 2, 3}}, {{0, 0, 1}, {1, 1, 1}}});
  for (size_t i : {0, 1}) EXPECT_EQ(test::logits_row(logits, i), std::vector<float>(256, 0));
  expect_near(test::logits_row(logits, 2), alone({40}));
}

TEST_F(CpuRequest, PaddingMayBeAnywhere) {
  Tensor logits = run({{{5, 9, 17, 40, 9}}, {{1, 0, 1, 1, 0}}});
  expect_near(test::logits_row(logits, 3), alone({5, 17, 40}));
  EXPECT_EQ(test::logits_row(logits, 4), std::vector<float>(256, 0));
  logits = run({{{77}}, {{1, 0, 1, 1, 0, 1}}}, 5);
  expect_near(test::logits_row(logits, 0), alone({5, 17, 40, 77}));
}

TEST_F(CpuRequest, RowsOfPaddingAloneWaitForTheirFirstToken) {
  run({{{5, 17}, {9, 9}}, {{1, 1}, {0, 0}}});
  Tensor logits = run({{{40}, {1}}, {{1, 1, 1}, {0, 0, 1}}}, 2);
  expect_near(test::logits_row(logits, 0), alone({5, 17, 40}));
  expect_near(test::logits_row(logits, 1), alone({1}));
}

TEST_F(CpuRequest, ContinuesItsRows) {
  run({{{5, 17}, {1, 2}}});
  Tensor logits = run({{{40, 41}, {3, 4}}}, 2);
  expect_near(test::logits_row(logits, 1), alone({5, 17, 40, 41}));
  expect_near(test::logits_row(logits, 3), alone({1, 2, 3, 4}));
}

TEST_F(CpuRequest, BeamsMayMultiplyAndVanish) {
  run({{{5, 17}, {1, 2}}});
  Tensor logits = run({{{40}, {41}, {42}}, {}, {}, {1, 1, 0}}, 2);
  expect_near(test::logits_row(logits, 0), alone({1, 2, 40}));
  expect_near(test::logits_row(logits, 1), alone({1, 2, 41}));
  expect_near(test::logits_row(logits, 2), alone({5, 17, 42}));
  logits = run({{{43}}, {}, {}, {1}}, 3);
  expect_near(test::logits_row(logits, 0), alone({1, 2, 41, 43}));
}

TEST_F(CpuRequest, ResetForgetsTheRows) {
  run({{{5, 17}, {1, 2}}});
  request_->reset_state();
  expect_near(test::logits_row(run({{{9, 9, 31}}}), 2), alone({9, 9, 31}));
}

TEST_F(CpuRequest, RequestsHaveTheirOwnStates) {
  auto other = model_->create_request();
  run({{{5, 17}}});
  run(*other, {{{1, 2, 3}}});
  expect_near(test::logits_row(run({{{40}}}, 2), 0), alone({5, 17, 40}));
}

TEST_F(CpuRequest, OutputsOutliveLaterRunsAndTheModel) {
  std::vector<float> expected = alone({5, 17});
  Tensor kept = run({{{5, 17}}});
  run({{{40}}}, 2);
  model_.reset();
  EXPECT_EQ(run({{{41}}}, 3).shape(), (Shape{1, 1, 256}));
  request_.reset();
  expect_near(test::logits_row(kept, 1), expected);
}

TEST_F(CpuRequest, MissingInputsAreNamed) {
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"not set"}, [&] { request_->infer(); }));
  request_->set_input("input_ids", matrix({{5}}));
  request_->set_input("beam_idx", Tensor::from<int32_t>({1}, std::vector<int32_t>{0}));
  request_->set_input("position_ids", matrix({{0}}));
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"'attention_mask'", "not set"}, [&] { request_->infer(); }));
}

TEST_F(CpuRequest, UnknownNamesAreNotFound) {
  EXPECT_TRUE(fails(ErrorKind::not_found, {"'token_type_ids'"}, [&] { request_->set_input("token_type_ids", matrix({{0}})); }));
  run({{{5}}});
  EXPECT_TRUE(fails(ErrorKind::not_found, {"'hidden'"}, [&] { request_->output("hidden"); }));
}

TEST_F(CpuRequest, OutputBeforeTheFirstRunIsAnError) {
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"'logits'", "infer"}, [&] { request_->output("logits"); }));
}

TEST_F(CpuRequest, WrongTypesAndRanksAreNamedWithTheRightOnes) {
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"'input_ids'", "i64", "i32"}, [&] {
    request_->set_input("input_ids", Tensor(ElementType::i32, {1, 2}));
  }));
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"'input_ids'", "?,?", "[2]"},
                    [&] { request_->set_input("input_ids", Tensor(ElementType::i64, {2})); }));
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"'beam_idx'"}, [&] { request_->set_input("beam_idx", Tensor()); }));
}

/// A request that has seen tokens, and must go on from them after a run that failed.
class CpuRequestAfterFailure : public CpuRequest {
 protected:
  void SetUp() override { run({{{5, 17}, {1, 2}}}); }
  void TearDown() override {
    Tensor logits = run({{{40}, {3}}}, 2);
    expect_near(test::logits_row(logits, 0), alone({5, 17, 40}));
    expect_near(test::logits_row(logits, 1), alone({1, 2, 3}));
  }
};

TEST_F(CpuRequestAfterFailure, MasksOfAnotherLength) {
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"attention_mask", "[2,2]", "3 columns"}, [&] {
    run({{{40}, {3}}, {{1, 1}, {1, 1}}, {{2}, {2}}}, 2);
  }));
}

TEST_F(CpuRequestAfterFailure, MasksOfFewerRows) {
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"attention_mask", "[1,3]"}, [&] { run({{{40}, {3}}, {{1, 1, 1}}, {{2}, {2}}}, 2); }));
}

TEST_F(CpuRequestAfterFailure, MasksThatHideEarlierTokens) {
  EXPECT_TRUE(fails(ErrorKind::unsupported, {"attention_mask", "reset"}, [&] {
    run({{{40}, {3}}, {{0, 1, 1}, {1, 1, 1}}, {{2}, {2}}}, 2);
  }));
}

TEST_F(CpuRequestAfterFailure, OtherPositions) {
  EXPECT_TRUE(fails(ErrorKind::unsupported, {"position_ids", "token 0 of row 1 is at 7", "has 2"}, [&] {
    run({{{40}, {3}}, {}, {{2}, {7}}}, 2);
  }));
}

TEST_F(CpuRequestAfterFailure, PositionsOfAnotherShape) {
  for (const std::vector<Tokens>& positions : {std::vector<Tokens>{{2, 3}, {2, 3}}, {{2}}, {{2}, {2}, {2}}})
    EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"position_ids"}, [&] { run({{{40}, {3}}, {}, positions}, 2); }));
}

TEST_F(CpuRequestAfterFailure, BeamsOfNoRow) {
  for (const std::vector<int32_t>& beams : {std::vector<int32_t>{0, 2}, {-1, 0}, {0}})
    EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"beam_idx", "2 rows"}, [&] { run({{{40}, {3}}, {}, {}, beams}, 2); }));
}

TEST_F(CpuRequestAfterFailure, TokensOfNoVocabulary) {
  for (int64_t id : {int64_t{256}, int64_t{-1}})
    EXPECT_TRUE(fails(ErrorKind::invalid_argument, {std::to_string(id)}, [&] { run({{{40}, {id}}}, 2); }));
}

TEST_F(CpuRequestAfterFailure, AFailedRunLeavesTheOutputsAsTheyWere) {
  EXPECT_THROW(run({{{40}, {256}}}, 2), Error);
  EXPECT_EQ(request_->output("logits").shape(), (Shape{2, 2, 256}));
}

/// A model without position_ids, whose positions follow from the mask.
TEST(CpuRequestOfBloom, MayBePaddedInTheMiddle) {
  Context context({.threads = 2, .log = {}});
  Graph graph = IrFixture(test::data_path("ir/bloom-int8")).graph();
  test::ModelSession reference(IrFixture(test::data_path("ir/bloom-int8")).graph(), context),
      session(std::move(graph), context, test::exact(), "CPU");
  EXPECT_FALSE(session.model().has_input("position_ids"));
  test::MaskRows mask{{1, 1, 0, 0, 1, 1}, {0, 1, 1, 1, 1, 0}};
  Tensor ids = integers({2, 6}, {5, 17, 9, 9, 40, 41, 9, 1, 2, 3, 4, 9});
  test::expect_logits(session.run(ids, mask, {0, 1}), reference.run(ids, mask, {0, 1}), 1e-4, mask);
}

}  // namespace
}  // namespace nibble
