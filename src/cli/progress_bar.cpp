#include "cli/progress_bar.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iostream>

#include "cli/command.hpp"
#include "nibble/system.hpp"

namespace nibble::cli {

ProgressBar::ProgressBar(bool forced) : terminal_(is_terminal(StandardStream::error)), enabled_(terminal_ || forced) { catch_interrupts(); }

void ProgressBar::begin(std::string_view stage, uint64_t total, std::string_view unit) {
  stage_ = stage;
  unit_ = unit;
  total_ = total;
  done_ = drawn_tenth_ = 0;
  started_ = drawn_ = Clock::now();
}

void ProgressBar::advance(uint64_t units) {
  done_ += units;
  if (!enabled_) return;
  constexpr auto kRedraw = std::chrono::milliseconds(100);
  uint64_t tenth = total_ ? done_ * 10 / total_ : 0;
  if (terminal_ ? Clock::now() - drawn_ < kRedraw : tenth == drawn_tenth_) return;
  drawn_ = Clock::now();
  drawn_tenth_ = tenth;
  draw(false);
}

void ProgressBar::end() {
  if (enabled_) draw(true);
}

void ProgressBar::draw(bool final) {
  constexpr size_t kWidth = 30;
  double share = total_ ? std::min(1.0, static_cast<double>(done_) / static_cast<double>(total_)) : (final ? 1.0 : 0.0);
  double seconds = std::chrono::duration<double>(Clock::now() - started_).count();
  std::string amount = unit_ == "bytes" ? human_bytes(static_cast<double>(done_)) : fmt::format("{} {}", done_, unit_);
  auto filled = static_cast<size_t>(share * kWidth);
  std::string line = fmt::format("{:<16} [{}{}] {:3.0f} %  {}  {:.1f} s", stage_, std::string(filled, '#'),
                                 std::string(kWidth - filled, ' '), share * 100, amount, seconds);
  if (terminal_)
    std::cerr << '\r' << line << "\033[K" << (final ? "\n" : "") << std::flush;
  else
    std::cerr << line << '\n';
}

bool ProgressBar::cancelled() const { return interrupt_pending(); }

}  // namespace nibble::cli
