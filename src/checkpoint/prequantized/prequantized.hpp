#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/weight_source.hpp"

namespace nibble {

/// A checkpoint and how its weights are quantized.
struct QuantizedCheckpoint {
  std::shared_ptr<const WeightSource> weights;
  std::string method;              ///< "gptq", "awq", ...; empty: not quantized
  std::vector<std::string> notes;  ///< what a user should know about how it is read
};

/// Throws Error{unsupported} where the configuration names a method that Nibble does not read, whatever its weights look like.
void refuse_unknown_quantization(const std::filesystem::path& directory);

/// Shows the layers that a checkpoint holds quantized as `X.weight` with an EncodedMatrix, as config.json or a file beside it describes
/// them; `stored` itself where they say nothing. docs/formats/quantized-checkpoints.md lists the methods. Reads no codes, but may read zero
/// points and scales. Throws Error{unsupported} for other methods and variants, Error{corrupt} where tensors are missing or contradict each
/// other or the configuration.
QuantizedCheckpoint open_quantized_layers(const std::filesystem::path& directory, std::shared_ptr<const WeightSource> stored);

}  // namespace nibble
