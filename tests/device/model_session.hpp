#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "checkpoint/weight_source.hpp"
#include "device/device.hpp"
#include "tensor/convert.hpp"

namespace nibble::test {

/// Attention masks of a batch: one row per sequence, 0 = padding.
using MaskRows = std::vector<std::vector<int64_t>>;

inline std::string data_path(std::string_view name) { return std::string(NIBBLE_SOURCE_DIR) + "/tests/data/" + std::string(name); }

inline Tensor integers(Shape shape, const std::vector<int64_t>& values) { return Tensor::from<int64_t>(std::move(shape), values); }

inline MaskRows rows_of(const Tensor& mask) {
  auto values = to_int64s(mask);
  auto width = static_cast<std::ptrdiff_t>(mask.shape()[1]);
  MaskRows rows;
  for (auto at = values.begin(); at != values.end(); at += width) rows.emplace_back(at, at + width);
  return rows;
}

/// A language model with its inputs filled in as OpenVINO GenAI does: positions count the unmasked tokens.
class ModelSession {
 public:
  explicit ModelSession(std::shared_ptr<const CompiledModel> model) : model_(std::move(model)), request_(model_->create_request()) {}
  ModelSession(Graph graph, Context& context, const Properties& properties = {}, std::string_view device = "REFERENCE")
      : ModelSession(find_device(device).compile(std::move(graph), properties, context)) {}

  /// Logits [rows, tokens, vocab] of new tokens [rows, tokens]; `mask` covers past and new tokens.
  Tensor run(const Tensor& ids, const MaskRows& mask, const std::vector<int32_t>& beams) {
    int64_t rows = ids.shape()[0], fresh = ids.shape()[1], total = static_cast<int64_t>(mask[0].size());
    std::vector<int64_t> flat, positions;
    for (const auto& row : mask) {
      flat.insert(flat.end(), row.begin(), row.end());
      std::vector<int64_t> counts(row.size());
      std::partial_sum(row.begin(), row.end(), counts.begin());
      for (auto i = static_cast<size_t>(total - fresh); i < row.size(); ++i) positions.push_back(row[i] != 0 ? counts[i] - 1 : 1);
    }
    request_->set_input("input_ids", ids);
    request_->set_input("beam_idx", Tensor::from<int32_t>({rows}, beams));
    if (model_->has_input("attention_mask")) request_->set_input("attention_mask", integers({rows, total}, flat));
    if (model_->has_input("position_ids")) request_->set_input("position_ids", integers({rows, fresh}, positions));
    request_->infer();
    return request_->output("logits");
  }
  /// One sequence that has seen `past` tokens.
  Tensor extend(const std::vector<int64_t>& ids, size_t past) {
    return run(integers({1, static_cast<int64_t>(ids.size())}, ids), {std::vector<int64_t>(past + ids.size(), 1)}, {0});
  }
  void reset() { request_->reset_state(); }
  const CompiledModel& model() const { return *model_; }
  InferRequest& request() { return *request_; }

 private:
  std::shared_ptr<const CompiledModel> model_;
  std::unique_ptr<InferRequest> request_;
};

inline Tensor expected_tensor(const WeightSource& expected, std::string_view name) { return expected.get(name).clone(); }

/// Compares logits [..., vocab]; with a mask of as many tokens only those that are not padding.
inline void expect_logits(const Tensor& actual, const Tensor& expected, double tolerance, const MaskRows& mask = {}) {
  auto a = to_floats(actual), e = to_floats(expected);
  ASSERT_EQ(a.size(), e.size());
  std::vector<int64_t> visible;
  for (const auto& row : mask) visible.insert(visible.end(), row.begin(), row.end());
  auto vocab = static_cast<size_t>(expected.shape().back());
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    if (!visible.empty() && visible.at(i / vocab) == 0) continue;
    double difference = std::fabs(static_cast<double>(a[i]) - static_cast<double>(e[i]));
    worst = std::isnan(difference) ? INFINITY : std::max(worst, difference);
  }
  EXPECT_LE(worst, tolerance);
}

/// The prompt and, after a reset, the batch with a left-padded row: what every reference has.
inline void check_prompt(ModelSession& session, const WeightSource& expected, double tolerance) {
  SCOPED_TRACE("prompt");
  expect_logits(session.extend(to_int64s(expected.get("input_ids").aligned()), 0), expected.get("logits"), tolerance);
}

inline MaskRows check_batch(ModelSession& session, const WeightSource& expected, double tolerance) {
  SCOPED_TRACE("batch");
  session.reset();
  MaskRows mask = rows_of(expected_tensor(expected, "batch_attention_mask"));
  Tensor logits = session.run(expected_tensor(expected, "batch_input_ids"), mask, {0, 1});
  expect_logits(logits, expected.get("batch_logits"), tolerance, mask);
  return mask;
}

}  // namespace nibble::test
