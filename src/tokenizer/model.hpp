#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "tokenizer/json_view.hpp"
#include "tokenizer/vocabulary.hpp"

namespace nibble::tokenizer {

/// A token within a piece, and the bytes of the piece it stands for.
struct ModelToken {
  uint32_t id, begin, end;
};

/// Maps one piece of text to tokens. Thread-safe.
class Model {
 public:
  explicit Model(Vocabulary vocabulary) : vocabulary_(std::move(vocabulary)) {}
  virtual ~Model() = default;
  /// Appends the tokens of a piece that is not empty. Throws Error{invalid_argument} for a character the model cannot express.
  virtual void tokenize(std::string_view piece, std::vector<ModelToken>& tokens) const = 0;
  /// The token for what is not in the vocabulary, if the model has one.
  virtual std::optional<uint32_t> unknown_id() const = 0;
  const Vocabulary& vocabulary() const { return vocabulary_; }

 protected:
  Vocabulary vocabulary_;
};

struct ModelLists;

/// The model of a tokenizer.json object, with its lists; throws Error{unsupported} for a type Nibble does not know.
std::unique_ptr<const Model> make_model(const JsonView& view, const ModelLists& lists);

}  // namespace nibble::tokenizer
