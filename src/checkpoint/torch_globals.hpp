#pragma once

#include <string_view>

#include "nibble/tensor.hpp"

namespace nibble {

/// The meaning of the few Python names that a pickled state dict may refer to.
enum class TorchMeaning : uint8_t {
  ordered_dict,
  rebuild_tensor,        ///< _rebuild_tensor and _rebuild_tensor_v2: type from the storage
  rebuild_typed_tensor,  ///< _rebuild_tensor_v3: type given, storage untyped
  rebuild_parameter,     ///< _rebuild_parameter and _rebuild_parameter_with_state
  rebuild_from_type,     ///< a tensor with Python attributes
  size,                  ///< torch.Size
  unused_value,          ///< torch.device, _codecs.encode: makes something that no weight depends on
  tensor_class,          ///< torch.Tensor, torch.nn.Parameter
  storage_class,         ///< torch.FloatStorage, ...
  dtype,                 ///< torch.float32, ...
};

struct TorchGlobal {
  std::string_view module, name;
  TorchMeaning meaning;
  ElementType type = ElementType::dynamic;  ///< of storage classes and dtypes; dynamic for torch.storage.UntypedStorage
};

/// Null for every name that is not in the list.
const TorchGlobal* find_torch_global(std::string_view module, std::string_view name);

}  // namespace nibble
