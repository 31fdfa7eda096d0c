#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tokenizer/normalizer.hpp"

namespace nibble::tokenizer {

using NormalizerPtr = std::unique_ptr<const Normalizer>;

enum class NormalForm { nfc, nfd, nfkc, nfkd };

/// The normalizers, as make_normalizer and the reader of tokenizer.model build them.
NormalizerPtr make_normal_form(NormalForm form);
NormalizerPtr make_lowercase();
NormalizerPtr make_strip_accents();
NormalizerPtr make_nmt();
NormalizerPtr make_byte_level_normalizer();
NormalizerPtr make_bert_normalizer(const JsonView& view);
NormalizerPtr make_replace(const JsonView& view);
NormalizerPtr make_replace(std::string literal, std::string content);
NormalizerPtr make_replace_pattern(std::string_view regex, std::string content);
NormalizerPtr make_prepend(std::string prefix);
NormalizerPtr make_strip(bool left, bool right);
/// Throws Error{corrupt} naming `place` when `charsmap` is no sentencepiece character map.
NormalizerPtr make_precompiled(std::string charsmap, const std::string& place);
NormalizerPtr make_precompiled(const JsonView& view);
NormalizerPtr make_normalizer_sequence(std::vector<NormalizerPtr> steps);

/// What the normalizers of more than one type do.
void filter_characters(SplitText& text, bool (*keep)(char32_t));
void map_characters(SplitText& text, char32_t (*map)(char32_t));

}  // namespace nibble::tokenizer
