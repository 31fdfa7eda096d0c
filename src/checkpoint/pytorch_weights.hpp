#pragma once

#include <functional>

#include "checkpoint/mapped_weights.hpp"
#include "checkpoint/pickle.hpp"

namespace nibble {

/// The bytes of a storage; throws Error when there is none. The storage's type and number of elements say how many there should be.
using FindStorage = std::function<std::span<const std::byte>(const PickleValue& storage)>;

/// Bytes that a storage takes.
uint64_t storage_bytes(const PickleValue& storage);

/// The tensors of a pickled state dict by name: those of the top dict, or of the dict under its key "state_dict" or "model". Entries
/// that are no tensors are left out. Throws Error{corrupt} where a tensor does not lie in its storage, Error{unsupported} where there
/// are no tensors. `where` names the file in messages.
MappedWeightMap pytorch_weights(const Pickle& pickle, const FindStorage& find_storage, const std::string& where);

/// Opens the zip form (PyTorch 1.6 and later) and the form before that.
std::unique_ptr<WeightSource> open_pytorch_archive(std::shared_ptr<const MappedFile> file);
std::unique_ptr<WeightSource> open_legacy_pytorch(std::shared_ptr<const MappedFile> file);

}  // namespace nibble
