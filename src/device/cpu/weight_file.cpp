#include "device/cpu/weight_file.hpp"

#include "base/disk.hpp"
#include "base/fail.hpp"
#include "device/cpu/weight_file_header.hpp"

namespace nibble::cpu {

namespace fs = std::filesystem;

std::shared_ptr<const WeightFile> WeightFile::open(const fs::path& path) {
  std::shared_ptr<WeightFile> weights(new WeightFile);
  weights->file_ = MappedFile::open(path, true);
  WeightFileHeader header = decode(weights->file_->bytes(), path);
  weights->data_offset_ = data_offset(header.formats.size(), header.ranges.size(), header.model_name.size());
  weights->key_ = header.key;
  weights->model_name_ = std::move(header.model_name);
  weights->layout_ = PackedLayout(std::move(header.formats));
  weights->ranges_ = std::move(header.ranges);
  if (weights->layout_.bytes() != header.data_bytes)
    fail(ErrorKind::corrupt, "{}: {} bytes of data, its matrices need {}", path.string(), header.data_bytes, weights->layout_.bytes());
  return weights;
}

void WeightFile::write(const fs::path& path, const Hash128& key, std::string_view model_name, WeightPacking& packing) {
  const PackedLayout& layout = packing.layout();
  uint64_t offset = data_offset(layout.formats().size(), packing.range_count(), model_name.size());
  require_free_space(path.parent_path(), offset + layout.bytes());
  OutputFile file(path);
  file.reserve_in_large_pages(offset + layout.bytes());
  WeightFileHeader header{key, std::string(model_name), layout.formats(), packing.pack_into(file, offset), layout.bytes()};
  file.write_at(0, encode(header));
  file.commit_unflushed();
}

void WeightFile::verify(ThreadPool& threads) const {
  threads.parallel_for(ranges_.size(), 1, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      const DataRange& range = ranges_[i];
      if (hash64({data() + range.offset, range.bytes}) != range.hash)
        fail(ErrorKind::corrupt, "{}: the checksum of {} bytes of data at {} is wrong", file_->path().string(), range.bytes, range.offset);
    }
  });
}

}  // namespace nibble::cpu
