#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.hpp"
#include "base/mapped_file.hpp"
#include "base/thread_pool.hpp"
#include "device/cpu/packed_layout.hpp"
#include "device/cpu/weight_packing.hpp"

namespace nibble::cpu {

/// A file of packed weights, mapped (docs/formats/packed-weights.md). Immutable and thread-safe.
class WeightFile {
 public:
  /// Maps a file and checks everything but its data. Throws Error{not_found} where there is none and Error{corrupt}, which says what is
  /// wrong, for a file that is damaged or of another version.
  static std::shared_ptr<const WeightFile> open(const std::filesystem::path& path);

  /// Packs into a new file under a temporary name, which then takes its place. Throws what packing throws and Error{exhausted} or
  /// Error{invalid_argument} when it cannot be written.
  static void write(const std::filesystem::path& path, const Hash128& key, std::string_view model_name, WeightPacking& packing);

  const Hash128& key() const { return key_; }
  const std::string& model_name() const { return model_name_; }
  const PackedLayout& layout() const { return layout_; }
  const std::byte* data() const { return file_->bytes().data() + data_offset_; }

  /// Compares the data with its checksums, on all threads. Throws Error{corrupt}.
  void verify(ThreadPool& threads) const;

 private:
  WeightFile() = default;

  std::shared_ptr<const MappedFile> file_;
  Hash128 key_;
  std::string model_name_;
  PackedLayout layout_;
  std::vector<DataRange> ranges_;
  size_t data_offset_ = 0;
};

}  // namespace nibble::cpu
