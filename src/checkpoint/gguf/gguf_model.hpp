#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/gguf/gguf_file.hpp"
#include "checkpoint/weight_source.hpp"

namespace nibble {

/// A model in GGUF form: one file, or the parts of a split one (name-00001-of-00003.gguf) together. Immutable and thread-safe.
class GgufModel {
 public:
  struct Entry {
    const GgufTensor* tensor;
    const MappedFile* file;
  };
  using Entries = std::map<std::string, Entry, std::less<>>;

  /// Opens a file, with all parts where it is one of them. Throws what open_gguf_file does, and Error{not_found} for a missing part.
  explicit GgufModel(const std::filesystem::path& path);

  /// That of the first part.
  const GgufMetadata& metadata() const { return files_.front().metadata; }
  const std::filesystem::path& path() const { return files_.front().file->path(); }
  const Entries& tensors() const { return tensors_; }
  const GgufTensor* find(std::string_view name) const;
  std::shared_ptr<const MappedFile> owner(const Entry& entry) const;

 private:
  void add_parts(const std::filesystem::path& path);
  void index_tensors();

  std::vector<GgufFile> files_;
  Entries tensors_;
};

/// The GGUF file that `path` stands for: itself where it is such a file (by its ending or its first bytes), or the one that a directory
/// without other weights and without an OpenVINO model holds (of a split one the first part; projectors for images, mmproj*, do not
/// count). Nothing where there is none. Throws Error{invalid_argument} where a directory holds several.
std::optional<std::filesystem::path> find_gguf(const std::filesystem::path& path);

/// The directory whose other files (a tokenizer.json) belong to a GGUF file: its own where it holds no other model.
std::optional<std::filesystem::path> gguf_directory(const std::filesystem::path& gguf);

/// The tensors of a model under ggml's names ("blk.0.attn_q.weight"), those in blocks as EncodedMatrix.
std::unique_ptr<WeightSource> open_gguf(const std::filesystem::path& path);

}  // namespace nibble
