#pragma once

#include <memory>
#include <string>
#include <vector>

#include "checkpoint/weight_source.hpp"
#include "nibble/progress.hpp"

namespace nibble {

/// Progress that gives the pages of a checkpoint back as the work goes on, so that what has been read does not stay in the memory of the
/// process however large the checkpoint is. Hands everything on to another Progress, if there is one.
class ReleasingProgress final : public Progress {
 public:
  ReleasingProgress(std::shared_ptr<const WeightSource> weights, Progress* next);
  void begin(std::string_view stage, uint64_t total, std::string_view unit) override;
  void advance(uint64_t units) override;
  void end() override;
  bool cancelled() const override { return next_ && next_->cancelled(); }

 private:
  void release();

  std::shared_ptr<const WeightSource> weights_;
  std::vector<std::string> names_;
  Progress* next_;
  uint64_t step_ = 1, since_release_ = 0;
};

}  // namespace nibble
