#pragma once

#include <string>
#include <vector>

#include "tokenizer/json_view.hpp"
#include "tokenizer/openvino/string_flow.hpp"
#include "tokenizer/pipeline.hpp"

namespace nibble::tokenizer {

/// What the writer of a tokenizer IR knows of the tokenizer: its document, read both as such and as a pipeline.
struct TokenizerView {
  const JsonView& document;  ///< a tokenizer.json
  const TokenizerConfig& config;
  const Pipeline& pipeline;
};

/// How the pieces that reach the model are spelled.
enum class Spelling { text, raw_bytes, byte_characters };

// The parts of a tokenizer.json as operations. Each throws Error{unsupported} that names what no operation can do.

/// A normalizer: all pieces that are not marked.
void add_normalizer(const JsonView& view, StringFlow& flow);

/// A pre-tokenizer; `spelling` is what it leaves the pieces in.
void add_pre_tokenizer(const JsonView& view, StringFlow& flow, Spelling& spelling);
/// What "prepend_scheme": "first" puts before a text that begins with none of `special` (a pattern); called before all else.
void add_first_prefix(const JsonView& pre_tokenizer, std::string_view special, StringFlow& flow);

/// Patterns for added tokens; empty where there are none.
struct AddedTokenPatterns {
  std::string original, normalized;  ///< for the text as given, and for the normalized text
};
/// SpecialTokensSplit works on texts that it has not split before, so all tokens are looked for in the text as given unless all of them
/// are meant for the normalized one. Says in `notes` where that makes a difference.
AddedTokenPatterns added_token_patterns(const TokenizerView& tokenizer, std::vector<std::string>& notes);

/// What the pieces that are added tokens look like when they reach the model, with their ids. All occurrences are such pieces.
std::vector<std::pair<std::string, uint32_t>> added_token_pieces(const Pipeline& pipeline);

/// The model: lists of ids (begins, ends, ids). Says in `notes` what it does differently.
std::vector<Value> add_model(const TokenizerView& tokenizer, Spelling spelling, StringFlow& flow, Graph& graph,
                             std::vector<std::string>& notes);

struct DecoderOptions {
  bool skip_special_tokens = true;
  bool validates_utf8 = true, replaces_invalid = true;  ///< invalid UTF-8 becomes U+FFFD, or nothing
  bool clean_up_spaces = false;
};

/// The decoder: from ids ([batch, length], i32) to texts.
StringValues add_decoder(const TokenizerView& tokenizer, Value ids, const DecoderOptions& options, Graph& graph);

/// Whether characters outside the vocabulary become tokens for their bytes: when the model says so and has a token for every byte.
bool has_byte_fallback(const TokenizerView& tokenizer);

/// Strings by id, up to the largest, of the model's vocabulary and the added tokens; "" in gaps. Throws Error{unsupported} where the gaps
/// are out of proportion.
std::vector<std::string> tokens_by_id(const Pipeline& pipeline);

}  // namespace nibble::tokenizer
