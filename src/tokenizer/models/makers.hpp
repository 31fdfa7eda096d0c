#pragma once

#include <memory>
#include <string_view>

#include "tokenizer/model.hpp"
#include "tokenizer/models/model_lists.hpp"

namespace nibble::tokenizer {

/// The models of tokenizer.json, by type.
std::unique_ptr<const Model> make_bpe(const JsonView& view, const ModelLists& lists);
std::unique_ptr<const Model> make_unigram(const JsonView& view, const ModelLists& lists);
std::unique_ptr<const Model> make_word_piece(const JsonView& view, const ModelLists& lists);
std::unique_ptr<const Model> make_word_level(const JsonView& view, const ModelLists& lists);

/// Of a model whose "vocab" is an object; throws Error{corrupt} where it is none.
Vocabulary make_vocabulary(const JsonView& model, const ModelLists& lists);

/// For a piece that is neither in the vocabulary nor has an unknown token to stand for it.
[[noreturn]] void fail_unknown(std::string_view piece);

}  // namespace nibble::tokenizer
