#include "tokenizer/openvino/string_op.hpp"

#include <array>
#include <map>

#include "base/fail.hpp"
#include "tokenizer/openvino/string_tensors.hpp"
#include "tokenizer/vocabulary.hpp"

namespace nibble::tokenizer {
namespace {

using Maker = StringOpPtr (*)(const StringOpContext&);

const std::map<std::string_view, Maker>& makers() {
  static const std::map<std::string_view, Maker> table{
      {"BPETokenizer", make_bpe_tokenizer},
      {"ByteFallback", make_byte_fallback},
      {"BytesToChars", make_bytes_to_chars},
      {"CaseFold", make_case_fold},
      {"CharsMapNormalization", make_character_map_normalization},
      {"CharsToBytes", make_chars_to_bytes},
      {"CombineSegments", make_combine_segments},
      {"FuzeRagged", make_fuze_ragged},
      {"NormalizeUnicode", make_normalize_unicode},
      {"RaggedToDense", make_ragged_to_dense},
      {"RegexNormalization", make_regex_normalization},
      {"RegexSplit", make_regex_split},
      {"SentencepieceDetokenizer", make_sentencepiece_detokenizer},
      {"SentencepieceStreamDetokenizer", make_sentencepiece_detokenizer},
      {"SentencepieceTokenizer", make_sentencepiece_tokenizer},
      {"SpecialTokensSplit", make_special_tokens_split},
      {"TrieTokenizer", make_trie_tokenizer},
      {"Truncate", make_truncate},
      {"UTF8Validate", make_utf8_validate},
      {"UnigramTokenizer", make_unigram_tokenizer},
      {"VocabDecoder", make_vocab_decoder},
      {"VocabEncoder", make_vocab_encoder},
      {"WordpieceTokenizer", make_wordpiece_tokenizer},
  };
  return table;
}

}  // namespace

const Tensor& StringOpContext::constant(size_t input) const {
  if (input >= inputs.size()) fail(ErrorKind::corrupt, "has no input {}", input);
  if (!inputs[input]) fail(ErrorKind::unsupported, "input {} is not a constant, as Nibble needs it", input);
  return *inputs[input];
}

std::vector<std::string> string_constants(const StringOpContext& context, size_t first) {
  const std::array<Tensor, 3> tensors{context.constant(first), context.constant(first + 1), context.constant(first + 2)};
  const StringsView view(tensors);
  std::vector<std::string> strings;
  strings.reserve(view.size());
  for (size_t i = 0; i < view.size(); ++i) strings.emplace_back(view[i]);
  if (strings.size() > Vocabulary::kMaxId) fail(ErrorKind::unsupported, "a vocabulary of {} tokens", strings.size());
  return strings;
}

StringOpPtr make_string_op(const StringOpContext& context) {
  const auto maker = makers().find(context.node.type());
  return maker == makers().end() ? nullptr : maker->second(context);
}

void StringMap::run(std::span<const Tensor> inputs, std::vector<Tensor>& outputs, const RunOptions& options) const {
  const StringsView strings(inputs);
  std::span<const bool> marks;
  if (outputs.size() != (has_marks_ ? 4u : 3u)) fail(ErrorKind::corrupt, "has {} outputs", outputs.size());
  if (has_marks_) {
    marks = inputs[3].as<bool>();
    if (marks.size() != strings.size()) fail(ErrorKind::corrupt, "{} marks for {} strings", marks.size(), strings.size());
    outputs[3] = inputs[3];
  }
  StringsBuilder result(options.byte_limit);
  for (size_t i = 0; i < strings.size(); ++i) {
    if (has_marks_ && marks[i]) {
      result.add(strings[i]);
    } else {
      result.add(map(strings[i]));
    }
  }
  result.store(strings.shape(), outputs, 0);
}

}  // namespace nibble::tokenizer
