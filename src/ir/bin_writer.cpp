#include "ir/bin_writer.hpp"

#include <algorithm>
#include <mutex>

#include "base/fail.hpp"

namespace nibble {

namespace {

/// A slice of the work: bytes of a view, or rows of a source.
struct Slice {
  const BinPlan::Stored* stored = nullptr;
  const BinPlan::Produced* produced = nullptr;
  int64_t begin = 0;
  int64_t end = 0;
};

/// Rows whose values, before and after, take about `slice_bytes`; a multiple of 8, as sources want it.
int64_t rows_per_slice(const ConstantSource& source, size_t slice_bytes) {
  constexpr size_t kInputBytes = 2;  // checkpoints mostly hold 16-bit floats
  size_t total = 0, largest = 0;
  for (size_t i = 0; i < source.output_count(); ++i) {
    size_t count = element_count(source.shape(i));
    total += packed_bytes(source.type(i), count);
    largest = std::max(largest, count);
  }
  size_t rows = static_cast<size_t>(source.rows());
  size_t per_row = std::max<size_t>(1, (total + largest * kInputBytes) / std::max<size_t>(1, rows));
  return static_cast<int64_t>(std::max<size_t>(8, slice_bytes / per_row / 8 * 8));
}

std::vector<Slice> cut(const BinPlan& plan, size_t slice_bytes) {
  std::vector<Slice> slices;
  auto add = [&](Slice slice, int64_t count, int64_t step) {
    for (int64_t begin = 0; begin < count; begin += step) {
      slice.begin = begin;
      slice.end = std::min(begin + step, count);
      slices.push_back(slice);
    }
  };
  for (const auto& stored : plan.stored())
    add({&stored, nullptr, 0, 0}, static_cast<int64_t>(stored.view.byte_size()), static_cast<int64_t>(slice_bytes));
  for (const auto& produced : plan.produced())
    add({nullptr, &produced, 0, 0}, produced.source->rows(), rows_per_slice(*produced.source, slice_bytes));
  return slices;
}

/// Buffers that threads borrow, so that each is allocated once and not once per slice.
class BufferPool {
 public:
  std::vector<std::byte> take() {
    std::lock_guard lock(mutex_);
    if (free_.empty()) return {};
    std::vector<std::byte> buffer = std::move(free_.back());
    free_.pop_back();
    return buffer;
  }
  void give(std::vector<std::byte> buffer) {
    std::lock_guard lock(mutex_);
    free_.push_back(std::move(buffer));
  }

 private:
  std::mutex mutex_;
  std::vector<std::vector<std::byte>> free_;
};

/// Progress from several threads: one at a time, and asked between slices whether to go on. Ends its stage when destroyed.
class Stage {
 public:
  Stage(Progress* progress, uint64_t total) : progress_(progress) {
    if (progress_) progress_->begin("write weights", total, "bytes");
  }
  ~Stage() {
    if (progress_) progress_->end();
  }
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  void require_not_cancelled() {
    if (!progress_) return;
    std::lock_guard lock(mutex_);
    if (progress_->cancelled()) fail(ErrorKind::cancelled, "writing the model was cancelled; nothing was left behind");
  }
  void advance(uint64_t bytes) {
    if (!progress_) return;
    std::lock_guard lock(mutex_);
    progress_->advance(bytes);
  }

 private:
  Progress* progress_;
  std::mutex mutex_;
};

uint64_t write_stored(const Slice& slice, OutputFile& file) {
  auto begin = static_cast<size_t>(slice.begin), size = static_cast<size_t>(slice.end - slice.begin);
  file.write_at(slice.stored->offset + begin, slice.stored->view.bytes().subspan(begin, size));
  return size;
}

uint64_t write_produced(const Slice& slice, OutputFile& file, BufferPool& buffers) {
  const ConstantSource& source = *slice.produced->source;
  std::vector<size_t> starts{0};
  for (size_t i = 0; i < source.output_count(); ++i) starts.push_back(starts.back() + row_slice_bytes(source, i, slice.begin, slice.end));
  std::vector<std::byte> buffer = buffers.take();
  buffer.resize(std::max(buffer.size(), starts.back()));
  std::vector<std::span<std::byte>> outputs;
  for (size_t i = 0; i < source.output_count(); ++i) outputs.emplace_back(buffer.data() + starts[i], starts[i + 1] - starts[i]);
  source.produce(slice.begin, slice.end, outputs);
  uint64_t written = 0;
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (!slice.produced->offsets[i]) continue;
    file.write_at(*slice.produced->offsets[i] + row_slice_bytes(source, i, 0, slice.begin), outputs[i]);
    written += outputs[i].size();
  }
  buffers.give(std::move(buffer));
  return written;
}

uint64_t bytes_to_write(const BinPlan& plan) {
  uint64_t total = 0;
  for (const auto& stored : plan.stored()) total += stored.view.byte_size();
  for (const auto& produced : plan.produced())
    for (size_t i = 0; i < produced.offsets.size(); ++i)
      if (produced.offsets[i]) total += row_slice_bytes(*produced.source, i, 0, produced.source->rows());
  return total;
}

}  // namespace

void write_bin(const BinPlan& plan, OutputFile& file, ThreadPool& threads, Progress* progress, size_t slice_bytes) {
  std::vector<Slice> slices = cut(plan, std::max<size_t>(1, slice_bytes));
  Stage stage(progress, bytes_to_write(plan));
  BufferPool buffers;
  threads.parallel_for(slices.size(), 1, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      stage.require_not_cancelled();
      stage.advance(slices[i].stored ? write_stored(slices[i], file) : write_produced(slices[i], file, buffers));
    }
  });
}

}  // namespace nibble
