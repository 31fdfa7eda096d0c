#pragma once

#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/torch_globals.hpp"
#include "nibble/tensor.hpp"

namespace nibble {

/// A value of a pickle refers to others by their number, so that shared, cyclic and deeply nested values need no recursion.
using PickleRef = uint32_t;

enum class PickleKind : uint8_t {
  none,
  boolean,
  integer,
  text,
  tuple,
  list,
  dict,
  global,   ///< a name of torch_globals.hpp
  storage,  ///< what a persistent id stands for
  tensor,
  other,  ///< of no use here: floats, bytes, integers beyond 64 bits, devices
};

struct PickleValue {
  PickleKind kind = PickleKind::none;
  ElementType type = ElementType::dynamic;  ///< tensor, storage (dynamic: untyped)
  int64_t number = 0;                       ///< boolean, integer; storage: number of elements
  std::string_view text = {};               ///< text; storage: its key
  const TorchGlobal* global = nullptr;
  std::vector<PickleRef> items = {};  ///< tuple, list; dict: key, value, key, value, ...; tensor: storage, offset, shape, strides
};

/// The values of one pickle. Texts are views into the bytes it was read from.
struct Pickle {
  std::deque<PickleValue> values;
  PickleRef root = 0;
  size_t byte_size = 0;  ///< of the pickle, up to and with its STOP

  const PickleValue& operator[](PickleRef ref) const { return values[ref]; }
  const PickleValue& top() const { return values[root]; }
  /// The value of a text key of a dict, the last one as in Python; null when there is none.
  const PickleValue* find(const PickleValue& dict, std::string_view key) const;
};

/// Interprets a pickle of protocol 2 to 5 that describes tensors. Runs nothing: only opcodes and names that torch.save needs for
/// dictionaries of tensors are known, all others throw Error{unsupported} with their name; Error{corrupt} for what no pickler writes.
/// Takes time proportional to `bytes` (which may go on after the pickle) and bounded memory. `where` names the bytes in messages.
Pickle read_pickle(std::span<const std::byte> bytes, const std::string& where);

/// What Python would get from calling `function` (a global) with these arguments: the number of a new or an existing value.
/// Throws Error as read_pickle does.
PickleRef call_torch_global(Pickle& pickle, const TorchGlobal& function, std::span<const PickleRef> arguments, const std::string& where);

/// The storage that a persistent id ('storage', class, key, location, numel[, view]) stands for.
PickleValue torch_storage(const Pickle& pickle, const PickleValue& id, const std::string& where);

}  // namespace nibble
