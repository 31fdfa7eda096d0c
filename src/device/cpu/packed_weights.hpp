#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "device/cpu/kernels/packed_matrix.hpp"
#include "device/cpu/weight_matrix.hpp"
#include "nibble/context.hpp"

namespace nibble::cpu {

/// How a set of packed weights came to be.
struct LoadReport {
  bool from_cache = false;
  double seconds = 0;
  size_t bytes = 0;    ///< of the packed weights
  std::string reason;  ///< why they are not from the cache: "not in the cache", "corrupt: ...", "caching is off", ...
};

/// The packed weights of a model, one block of memory: its own or a file of the cache, whose pages processes share.
/// Immutable and thread-safe.
class PackedWeights {
 public:
  /// The matrix of the request of that index; valid as long as this object.
  const PackedMatrix& matrix(size_t request) const { return matrices_.at(request); }
  size_t size() const { return matrices_.size(); }
  const LoadReport& report() const { return report_; }

 private:
  friend class PackedWeightsLoader;
  std::shared_ptr<const void> memory_;
  std::vector<PackedMatrix> matrices_;
  LoadReport report_;
};

/// Packed models are kept on disk, so that a second load only maps them.
struct WeightCacheOptions {
  /// CACHE_DIR: unset is the default directory (default_cache_directory()), empty is no cache.
  std::optional<std::filesystem::path> directory;
  std::string model_name;                 ///< for listings
  size_t least_bytes = size_t{16} << 20;  ///< smaller models are packed quicker than they are looked up
};

/// Packs the requests or maps them from the cache. Whatever is wrong with the cache is logged as a warning and the weights are packed.
std::shared_ptr<const PackedWeights> load_packed_weights(std::vector<PackRequest> requests, const WeightCacheOptions& options,
                                                         Context& context);

}  // namespace nibble::cpu
