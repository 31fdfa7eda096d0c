#include "device/cpu/packed_weights.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/memory_block.hpp"
#include "device/cpu/weight_cache.hpp"
#include "device/cpu/weight_key.hpp"
#include "device/cpu/weight_packing.hpp"
#include "nibble/error.hpp"

namespace nibble::cpu {

namespace fs = std::filesystem;

namespace {

bool is_lazy(const WeightMatrix& part) { return part.codes.is_lazy() || part.scales.is_lazy() || part.zero_points.is_lazy(); }

bool has_lazy_part(const PackRequest& request) { return std::any_of(request.parts.begin(), request.parts.end(), is_lazy); }

/// Bytes of the codes, about what they take when packed.
size_t code_bytes(const std::vector<PackRequest>& requests) {
  size_t bytes = 0;
  for (const PackRequest& request : requests)
    for (const WeightMatrix& part : request.parts) bytes += part.rows * part.columns * bit_width(part.codes.type()) / 8;
  return bytes;
}

/// Why the weights are not to be cached; empty when they are.
std::string reason_against_cache(const std::vector<PackRequest>& requests, const WeightCacheOptions& options) {
  if (options.directory && options.directory->empty()) return "caching is off";
  if (!options.directory && !default_cache_directory()) return "no cache directory: neither XDG_CACHE_HOME nor HOME is set";
  if (std::any_of(requests.begin(), requests.end(), has_lazy_part)) return "weights are made on the fly";
  if (code_bytes(requests) < options.least_bytes) return "too small to cache";
  return {};
}

}  // namespace

/// One load: from the cache, into the cache or into memory.
class PackedWeightsLoader {
 public:
  PackedWeightsLoader(std::vector<PackRequest> requests, const WeightCacheOptions& options, Context& context)
      : requests_(std::move(requests)), options_(options), context_(context), weights_(std::make_shared<PackedWeights>()) {}

  std::shared_ptr<const PackedWeights> run() {
    report().reason = reason_against_cache(requests_, options_);
    if (!report().reason.empty() || !through_cache()) pack_into_memory();
    report().seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    context_.log(LogLevel::debug, fmt::format("packed weights: {:.1f} MB in {:.2f} s, {}", static_cast<double>(report().bytes) / 1e6,
                                              report().seconds, report().from_cache ? "from the cache" : report().reason));
    return weights_;
  }

 private:
  LoadReport& report() { return weights_->report_; }

  bool through_cache() {
    WeightCache cache(options_.directory ? *options_.directory : *default_cache_directory());
    Hash128 key = weight_key(requests_, context_.threads());
    return find_in(cache, key) || make_in(cache, key);
  }

  bool find_in(const WeightCache& cache, const Hash128& key) {
    try {
      auto file = cache.open(key, context_.threads());
      if (!fits(file->layout())) throw Error(ErrorKind::corrupt, "its matrices are not those of the model");
      take(file->layout(), file->data(), file);
      report().from_cache = true;
    } catch (const Error& error) {
      bool missing = error.kind() == ErrorKind::not_found;
      report().reason = missing ? "not in the cache" : fmt::format("not usable in the cache: {}", error.what());
      if (!missing) context_.log(LogLevel::warning, fmt::format("{}; the weights are packed again", error.what()));
    }
    return report().from_cache;
  }

  bool make_in(const WeightCache& cache, const Hash128& key) {
    WeightPacking packing(requests_, context_.threads());
    try {
      auto file = cache.create(key, options_.model_name, packing);
      take(file->layout(), file->data(), file);
      return true;
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::unsupported) throw;  // the weights, not the cache
      report().reason = fmt::format("cannot be cached: {}", error.what());
      context_.log(LogLevel::warning, fmt::format("packed weights are not cached: {}", error.what()));
      return false;
    }
  }

  void pack_into_memory() {
    WeightPacking packing(requests_, context_.threads());
    auto memory = MemoryBlock::allocate(packing.layout().bytes());
    packing.pack_into(memory->data());
    take(packing.layout(), memory->data(), memory);
  }

  /// Whether a file has the matrices that were asked for. Its key says so already; a file that lies must not lead a kernel astray.
  bool fits(const PackedLayout& layout) const {
    auto same = [](const PackedFormat& format, const PackRequest& request) {
      size_t rows = 0;
      for (const WeightMatrix& part : request.parts) rows += part.rows;
      return !request.parts.empty() && format.rows == rows && format.columns == request.parts.front().columns;
    };
    const auto& formats = layout.formats();
    return std::equal(formats.begin(), formats.end(), requests_.begin(), requests_.end(), same);
  }

  void take(const PackedLayout& layout, const std::byte* memory, std::shared_ptr<const void> owner) {
    for (size_t i = 0; i < layout.formats().size(); ++i) weights_->matrices_.push_back(layout.matrix(i, memory));
    weights_->memory_ = std::move(owner);
    report().bytes = layout.bytes();
  }

  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::vector<PackRequest> requests_;
  const WeightCacheOptions& options_;
  Context& context_;
  std::shared_ptr<PackedWeights> weights_;
};

std::shared_ptr<const PackedWeights> load_packed_weights(std::vector<PackRequest> requests, const WeightCacheOptions& options,
                                                         Context& context) {
  return PackedWeightsLoader(std::move(requests), options, context).run();
}

}  // namespace nibble::cpu
