#include <map>
#include <mutex>

#include "base/fail.hpp"
#include "checkpoint/gguf/gguf_matrix.hpp"
#include "checkpoint/gguf/gguf_model.hpp"
#include "checkpoint/shown.hpp"
#include "tensor/convert.hpp"

namespace nibble {

namespace {

bool is_plain(const GgufTensor& tensor) { return tensor.type->plain != ElementType::dynamic; }

/// All rows of a tensor in blocks as floats.
Tensor decoded(const GgufTensor& tensor) {
  Tensor out(kGgufFloatType, tensor.shape);
  size_t columns = tensor.shape.empty() ? 1 : static_cast<size_t>(tensor.shape.back());
  size_t row_bytes = columns / tensor.type->block_elements * tensor.type->block_bytes;
  std::vector<float> row(columns);
  for (size_t i = 0; i < out.size() / columns; ++i) {
    decode_gguf_row(*tensor.type, tensor.bytes.data() + i * row_bytes, 0, row);
    pack_from_float(kGgufFloatType, row, out.mutable_data(), i * columns);
  }
  return out;
}

class GgufWeights final : public WeightSource {
 public:
  explicit GgufWeights(const std::filesystem::path& path) : model_(path) {}

  std::vector<std::string> names() const override {
    std::vector<std::string> out;
    for (const auto& [name, entry] : model_.tensors()) out.push_back(name);
    return out;
  }
  bool contains(std::string_view name) const override { return model_.tensors().contains(name); }

  WeightInfo info(std::string_view name) const override {
    const GgufModel::Entry& entry = find(name);
    return {is_plain(*entry.tensor) ? entry.tensor->type->plain : kGgufFloatType, entry.tensor->shape, entry.file->path()};
  }

  Tensor get(std::string_view name) const override {
    const GgufModel::Entry& entry = find(name);
    const GgufTensor& tensor = *entry.tensor;
    return is_plain(tensor) ? Tensor::view(tensor.type->plain, tensor.shape, tensor.bytes, model_.owner(entry)) : decoded(tensor);
  }

  std::shared_ptr<const EncodedMatrix> encoded(std::string_view name) const override {
    const GgufModel::Entry& entry = find(name);
    if (is_plain(*entry.tensor) || entry.tensor->shape.size() < 2) return nullptr;
    std::lock_guard lock(mutex_);
    auto& matrix = matrices_[entry.tensor];
    if (!matrix) matrix = make_gguf_matrix(*entry.tensor, model_.owner(entry));
    return matrix;
  }

  void release(std::string_view name, PageCache cache) const override {
    auto found = model_.tensors().find(name);
    if (found != model_.tensors().end()) found->second.file->release(found->second.tensor->bytes, cache);
  }

  const std::map<std::string, std::string>& metadata() const override { return metadata_; }

 private:
  const GgufModel::Entry& find(std::string_view name) const {
    auto found = model_.tensors().find(name);
    if (found == model_.tensors().end())
      fail(ErrorKind::not_found, "{}: there is no tensor {} among its {}", model_.path().string(), shown(name), model_.tensors().size());
    return found->second;
  }

  GgufModel model_;
  std::map<std::string, std::string> metadata_;
  mutable std::mutex mutex_;
  mutable std::map<const GgufTensor*, std::shared_ptr<const EncodedMatrix>> matrices_;  ///< made when asked for: Q4_1 is read through
};

}  // namespace

std::unique_ptr<WeightSource> open_gguf(const std::filesystem::path& path) { return std::make_unique<GgufWeights>(path); }

}  // namespace nibble
