#include "base/fail.hpp"
#include "graph/ops/tables.hpp"

namespace nibble {

namespace {

// Strings travel as several tensors: where each begins and ends (i32) among the bytes of all (u8); a list of lists of strings has two
// more before these, where each list begins and ends among the strings. An optional boolean tensor after them marks strings that pass
// unchanged. What the operations compute is in src/tokenizer/openvino/.

void require_type(const Node& node, size_t input, ElementType type) {
  const ElementType given = node.input(input).type();
  if (given == type || given == ElementType::dynamic) return;
  fail(ErrorKind::corrupt, "input {} is {}, it must be {}", input, to_string(given), to_string(type));
}

void require_strings(const Node& node, size_t first) {
  require_type(node, first, ElementType::i32);
  require_type(node, first + 1, ElementType::i32);
  require_type(node, first + 2, ElementType::u8);
}

void require_lists(const Node& node) {
  require_type(node, 0, ElementType::i32);
  require_type(node, 1, ElementType::i32);
  require_strings(node, 2);
}

void require_counts(const Node& node, std::initializer_list<size_t> counts) {
  for (size_t count : counts)
    if (node.input_count() == count) return;
  fail(ErrorKind::corrupt, "has {} inputs, which {} does not take", node.input_count(), node.type());
}

void set_output(Node& node, size_t output, ElementType type, const PartialShape& shape) {
  node.output_info(output).type = type;
  node.output_info(output).shape = shape;
}

/// Strings of `shape` from output `first` on.
void set_strings(Node& node, size_t first, const PartialShape& shape) {
  set_output(node, first, ElementType::i32, shape);
  set_output(node, first + 1, ElementType::i32, shape);
  set_output(node, first + 2, ElementType::u8, {kDynamic});
}

/// Lists of `type` from output `first` on.
void set_lists(Node& node, size_t first, ElementType type) {
  set_output(node, first, ElementType::i32, node.input(0).shape());
  set_output(node, first + 1, ElementType::i32, node.input(0).shape());
  set_output(node, first + 2, type, {kDynamic});
}

void set_string_lists(Node& node, const PartialShape& shape) {
  set_output(node, 0, ElementType::i32, shape);
  set_output(node, 1, ElementType::i32, shape);
  set_strings(node, 2, {kDynamic});
}

void infer_unpack(Node& node) {
  require_type(node, 0, ElementType::string);
  set_strings(node, 0, node.input(0).shape());
}

void infer_pack(Node& node) {
  require_strings(node, 0);
  set_output(node, 0, ElementType::string, node.input(0).shape());
}

/// Strings to as many strings; `with_marks` when there is a mask of strings to pass.
void infer_mapped(Node& node, bool with_marks) {
  require_strings(node, 0);
  node.set_output_count(with_marks ? 4 : 3);
  set_strings(node, 0, node.input(0).shape());
  if (with_marks) set_output(node, 3, ElementType::boolean, node.input(3).shape());
}

void infer_strings(Node& node) { infer_mapped(node, false); }
void infer_strings_with_marks(Node& node) { infer_mapped(node, node.input_count() == 4); }

void infer_regex_normalization(Node& node) {
  const bool with_marks = node.input_count() == 6;
  require_type(node, with_marks ? 4 : 3, ElementType::u8);
  require_type(node, with_marks ? 5 : 4, ElementType::u8);
  infer_mapped(node, with_marks);
}

void infer_character_map(Node& node) {
  infer_mapped(node, node.input_count() == 5 || (node.input_count() == 4 && node.input(3).type() == ElementType::boolean));
}

/// Lists of strings to as many lists, with or without marks.
void infer_split(Node& node, bool with_marks) {
  require_lists(node);
  node.set_output_count(with_marks ? 6 : 5);
  set_string_lists(node, node.input(0).shape());
  if (with_marks) set_output(node, 5, ElementType::boolean, {kDynamic});
}

void infer_special_tokens_split(Node& node) {
  require_type(node, node.input_count() - 1, ElementType::u8);
  infer_split(node, true);
}

void infer_regex_split(Node& node) {
  require_counts(node, {6, 7, 9});
  require_type(node, node.input_count() == 7 ? 6 : 5, ElementType::u8);
  infer_split(node, node.input_count() == 7);
}

void infer_bytes_to_chars(Node& node) { infer_split(node, node.input_count() == 6); }

void infer_chars_to_bytes(Node& node) {
  require_lists(node);
  set_strings(node, 0, node.input(0).shape());
}

/// Lists of strings and a vocabulary to lists of ids.
void infer_model(Node& node) {
  require_lists(node);
  require_strings(node, 5);
  set_lists(node, 0, ElementType::i32);
}

void infer_bpe(Node& node) {
  require_counts(node, {11, 14, 15, 18});
  infer_model(node);
}

void infer_vocab_encoder(Node& node) {
  require_strings(node, 0);
  require_strings(node, 3);
  set_output(node, 0, node.input(6).type(), node.input(0).shape());
}

void infer_sentencepiece(Node& node) {
  require_counts(node, {2, 4, 6, 8});
  require_type(node, 0, ElementType::u8);
  set_output(node, 0, ElementType::i64, {kDynamic, 2});
  set_output(node, 1, ElementType::i32, {kDynamic});
  set_output(node, 2, ElementType::i64, {2});
}

void infer_sentencepiece_detokenizer(Node& node) {
  require_type(node, 0, ElementType::u8);
  const PartialShape& ids = node.input(1).shape();
  set_strings(node, 0, {ids.rank_is_known() && ids.rank() == 2 ? ids[0] : kDynamic});
}

/// One or two lists of ids, a length, a side, and in newer files a mode.
void infer_truncate(Node& node) {
  const size_t lists = node.input_count() >= 8 ? 2 : 1;
  node.set_output_count(3 * lists);
  for (size_t i = 0; i < 3 * lists; ++i) set_output(node, i, node.input(i).type(), node.input(i).shape());
}

void infer_combine_segments(Node& node) {
  if (node.input_count() % 3 != 1) fail(ErrorKind::corrupt, "has {} inputs, not three for each segment and one more", node.input_count());
  PartialShape shape;
  for (size_t i = 0; i + 1 < node.input_count(); i += 3)
    if (const PartialShape& given = node.input(i).shape(); given.rank_is_known() && given.rank() > 0) shape = given;
  for (size_t output : {size_t{0}, size_t{1}, size_t{3}, size_t{4}}) set_output(node, output, ElementType::i32, shape);
  set_output(node, 2, node.input(2).type(), {kDynamic});
  set_output(node, 5, node.input(node.input_count() - 1).type(), {kDynamic});
}

void infer_ragged_to_dense(Node& node) {
  const PartialShape& rows = node.input(0).shape();
  PartialShape shape;
  if (rows.rank_is_known()) {
    Shape dims = rows.dims();
    dims.push_back(kDynamic);
    shape = dims;
  }
  set_output(node, 0, node.input(2).type(), shape);
  set_output(node, 1, ElementType::boolean, shape);
}

void infer_vocab_decoder(Node& node) {
  require_strings(node, 1);
  const PartialShape& ids = node.input(0).shape();
  set_string_lists(node, {ids.rank_is_known() && ids.rank() == 2 ? ids[0] : kDynamic});
}

void infer_fuse(Node& node) {
  set_output(node, 0, ElementType::i32, node.input(0).shape());
  set_output(node, 1, ElementType::i32, node.input(0).shape());
}

}  // namespace

std::span<const OpDef> string_ops() {
  static const std::vector<OpDef> ops{
      {"BPETokenizer", {"extension"}, 11, 18, 3, infer_bpe, nullptr},
      {"ByteFallback", {"extension"}, 3, 3, -1, infer_strings, nullptr},
      {"BytesToChars", {"extension"}, 5, 6, -1, infer_bytes_to_chars, nullptr},
      {"CaseFold", {"extension"}, 3, 4, -1, infer_strings_with_marks, nullptr},
      {"CharsMapNormalization", {"extension"}, 3, 5, -1, infer_character_map, nullptr},
      {"CharsToBytes", {"extension"}, 5, 5, 3, infer_chars_to_bytes, nullptr},
      {"CombineSegments", {"extension"}, 4, -1, 6, infer_combine_segments, nullptr},
      {"FuzeRagged", {"extension"}, 4, 4, 2, infer_fuse, nullptr},
      {"NormalizeUnicode", {"extension"}, 3, 4, -1, infer_strings_with_marks, nullptr},
      {"RaggedToDense", {"extension"}, 5, 6, 2, infer_ragged_to_dense, nullptr},
      {"RegexNormalization", {"extension"}, 5, 6, -1, infer_regex_normalization, nullptr},
      {"RegexSplit", {"extension"}, 6, 9, -1, infer_regex_split, nullptr},
      {"SentencepieceDetokenizer", {"extension"}, 2, 2, 3, infer_sentencepiece_detokenizer, nullptr},
      {"SentencepieceStreamDetokenizer", {"extension"}, 2, 2, 3, infer_sentencepiece_detokenizer, nullptr},
      {"SentencepieceTokenizer", {"extension"}, 2, 8, 3, infer_sentencepiece, nullptr},
      {"SpecialTokensSplit", {"extension"}, 6, 7, -1, infer_special_tokens_split, nullptr},
      {"StringTensorPack", {"extension", "opset15"}, 3, 3, 1, infer_pack, nullptr},
      {"StringTensorUnpack", {"extension", "opset15"}, 1, 1, 3, infer_unpack, nullptr},
      {"TrieTokenizer", {"extension"}, 9, 9, 3, infer_model, nullptr},
      {"Truncate", {"extension"}, 5, 9, -1, infer_truncate, nullptr},
      {"UTF8Validate", {"extension"}, 3, 3, -1, infer_strings, nullptr},
      {"UnigramTokenizer", {"extension"}, 9, 9, 3, infer_model, nullptr},
      {"VocabDecoder", {"extension"}, 4, 5, 5, infer_vocab_decoder, nullptr},
      {"VocabEncoder", {"extension"}, 8, 8, 1, infer_vocab_encoder, nullptr},
      {"WordpieceTokenizer", {"extension"}, 9, 9, 3, infer_model, nullptr},
  };
  return ops;
}

}  // namespace nibble
