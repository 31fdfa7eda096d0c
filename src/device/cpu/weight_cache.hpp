#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "device/cpu/weight_file.hpp"

namespace nibble::cpu {

/// The directory that caches stand in: $XDG_CACHE_HOME/nibble or ~/.cache/nibble; nothing when neither variable is set.
std::optional<std::filesystem::path> default_cache_directory();

/// A file in the cache, as far as it can be read.
struct CacheEntry {
  std::filesystem::path path;
  uint64_t bytes = 0;
  std::filesystem::file_time_type last_use;
  std::string model_name;  ///< empty when not known
};

/// Packed weights on disk, one file a model, named by the key of its content: DIRECTORY/weights/<32 hexadecimal digits>.packed.
/// Thread-safe, and safe among processes: files appear whole and are never changed.
class WeightCache {
 public:
  explicit WeightCache(const std::filesystem::path& directory);

  /// The entry of this key, verified, and marked as used now. Throws Error{not_found} where there is none and Error{corrupt} for one that
  /// is damaged or of another version.
  std::shared_ptr<const WeightFile> open(const Hash128& key, ThreadPool& threads) const;
  /// Packs into an entry, made anew. Throws as WeightFile::write does.
  std::shared_ptr<const WeightFile> create(const Hash128& key, std::string_view model_name, WeightPacking& packing) const;

  /// Oldest use first. Throws nothing for entries that cannot be read or vanish meanwhile.
  std::vector<CacheEntry> entries() const;
  /// Throws Error{not_found} or Error{corrupt}.
  void verify(const CacheEntry& entry, ThreadPool& threads) const;
  /// Processes that have it mapped keep it. Throws Error{invalid_argument} when the directory cannot be written.
  void remove(const CacheEntry& entry) const;
  /// Removes what writers that were killed left behind: temporary files not written to for an hour. Returns their number.
  size_t remove_abandoned() const;

 private:
  std::filesystem::path path_of(const Hash128& key) const;

  std::filesystem::path directory_;
};

}  // namespace nibble::cpu
