#pragma once

#include <functional>
#include <memory>

#include "base/mapped_file.hpp"
#include "checkpoint/weight_source.hpp"
#include "nibble/progress.hpp"

namespace nibble {

/// Gives back what has been read of files that are mapped, from the page cache too where it is said that they will not be read again and
/// they take more than half of the memory. May be called at any time.
using ReleasePages = std::function<void(PageCache)>;

/// Gives back the pages of all tensors.
ReleasePages releasing(std::shared_ptr<const WeightSource> weights);
/// The same for one file.
ReleasePages releasing(std::shared_ptr<const MappedFile> file);

/// Progress that gives the pages of its source back as the work goes on, so that what has been read does not stay in memory however
/// large the source is. Weights are read for the last time where bytes are counted, when they are written. Hands everything on to another
/// Progress, if there is one.
class ReleasingProgress final : public Progress {
 public:
  ReleasingProgress(ReleasePages release, Progress* next) : release_(std::move(release)), next_(next) {}
  void begin(std::string_view stage, uint64_t total, std::string_view unit) override;
  void advance(uint64_t units) override;
  void end() override;
  bool cancelled() const override { return next_ && next_->cancelled(); }

 private:
  ReleasePages release_;
  Progress* next_;
  PageCache cache_ = PageCache::keep;
  uint64_t step_ = 1, since_release_ = 0;
};

}  // namespace nibble
