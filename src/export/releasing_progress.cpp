#include "export/releasing_progress.hpp"

namespace nibble {

namespace {

constexpr uint64_t kWrittenBytes = uint64_t{32} << 20;  // of 4-bit codes, for which 128 MB are read

}  // namespace

ReleasingProgress::ReleasingProgress(std::shared_ptr<const WeightSource> weights, Progress* next)
    : weights_(std::move(weights)), names_(weights_->names()), next_(next) {}

void ReleasingProgress::begin(std::string_view stage, uint64_t total, std::string_view unit) {
  step_ = unit == "bytes" ? kWrittenBytes : 1;
  if (next_) next_->begin(stage, total, unit);
}

void ReleasingProgress::advance(uint64_t units) {
  since_release_ += units;
  if (since_release_ >= step_) release();
  if (next_) next_->advance(units);
}

void ReleasingProgress::end() {
  release();
  if (next_) next_->end();
}

void ReleasingProgress::release() {
  since_release_ = 0;
  for (const std::string& name : names_) weights_->release(name);
}

}  // namespace nibble
