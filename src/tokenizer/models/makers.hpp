#pragma once

#include <memory>
#include <string_view>

#include "tokenizer/model.hpp"

namespace nibble::tokenizer {

/// The models of tokenizer.json, by type.
std::unique_ptr<const Model> make_bpe(const JsonView& view);
std::unique_ptr<const Model> make_unigram(const JsonView& view);
std::unique_ptr<const Model> make_word_piece(const JsonView& view);
std::unique_ptr<const Model> make_word_level(const JsonView& view);

/// A {"token": id, ...} object.
Vocabulary read_vocabulary(const JsonView& view);

/// For a piece that is neither in the vocabulary nor has an unknown token to stand for it.
[[noreturn]] void fail_unknown(std::string_view piece);

}  // namespace nibble::tokenizer
