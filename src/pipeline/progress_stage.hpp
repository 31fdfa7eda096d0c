#pragma once

#include <string>
#include <string_view>

#include "base/fail.hpp"
#include "nibble/progress.hpp"

namespace nibble {

/// One stage of long work, told to a Progress that may be null. Ends with the object, however the work ends.
class ProgressStage {
 public:
  ProgressStage(Progress* progress, std::string_view name, uint64_t total, std::string_view unit) : progress_(progress), name_(name) {
    if (progress_) progress_->begin(name, total, unit);
  }
  ~ProgressStage() {
    if (progress_) progress_->end();
  }
  ProgressStage(const ProgressStage&) = delete;
  ProgressStage& operator=(const ProgressStage&) = delete;

  /// Throws Error{cancelled} when that was asked for.
  void advance(uint64_t units) {
    if (!progress_) return;
    progress_->advance(units);
    if (progress_->cancelled()) fail(ErrorKind::cancelled, "the {} was cancelled", name_);
  }

 private:
  Progress* progress_;
  std::string name_;
};

}  // namespace nibble
