#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "tokenizer/models/model_lists.hpp"

namespace nibble::tokenizer {

/// A tokenizer.json whose long lists are not part of the document: they are most of the file, and reading them as a document would take
/// most of the time. In it they are empty.
class TokenizerJsonFile {
 public:
  /// Throws Error{not_found, corrupt}.
  explicit TokenizerJsonFile(const std::filesystem::path& path);
  ~TokenizerJsonFile();

  const nlohmann::json& document() const { return document_; }
  const ModelLists& lists() const { return lists_; }

 private:
  struct Text;
  std::unique_ptr<Text> text_;
  nlohmann::json document_;
  ModelLists lists_;
};

}  // namespace nibble::tokenizer
