#include "checkpoint/pytorch_weights.hpp"

#include "base/fail.hpp"
#include "base/utf8.hpp"
#include "checkpoint/shown.hpp"
#include "checkpoint/strided_copy.hpp"

namespace nibble {

namespace {

constexpr size_t kMaxTensors = 200'000;
constexpr uint64_t kMaxExpandedBytes = uint64_t{1} << 28;

/// One tensor of the pickle on its way to a MappedWeight.
class TensorReader {
 public:
  TensorReader(const Pickle& pickle, const PickleValue& tensor, std::string_view name, const std::string& where)
      : pickle_(pickle), tensor_(tensor), name_(name), where_(where) {}

  MappedWeight read(const FindStorage& find_storage) const {
    const auto& storage = item(0);
    auto bytes = find_storage(storage);
    if (bytes.size() < storage_bytes(storage))
      fail_here("its storage {} should take {} bytes and takes {}", shown(storage.text), storage_bytes(storage), bytes.size());
    MappedWeight weight{tensor_.type, integers(2), {}, integers(3)};
    uint64_t width = bit_width(tensor_.type) / 8, elements = storage_bytes(storage) / width;
    auto [begin, end] = range(weight, elements);
    weight.bytes = bytes.subspan(begin * width, (end - begin) * width);
    if (is_dense(weight.shape, weight.strides)) weight.strides.clear();
    return weight;
  }

 private:
  const PickleValue& item(size_t index) const { return pickle_[tensor_.items[index]]; }

  std::vector<int64_t> integers(size_t index) const {
    std::vector<int64_t> out;
    for (PickleRef ref : item(index).items) out.push_back(pickle_[ref].number);
    return out;
  }

  size_t count(const Shape& shape) const {
    try {
      return element_count(shape);
    } catch (const Error& error) {
      fail_here("{}", error.what());
    }
  }

  /// First and one past the last element in the storage.
  std::pair<uint64_t, uint64_t> range(const MappedWeight& weight, uint64_t elements) const {
    if (weight.shape.size() != weight.strides.size())
      fail_here("shape {} and strides {} do not fit", to_string(weight.shape), to_string(weight.strides));
    uint64_t wanted = count(weight.shape);
    if (wanted == 0) return {0, 0};
    int64_t offset = item(1).number;
    if (offset < 0 || static_cast<uint64_t>(offset) >= elements) fail_outside(weight, elements);
    uint64_t last = static_cast<uint64_t>(offset);
    for (size_t d = 0; d < weight.shape.size(); ++d) {
      auto steps = static_cast<uint64_t>(weight.shape[d] - 1);
      if (weight.strides[d] < 0) fail_here("has strides {}", to_string(weight.strides));
      auto stride = static_cast<uint64_t>(weight.strides[d]);
      if (steps > 0 && stride > (elements - 1 - last) / steps) fail_outside(weight, elements);
      last += steps * stride;
    }
    if (wanted > elements && wanted > kMaxExpandedBytes * 8 / bit_width(weight.type))
      fail(ErrorKind::unsupported, "{}: tensor {}: {} elements are expanded to shape {}, which is too large; save it as .contiguous()",
           where_, shown(name_), elements, to_string(weight.shape));
    return {static_cast<uint64_t>(offset), last + 1};
  }

  [[noreturn]] void fail_outside(const MappedWeight& weight, uint64_t elements) const {
    fail_here("offset {}, shape {} and strides {} reach beyond its storage of {} elements", item(1).number, to_string(weight.shape),
              to_string(weight.strides), elements);
  }

  template <class... Args>
  [[noreturn]] void fail_here(fmt::format_string<Args...> format, Args&&... args) const {
    fail(ErrorKind::corrupt, "{}: tensor {}: {}", where_, shown(name_), fmt::format(format, std::forward<Args>(args)...));
  }

  const Pickle& pickle_;
  const PickleValue& tensor_;
  std::string_view name_;
  const std::string& where_;
};

const PickleValue& state_dict(const Pickle& pickle, const std::string& where) {
  const auto& top = pickle.top();
  if (top.kind != PickleKind::dict) fail(ErrorKind::unsupported, "{}: holds no dictionary of tensors (a state dict)", where);
  for (std::string_view key : {"state_dict", "model"})
    if (const auto* inner = pickle.find(top, key); inner && inner->kind == PickleKind::dict) return *inner;
  return top;
}

}  // namespace

uint64_t storage_bytes(const PickleValue& storage) {
  uint64_t width = storage.type == ElementType::dynamic ? 1 : bit_width(storage.type) / 8;
  auto count = static_cast<uint64_t>(storage.number);
  return count > UINT64_MAX / width ? UINT64_MAX : count * width;
}

MappedWeightMap pytorch_weights(const Pickle& pickle, const FindStorage& find_storage, const std::string& where) {
  const auto& dict = state_dict(pickle, where);
  MappedWeightMap weights;
  for (size_t i = 0; i < dict.items.size(); i += 2) {
    const auto &key = pickle[dict.items[i]], &value = pickle[dict.items[i + 1]];
    if (key.kind != PickleKind::text || value.kind != PickleKind::tensor) continue;
    if (!is_utf8(key.text)) fail(ErrorKind::corrupt, "{}: the name of a tensor is not UTF-8", where);
    weights.insert_or_assign(std::string(key.text), TensorReader(pickle, value, key.text, where).read(find_storage));
    if (weights.size() > kMaxTensors) fail(ErrorKind::exhausted, "{}: more than {} tensors: refused", where, kMaxTensors);
  }
  if (weights.empty()) fail(ErrorKind::unsupported, "{}: holds no tensors by name", where);
  return weights;
}

}  // namespace nibble
