#pragma once

#include <filesystem>
#include <memory>

#include "checkpoint/weight_source.hpp"

namespace nibble {

/// The weights of a model with a LoRA adapter merged: `directory` holds what PEFT saves, adapter_config.json and adapter_model.safetensors
/// or adapter_model.bin. Sums are computed as rows are read; nothing is held in memory. Knows alpha and rank patterns, rsLoRA, DoRA,
/// adapters of embeddings, modules_to_save and biases. Throws Error{not_found} for modules that the model does not have, Error{corrupt} for
/// shapes that do not fit, Error{unsupported} for other methods; each names what it is about.
std::shared_ptr<const WeightSource> merge_adapter(std::shared_ptr<const WeightSource> model, const std::filesystem::path& directory);

}  // namespace nibble
