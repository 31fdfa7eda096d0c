#include "ir/bin_writer.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>

#include "base/fail.hpp"
#include "base/hash.hpp"
#include "tensor/convert.hpp"

namespace nibble {

namespace {

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
    if (progress_->cancelled()) fail(ErrorKind::cancelled, "writing the model was cancelled");
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

/// Some bytes of the file.
struct FileRange {
  uint64_t offset = 0;
  size_t size = 0;
};

/// Where the outputs of a slice go; nothing for outputs that no constant uses.
std::vector<FileRange> ranges_of(const BinSlice& slice) {
  auto begin = static_cast<uint64_t>(slice.begin);
  if (slice.stored) return {{slice.stored->offset + begin, static_cast<size_t>(slice.end - slice.begin)}};
  const ConstantSource& source = *slice.produced->source;
  std::vector<FileRange> ranges;
  for (size_t i = 0; i < source.output_count(); ++i)
    if (auto offset = slice.produced->offsets[i])
      ranges.push_back({*offset + row_slice_bytes(source, i, 0, slice.begin), row_slice_bytes(source, i, slice.begin, slice.end)});
  return ranges;
}

/// The values of a slice, output after output; views into the constant or into `buffer`.
std::vector<std::span<const std::byte>> make(const BinSlice& slice, std::vector<std::byte>& buffer) {
  if (slice.stored)
    return {slice.stored->view.bytes().subspan(static_cast<size_t>(slice.begin), static_cast<size_t>(slice.end - slice.begin))};
  const ConstantSource& source = *slice.produced->source;
  std::vector<size_t> starts{0};
  for (size_t i = 0; i < source.output_count(); ++i) starts.push_back(starts.back() + row_slice_bytes(source, i, slice.begin, slice.end));
  buffer.resize(std::max(buffer.size(), starts.back()));
  std::vector<std::span<std::byte>> outputs;
  for (size_t i = 0; i < source.output_count(); ++i) outputs.emplace_back(buffer.data() + starts[i], starts[i + 1] - starts[i]);
  source.produce(slice.begin, slice.end, outputs);
  std::vector<std::span<const std::byte>> used;
  for (size_t i = 0; i < outputs.size(); ++i)
    if (slice.produced->offsets[i]) used.emplace_back(outputs[i]);
  return used;
}

uint64_t hash_of(std::span<const std::span<const std::byte>> values) {
  std::vector<uint64_t> hashes;
  for (const auto& value : values) hashes.push_back(hash64(value));
  return hash64(std::as_bytes(std::span(hashes)));
}

/// Writes the slices of one file, from several threads.
class SliceWriter {
 public:
  SliceWriter(std::span<const BinSlice> slices, OutputFile& file, WriteJournal* journal)
      : slices_(slices), file_(file), journal_(journal) {}

  /// Returns the bytes of the slice.
  uint64_t write(size_t index) {
    std::vector<FileRange> ranges = ranges_of(slices_[index]);
    uint64_t size = 0;
    for (const FileRange& range : ranges) size += range.size;
    std::vector<std::byte> buffer = buffers_.take();
    if (is_written(index, ranges, size, buffer))
      kept_ += size;
    else
      make_and_write(index, ranges, buffer);
    if (slices_[index].stored) look_at(slices_[index]);
    buffers_.give(std::move(buffer));
    return size;
  }
  BinSummary summary() && { return {kept_, std::move(not_finite_)}; }

 private:
  /// Whether the file holds what the journal says.
  bool is_written(size_t index, std::span<const FileRange> ranges, uint64_t size, std::vector<std::byte>& buffer) const {
    auto hash = journal_ ? journal_->hash(index) : std::nullopt;
    if (!hash) return false;
    buffer.resize(std::max(buffer.size(), size));
    std::vector<std::span<const std::byte>> values;
    size_t at = 0;
    for (const FileRange& range : ranges) {
      std::span<std::byte> value(buffer.data() + at, range.size);
      if (!file_.read_at(range.offset, value)) return false;
      values.emplace_back(value);
      at += range.size;
    }
    return hash_of(values) == *hash;
  }

  void make_and_write(size_t index, std::span<const FileRange> ranges, std::vector<std::byte>& buffer) {
    auto values = make(slices_[index], buffer);
    for (size_t i = 0; i < values.size(); ++i) file_.write_at(ranges[i].offset, values[i]);
    if (journal_) journal_->add(index, hash_of(values));
  }

  /// Slices of views are in the cache now; what is lazy is looked at where it is made.
  void look_at(const BinSlice& slice) {
    auto begin = static_cast<size_t>(slice.begin), size = static_cast<size_t>(slice.end - slice.begin);
    size_t count = count_not_finite(slice.stored->view.type(), slice.stored->view.bytes().subspan(begin, size));
    if (count == 0) return;
    std::lock_guard lock(mutex_);
    not_finite_[slice.stored] += count;
  }

  std::span<const BinSlice> slices_;
  OutputFile& file_;
  WriteJournal* journal_;
  BufferPool buffers_;
  std::atomic<uint64_t> kept_{0};
  std::mutex mutex_;
  std::map<const BinPlan::Stored*, uint64_t> not_finite_;
};

/// Zeros between constants: what another run left may hold anything there.
void clear_gaps(std::span<const BinSlice> slices, uint64_t size, OutputFile& file) {
  std::vector<FileRange> ranges{{size, 0}};
  for (const BinSlice& slice : slices)
    for (const FileRange& range : ranges_of(slice)) ranges.push_back(range);
  std::sort(ranges.begin(), ranges.end(), [](const FileRange& a, const FileRange& b) { return a.offset < b.offset; });
  uint64_t end = 0;
  for (const FileRange& range : ranges) {
    if (range.offset > end) file.write_at(end, std::vector<std::byte>(range.offset - end));
    end = std::max(end, range.offset + range.size);
  }
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

std::vector<BinSlice> cut_bin(const BinPlan& plan, size_t slice_bytes) {
  slice_bytes = std::max<size_t>(1, slice_bytes);
  std::vector<BinSlice> slices;
  auto add = [&](BinSlice slice, int64_t count, int64_t step) {
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

BinSummary write_bin(const BinPlan& plan, std::span<const BinSlice> slices, OutputFile& file, ThreadPool& threads, Progress* progress,
                     WriteJournal* journal) {
  Stage stage(progress, bytes_to_write(plan));
  if (journal && journal->continues()) clear_gaps(slices, plan.size(), file);
  SliceWriter writer(slices, file, journal);
  threads.parallel_for(slices.size(), 1, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      stage.require_not_cancelled();
      stage.advance(writer.write(i));
    }
  });
  return std::move(writer).summary();
}

}  // namespace nibble
