#include "tokenizer/tokenizer_source.hpp"

#include "base/fail.hpp"
#include "checkpoint/gguf/gguf_model.hpp"
#include "checkpoint/gguf/gguf_tokenizer.hpp"
#include "tokenizer/decoders/makers.hpp"
#include "tokenizer/openvino/read_tokenizer_ir.hpp"
#include "tokenizer/pipeline_codec.hpp"
#include "tokenizer/vocabularies/plain_files.hpp"

namespace nibble::tokenizer {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfigFile = "tokenizer_config.json";

/// The tokenizer's file in `directory`, in order of preference; the configuration stands for a vocabulary of bytes, which has none.
std::optional<fs::path> find_file(const fs::path& directory) {
  std::error_code ignored;
  const auto has = [&](const char* name) { return fs::is_regular_file(directory / name, ignored); };
  for (const char* name :
       {"tokenizer.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "qwen.tiktoken", "tiktoken.model"})
    if (has(name)) return directory / name;
  if (has("vocab.json") && has("merges.txt")) return directory / "vocab.json";
  if (has("vocab.txt")) return directory / "vocab.txt";
  if (has(kConfigFile) && PlainFiles(directory).tokenizer_class() == "ByT5Tokenizer") return directory / kConfigFile;
  return std::nullopt;
}

Pipeline read_vocabulary(VocabularyDocument document, const fs::path& file, TokenizerConfig& config) {
  if (!config.pad_token) config.pad_token = document.pad_token;
  Pipeline pipeline = read_tokenizer_json(document.json, file.string(), config);
  pipeline.bos_token = document.bos_token;
  pipeline.eos_token = document.eos_token;
  if (document.unk_token) pipeline.unk_token = document.unk_token;
  return pipeline;
}

Pipeline read_pipeline(const fs::path& file, TokenizerConfig& config) {
  if (auto document = read_vocabulary_document(file)) {
    Pipeline pipeline = read_vocabulary(std::move(*document), file, config);
    if (file.filename() == kConfigFile) pipeline.decoder = make_byte_level_decoder(InvalidBytes::left_out);
    return pipeline;
  }
  if (file.extension() == ".json") return read_tokenizer_json(file, config);
  return read_sentencepiece(file, config);
}

TokenizerSource make_source(TokenizerConfig config, Pipeline pipeline) {
  if (!config.bos_token) config.bos_token = pipeline.bos_token;
  if (!config.eos_token) config.eos_token = pipeline.eos_token;
  if (!config.unk_token) config.unk_token = pipeline.unk_token;
  auto codec = std::make_unique<PipelineCodec>(std::move(pipeline), config);
  return {std::move(config), std::move(codec)};
}

TokenizerSource read_files(const fs::path& directory, const fs::path& file) {
  TokenizerConfig config = read_tokenizer_config(directory);
  Pipeline pipeline = read_pipeline(file, config);
  return make_source(std::move(config), std::move(pipeline));
}

TokenizerSource read_gguf(const fs::path& path) {
  const GgufFile file = open_gguf_file(path);
  if (!has_gguf_tokenizer(file.metadata)) fail(ErrorKind::not_found, "{}: the file holds no tokenizer", path.string());
  TokenizerConfig config = read_tokenizer_config(gguf_tokenizer_config(file.metadata), path.string());
  Pipeline pipeline = read_tokenizer_json(gguf_tokenizer_json(file.metadata), path.string(), config);
  return make_source(std::move(config), std::move(pipeline));
}

}  // namespace

std::optional<TokenizerFile> look_for_tokenizer(const fs::path& path) {
  using Kind = TokenizerFile::Kind;
  std::error_code ignored;
  const bool is_directory = fs::is_directory(path, ignored);
  if (is_directory)
    if (const auto file = find_file(path)) return TokenizerFile{Kind::own, *file};
  if (const auto gguf = find_gguf(path)) {
    if (const auto directory = gguf_directory(*gguf))
      if (const auto file = find_file(*directory)) return TokenizerFile{Kind::own, *file};
    return TokenizerFile{Kind::gguf, *gguf};
  }
  if (!is_directory) return TokenizerFile{path.extension() == ".xml" ? Kind::ir : Kind::own, path};
  const fs::path xml = path / "openvino_tokenizer.xml";
  return fs::is_regular_file(xml, ignored) ? std::optional(TokenizerFile{Kind::ir, xml}) : std::nullopt;
}

TokenizerFile find_tokenizer(const fs::path& path) {
  auto found = look_for_tokenizer(path);
  if (!found) fail(ErrorKind::not_found, "{}: neither tokenizer.json, tokenizer.model nor openvino_tokenizer.xml is there", path.string());
  return std::move(*found);
}

TokenizerSource read_tokenizer(const TokenizerFile& file) {
  switch (file.kind) {
    case TokenizerFile::Kind::gguf: return read_gguf(file.path);
    case TokenizerFile::Kind::ir: return read_tokenizer_ir(file.path);
    case TokenizerFile::Kind::own: break;
  }
  return read_files(file.path.parent_path(), file.path);
}

}  // namespace nibble::tokenizer
