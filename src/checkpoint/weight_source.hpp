#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/mapped_file.hpp"
#include "checkpoint/encoded_matrix.hpp"
#include "nibble/tensor.hpp"

namespace nibble {

/// What a checkpoint says of one tensor without touching its data.
struct WeightInfo {
  ElementType type = ElementType::dynamic;
  Shape shape;
  std::filesystem::path file;  ///< the file that holds it
};

/// The tensors of a checkpoint by name, read as they are asked for. Thread-safe and immutable: what can be wrong with the structure of
/// the files is found when they are opened.
class WeightSource {
 public:
  virtual ~WeightSource() = default;

  /// All names, sorted by bytes.
  virtual std::vector<std::string> names() const = 0;
  virtual bool contains(std::string_view name) const = 0;
  /// Element type, shape and file. Throws Error{not_found} that names the tensor and the file.
  virtual WeightInfo info(std::string_view name) const = 0;
  /// The tensor in its stored element type and shape: a view into the mapped file (of any alignment) that outlives this object, or a
  /// copy where the file holds a strided (transposed, sliced, expanded) tensor. Throws Error{not_found}.
  virtual Tensor get(std::string_view name) const = 0;
  /// The matrix behind `name` where the checkpoint holds it in codes or it is computed; nothing for a plain tensor. info() then gives the
  /// shape and the float type of the decoded matrix, and get() decodes all of it into memory.
  virtual std::shared_ptr<const EncodedMatrix> encoded(std::string_view name) const;
  /// Hint that the data of a tensor will not be read again soon, so its pages need not stay in memory. Unknown names are ignored.
  virtual void release(std::string_view name, PageCache cache) const = 0;
  /// What the files say of themselves, e.g. {"format", "pt"}; empty for formats that have no such thing. Of shards that disagree the
  /// first speaks.
  virtual const std::map<std::string, std::string>& metadata() const = 0;
};

/// The checkpoint of a Hugging Face model directory, or a GGUF file. In a directory looks for, in this order: model.safetensors,
/// model.safetensors.index.json, pytorch_model.bin, pytorch_model.bin.index.json, a single GGUF model, and a single *.safetensors file of
/// another name. Throws Error{not_found} with the list of what was looked for, and what the functions below throw.
std::unique_ptr<WeightSource> open_checkpoint(const std::filesystem::path& directory);

/// One safetensors file. Throws Error{corrupt} where the file contradicts the format and Error{unsupported} for element types that
/// Nibble does not have.
std::unique_ptr<WeightSource> open_safetensors(const std::filesystem::path& path);

/// One PyTorch file as torch.save writes it, in the zip form (since 1.6) or the one before. Its pickle is interpreted, never run:
/// anything that is not needed to describe tensors is refused with Error{unsupported}.
std::unique_ptr<WeightSource> open_pytorch(const std::filesystem::path& path);

/// All shards that an index (`*.index.json`) names; they lie beside it. A missing shard, or a tensor that its shard does not hold,
/// is an error here, not later.
std::unique_ptr<WeightSource> open_sharded_safetensors(const std::filesystem::path& index);
std::unique_ptr<WeightSource> open_sharded_pytorch(const std::filesystem::path& index);

}  // namespace nibble
