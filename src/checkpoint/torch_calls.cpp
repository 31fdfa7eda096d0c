#include "base/fail.hpp"
#include "checkpoint/pickle.hpp"
#include "checkpoint/shown.hpp"

namespace nibble {

namespace {

using enum PickleKind;

constexpr size_t kMaxRank = 64;  // PyTorch's

/// One call: the function with its arguments, of which the kinds are checked as they are fetched.
class Call {
 public:
  Call(Pickle& pickle, const TorchGlobal& function, std::span<const PickleRef> arguments, const std::string& where)
      : pickle_(pickle), function_(function), arguments_(arguments), where_(where) {}

  PickleRef result() {
    switch (function_.meaning) {
      case TorchMeaning::ordered_dict: return ordered_dict();
      case TorchMeaning::rebuild_tensor: return tensor(pickle_[argument(0, storage)].type);
      case TorchMeaning::rebuild_typed_tensor: return tensor(dtype(6));
      case TorchMeaning::rebuild_parameter: return argument(0, PickleKind::tensor);
      case TorchMeaning::rebuild_from_type: return from_type();
      case TorchMeaning::size: return argument(0, tuple);
      case TorchMeaning::unused_value: return add({.kind = other});
      default: fail(ErrorKind::unsupported, "{}: wants to call {}.{}: refused", where_, function_.module, function_.name);
    }
  }

 private:
  PickleRef add(PickleValue value) {
    pickle_.values.push_back(std::move(value));
    return static_cast<PickleRef>(pickle_.values.size() - 1);
  }

  PickleRef argument(size_t index, PickleKind kind) const {
    if (index >= arguments_.size() || pickle_[arguments_[index]].kind != kind)
      fail(ErrorKind::corrupt, "{}: argument {} of {}.{} is missing or of the wrong kind", where_, index, function_.module, function_.name);
    return arguments_[index];
  }

  PickleRef integers(size_t index) const {
    PickleRef ref = argument(index, tuple);
    if (pickle_[ref].items.size() > kMaxRank) fail(ErrorKind::corrupt, "{}: a tensor has more than {} dimensions", where_, kMaxRank);
    for (PickleRef item : pickle_[ref].items)
      if (pickle_[item].kind != integer)
        fail(ErrorKind::corrupt, "{}: argument {} of {}.{} is not a tuple of integers", where_, index, function_.module, function_.name);
    return ref;
  }

  ElementType dtype(size_t index) const {
    const auto* global = pickle_[argument(index, PickleKind::global)].global;
    if (global->meaning != TorchMeaning::dtype) fail(ErrorKind::corrupt, "{}: {}.{} is no dtype", where_, global->module, global->name);
    return global->type;
  }

  PickleRef ordered_dict() {
    if (!arguments_.empty()) fail(ErrorKind::unsupported, "{}: makes an OrderedDict from arguments: refused", where_);
    return add({.kind = dict});
  }

  PickleRef tensor(ElementType type) {
    if (type == ElementType::dynamic) fail(ErrorKind::corrupt, "{}: a tensor has a storage without an element type", where_);
    PickleValue value{.kind = PickleKind::tensor, .type = type};
    value.items = {argument(0, storage), argument(1, integer), integers(2), integers(3)};
    return add(std::move(value));
  }

  PickleRef from_type() {
    const auto* function = pickle_[argument(0, PickleKind::global)].global;
    const auto* type = pickle_[argument(1, PickleKind::global)].global;
    bool plain = function->meaning == TorchMeaning::rebuild_tensor || function->meaning == TorchMeaning::rebuild_typed_tensor;
    if (!plain || type->meaning != TorchMeaning::tensor_class)
      fail(ErrorKind::unsupported, "{}: wants to rebuild {}.{} by {}.{}: refused", where_, type->module, type->name, function->module,
           function->name);
    return Call(pickle_, *function, pickle_[argument(2, tuple)].items, where_).result();
  }

  Pickle& pickle_;
  const TorchGlobal& function_;
  std::span<const PickleRef> arguments_;
  const std::string& where_;
};

}  // namespace

PickleRef call_torch_global(Pickle& pickle, const TorchGlobal& function, std::span<const PickleRef> arguments, const std::string& where) {
  return Call(pickle, function, arguments, where).result();
}

PickleValue torch_storage(const Pickle& pickle, const PickleValue& id, const std::string& where) {
  auto is = [&](size_t index, PickleKind kind) { return index < id.items.size() && pickle[id.items[index]].kind == kind; };
  bool fits = id.kind == tuple && is(0, text) && pickle[id.items[0]].text == "storage" && is(1, global) && is(2, text) && is(4, integer);
  if (!fits) fail(ErrorKind::corrupt, "{}: a persistent id is not that of a storage", where);
  const auto& type = *pickle[id.items[1]].global;
  if (type.meaning != TorchMeaning::storage_class) fail(ErrorKind::corrupt, "{}: {}.{} is no storage class", where, type.module, type.name);
  if (id.items.size() > 5 && !is(5, none))
    fail(ErrorKind::unsupported, "{}: storage {} is a view of another one; save the file again with PyTorch 1.6 or later", where,
         shown(pickle[id.items[2]].text));
  int64_t count = pickle[id.items[4]].number;
  if (count < 0) fail(ErrorKind::corrupt, "{}: storage {} has {} elements", where, shown(pickle[id.items[2]].text), count);
  return {.kind = storage, .type = type.type, .number = count, .text = pickle[id.items[2]].text};
}

}  // namespace nibble
