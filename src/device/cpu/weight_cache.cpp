#include "device/cpu/weight_cache.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "base/fail.hpp"

namespace nibble::cpu {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kExtension = ".packed";
constexpr auto kAbandonedAfter = std::chrono::hours(1);

bool is_entry(const fs::path& path) { return path.extension() == kExtension && parse_hash128(path.stem().string()).has_value(); }

bool is_temporary(const fs::path& path) {  // <key>.packed.tmp-<process>-<number>
  return path.extension().string().starts_with(".tmp-") && is_entry(fs::path(path).replace_extension());
}

std::string name_in(const fs::path& path) {
  try {
    return WeightFile::open(path)->model_name();
  } catch (const Error&) {
    return {};
  }
}

/// Calls visit(path, last write, bytes) for every regular file that is still there.
template <class Visit>
void visit_files(const fs::path& directory, Visit&& visit) {
  std::error_code code;
  for (fs::directory_iterator it(directory, code), end; !code && it != end; it.increment(code)) {
    std::error_code gone;
    bool regular = it->is_regular_file(gone);
    auto time = it->last_write_time(gone);
    auto bytes = it->file_size(gone);
    if (regular && !gone) visit(it->path(), time, bytes);
  }
}

std::optional<fs::path> absolute_path_in(const char* variable) {
  const char* value = std::getenv(variable);
  if (value == nullptr || !fs::path(value).is_absolute()) return std::nullopt;  // the XDG specification: relative paths are ignored
  return fs::path(value);
}

}  // namespace

std::optional<fs::path> default_cache_directory() {
  if (auto cache = absolute_path_in("XDG_CACHE_HOME")) return *cache / "nibble";
  if (auto home = absolute_path_in("HOME")) return *home / ".cache" / "nibble";
  return std::nullopt;
}

WeightCache::WeightCache(const fs::path& directory) : directory_(directory / "weights") {}

fs::path WeightCache::path_of(const Hash128& key) const { return directory_ / (to_hex(key) + std::string(kExtension)); }

std::shared_ptr<const WeightFile> WeightCache::open(const Hash128& key, ThreadPool& threads) const {
  fs::path path = path_of(key);
  auto weights = WeightFile::open(path);
  if (weights->key() != key) fail(ErrorKind::corrupt, "{}: holds other weights, those of key {}", path.string(), to_hex(weights->key()));
  weights->verify(threads);
  std::error_code read_only;
  fs::last_write_time(path, fs::file_time_type::clock::now(), read_only);
  return weights;
}

std::shared_ptr<const WeightFile> WeightCache::create(const Hash128& key, std::string_view model_name, WeightPacking& packing) const {
  std::error_code code;
  fs::create_directories(directory_, code);
  if (code) fail(ErrorKind::invalid_argument, "{}: cannot create: {}", directory_.string(), code.message());
  WeightFile::write(path_of(key), key, model_name, packing);
  return WeightFile::open(path_of(key));
}

std::vector<CacheEntry> WeightCache::entries() const {
  std::vector<CacheEntry> entries;
  visit_files(directory_, [&](const fs::path& path, fs::file_time_type time, uint64_t bytes) {
    if (is_entry(path)) entries.push_back({path, bytes, time, name_in(path)});
  });
  std::sort(entries.begin(), entries.end(), [](const CacheEntry& a, const CacheEntry& b) { return a.last_use < b.last_use; });
  return entries;
}

void WeightCache::verify(const CacheEntry& entry, ThreadPool& threads) const {
  auto weights = WeightFile::open(entry.path);
  if (entry.path != path_of(weights->key())) fail(ErrorKind::corrupt, "{}: its name is not its key", entry.path.string());
  weights->verify(threads);
}

void WeightCache::remove(const CacheEntry& entry) const {
  std::error_code code;
  fs::remove(entry.path, code);
  if (code) fail(ErrorKind::invalid_argument, "{}: cannot remove: {}", entry.path.string(), code.message());
}

size_t WeightCache::remove_abandoned() const {
  size_t removed = 0;
  auto now = fs::file_time_type::clock::now();
  visit_files(directory_, [&](const fs::path& path, fs::file_time_type time, uint64_t) {
    std::error_code code;
    if (is_temporary(path) && now - time > kAbandonedAfter && fs::remove(path, code)) ++removed;
  });
  return removed;
}

}  // namespace nibble::cpu
