#include "export/releasing_progress.hpp"

#include <set>

#include "base/usable_memory.hpp"

namespace nibble {

namespace {

constexpr uint64_t kWrittenBytes = uint64_t{32} << 20;  // of 4-bit codes, for which 128 MB are read

PageCache cache_of(uint64_t bytes, PageCache wanted) { return bytes > usable_memory() / 2 ? wanted : PageCache::keep; }

uint64_t file_bytes(const WeightSource& weights, const std::vector<std::string>& names) {
  std::set<std::filesystem::path> files;
  for (const std::string& name : names) files.insert(weights.info(name).file);
  uint64_t bytes = 0;
  for (const auto& file : files) bytes += std::filesystem::file_size(file);
  return bytes;
}

}  // namespace

ReleasePages releasing(std::shared_ptr<const WeightSource> weights) {
  std::vector<std::string> names = weights->names();
  uint64_t bytes = file_bytes(*weights, names);
  return [weights = std::move(weights), names = std::move(names), bytes](PageCache wanted) {
    PageCache cache = cache_of(bytes, wanted);
    for (const std::string& name : names) weights->release(name, cache);
  };
}

ReleasePages releasing(std::shared_ptr<const MappedFile> file) {
  return [file = std::move(file)](PageCache wanted) { file->release(file->bytes(), cache_of(file->size(), wanted)); };
}

void ReleasingProgress::begin(std::string_view stage, uint64_t total, std::string_view unit) {
  bool writes = unit == "bytes";
  step_ = writes ? kWrittenBytes : 1;
  cache_ = writes ? PageCache::drop : PageCache::keep;
  if (next_) next_->begin(stage, total, unit);
}

void ReleasingProgress::advance(uint64_t units) {
  since_release_ += units;
  if (since_release_ >= step_) {
    since_release_ = 0;
    release_(cache_);
  }
  if (next_) next_->advance(units);
}

void ReleasingProgress::end() {
  release_(cache_);
  if (next_) next_->end();
}

}  // namespace nibble
