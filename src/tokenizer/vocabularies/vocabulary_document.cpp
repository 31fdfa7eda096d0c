#include "tokenizer/vocabularies/plain_files.hpp"

namespace nibble::tokenizer {

std::optional<VocabularyDocument> read_vocabulary_document(const std::filesystem::path& file) {
  const auto files = [&] { return PlainFiles(file.parent_path()); };
  if (file.filename() == "vocab.json") return read_merges_vocabulary(file, files());
  if (file.filename() == "tokenizer_config.json") return byte_vocabulary(files());
  if (file.extension() == ".txt") return read_word_pieces(file, files());
  if (file.extension() == ".tiktoken" || (file.extension() != ".json" && holds_ranks(file))) return read_ranks(file, files());
  return std::nullopt;
}

}  // namespace nibble::tokenizer
