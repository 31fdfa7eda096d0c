#include "tokenizer/tokenizer_source.hpp"

#include "base/fail.hpp"
#include "checkpoint/gguf/gguf_model.hpp"
#include "checkpoint/gguf/gguf_tokenizer.hpp"

namespace nibble::tokenizer {
namespace {

namespace fs = std::filesystem;

/// The tokenizer's file in `directory`, in order of preference.
std::optional<fs::path> find_file(const fs::path& directory) {
  for (const char* name : {"tokenizer.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model"}) {
    std::error_code ignored;
    if (fs::is_regular_file(directory / name, ignored)) return directory / name;
  }
  return std::nullopt;
}

Pipeline read_pipeline(const fs::path& file, const TokenizerConfig& config) {
  if (file.extension() == ".json") return read_tokenizer_json(file, config);
  return read_sentencepiece(file, config);
}

TokenizerSource read_files(const fs::path& directory, const fs::path& file) {
  TokenizerSource source{read_tokenizer_config(directory), {}};
  source.pipeline = read_pipeline(file, source.config);
  return source;
}

TokenizerSource read_gguf(const fs::path& path) {
  if (const auto directory = gguf_directory(path))
    if (const auto file = find_file(*directory)) return read_files(*directory, *file);
  const GgufFile file = open_gguf_file(path);
  if (!has_gguf_tokenizer(file.metadata)) fail(ErrorKind::not_found, "{}: the file holds no tokenizer", path.string());
  TokenizerSource source{read_tokenizer_config(gguf_tokenizer_config(file.metadata), path.string()), {}};
  source.pipeline = read_tokenizer_json(gguf_tokenizer_json(file.metadata), path.string(), source.config);
  return source;
}

}  // namespace

TokenizerSource read_tokenizer(const fs::path& path) {
  std::error_code ignored;
  const bool is_directory = fs::is_directory(path, ignored);
  if (is_directory)
    if (const auto file = find_file(path)) return read_files(path, *file);
  if (const auto gguf = find_gguf(path)) return read_gguf(*gguf);
  if (is_directory) fail(ErrorKind::not_found, "{}: neither tokenizer.json nor tokenizer.model is there", path.string());
  return read_files(path.parent_path(), path);
}

}  // namespace nibble::tokenizer
