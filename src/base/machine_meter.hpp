#pragma once

#include <string_view>

#include "base/peak_loops.hpp"
#include "base/thread_pool.hpp"

namespace nibble {

/// What the machine can do right now on all threads of a pool: samples of some 10 milliseconds each, since a shared machine's limits
/// change from second to second. Rates per second.
class MachineMeter {
 public:
  /// `isa` as in peak_loops().
  MachineMeter(ThreadPool& threads, std::string_view isa) : threads_(threads), loops_(peak_loops(isa)) {}
  /// Bytes read from memory; takes 96 MB for each thread meanwhile.
  double read() const;
  /// Multiply-accumulates.
  double int8() const { return rate(loops_.int8); }
  double int4() const { return rate(loops_.int4); }
  double bf16() const { return loops_.bf16 ? rate(loops_.bf16) : 0; }
  double f32() const { return rate(loops_.f32); }

 private:
  double rate(PeakLoop loop) const;
  ThreadPool& threads_;
  PeakLoops loops_;
};

}  // namespace nibble
