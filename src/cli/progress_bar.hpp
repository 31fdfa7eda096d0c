#pragma once

#include <chrono>
#include <string>

#include "nibble/progress.hpp"

namespace nibble::cli {

/// Draws progress on stderr: a bar on a terminal, a line per stage and tenth elsewhere. Interrupts cancel the work.
class ProgressBar : public Progress {
 public:
  /// `forced`: draw even where stderr is no terminal.
  explicit ProgressBar(bool forced);
  void begin(std::string_view stage, uint64_t total, std::string_view unit) override;
  void advance(uint64_t units) override;
  void end() override;
  bool cancelled() const override;

 private:
  using Clock = std::chrono::steady_clock;
  void draw(bool final);

  bool terminal_, enabled_;
  std::string stage_, unit_;
  uint64_t total_ = 0, done_ = 0;
  uint64_t drawn_tenth_ = 0;
  Clock::time_point started_, drawn_;
};

}  // namespace nibble::cli
