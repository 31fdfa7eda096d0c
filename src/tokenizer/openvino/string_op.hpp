#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "graph/graph.hpp"

namespace nibble::tokenizer {

/// What a run of a tokenizer IR decides anew.
struct RunOptions {
  bool special_tokens = true;  ///< tokenizer: add them; detokenizer: show them
  size_t byte_limit = 0;       ///< bytes that an operation may make, and tensor elements: a hostile file must not fill the memory
};

/// An operation of OpenVINO's tokenizers extension, ready to run: its patterns compiled, its vocabulary in tables. Thread-safe.
class StringOp {
 public:
  virtual ~StringOp() = default;
  /// An input of strings is three tensors, see StringsView. `outputs` has a place for each output. Throws Error without naming the
  /// operation.
  virtual void run(std::span<const Tensor> inputs, std::vector<Tensor>& outputs, const RunOptions& options) const = 0;
};

/// A node and what is known of its inputs before running.
struct StringOpContext {
  const Node& node;
  std::span<const std::optional<Tensor>> inputs;

  /// Throws Error{unsupported} where the input is no constant.
  const Tensor& constant(size_t input) const;
  bool is_constant(size_t input) const { return input < inputs.size() && inputs[input].has_value(); }
};

/// The strings of three constant inputs from `first` on.
std::vector<std::string> string_constants(const StringOpContext& context, size_t first);

/// nullptr for operations of other sets.
std::unique_ptr<const StringOp> make_string_op(const StringOpContext& context);

using StringOpPtr = std::unique_ptr<const StringOp>;

// The operations, by type.
StringOpPtr make_regex_normalization(const StringOpContext& context);
StringOpPtr make_regex_split(const StringOpContext& context);
StringOpPtr make_special_tokens_split(const StringOpContext& context);
StringOpPtr make_character_map_normalization(const StringOpContext& context);
StringOpPtr make_case_fold(const StringOpContext& context);
StringOpPtr make_normalize_unicode(const StringOpContext& context);
StringOpPtr make_bytes_to_chars(const StringOpContext& context);
StringOpPtr make_chars_to_bytes(const StringOpContext& context);
StringOpPtr make_byte_fallback(const StringOpContext& context);
StringOpPtr make_utf8_validate(const StringOpContext& context);
StringOpPtr make_fuze_ragged(const StringOpContext& context);
StringOpPtr make_bpe_tokenizer(const StringOpContext& context);
StringOpPtr make_wordpiece_tokenizer(const StringOpContext& context);
StringOpPtr make_unigram_tokenizer(const StringOpContext& context);
StringOpPtr make_trie_tokenizer(const StringOpContext& context);
StringOpPtr make_vocab_encoder(const StringOpContext& context);
StringOpPtr make_vocab_decoder(const StringOpContext& context);
StringOpPtr make_truncate(const StringOpContext& context);
StringOpPtr make_combine_segments(const StringOpContext& context);
StringOpPtr make_ragged_to_dense(const StringOpContext& context);
StringOpPtr make_sentencepiece_tokenizer(const StringOpContext& context);
StringOpPtr make_sentencepiece_detokenizer(const StringOpContext& context);

/// An operation on each string of the first three inputs, with a fourth of strings that stay as they are where there are marks.
class StringMap : public StringOp {
 public:
  explicit StringMap(bool has_marks) : has_marks_(has_marks) {}
  void run(std::span<const Tensor> inputs, std::vector<Tensor>& outputs, const RunOptions& options) const override;

 protected:
  virtual std::string map(std::string_view text) const = 0;

 private:
  bool has_marks_;
};

}  // namespace nibble::tokenizer
