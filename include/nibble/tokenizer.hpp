#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nibble {

class Context;

/// The tokens of one text or of a pair, in order.
struct Encoding {
  std::vector<int64_t> ids;
  /// Per id the half-open range of the text it stands for, in code points of the text as it was given; (0, 0) for tokens
  /// that a template added. Empty unless asked for, and always with a tokenizer IR, which has none.
  std::vector<std::pair<size_t, size_t>> offsets;
  /// Per id the segment it belongs to, as the template numbers them: mostly 0, and 1 in the second text of a pair.
  std::vector<uint32_t> type_ids;
};

enum class Side { left, right };

/// Which text of a pair loses tokens when both are too long; a text alone is the first.
enum class TruncationStrategy { longest_first, only_first, only_second };

/// Cuts texts to a number of tokens.
struct Truncation {
  size_t max_length = 0;  ///< tokens, special ones included
  Side side = Side::right;
  TruncationStrategy strategy = TruncationStrategy::longest_first;
};

enum class InvalidUtf8 {
  replace,  ///< each maximal invalid part counts as U+FFFD
  refuse    ///< Error{invalid_argument} with the byte's offset
};

/// What Tokenizer::encode should do beyond splitting.
struct EncodeOptions {
  bool add_special_tokens = true;  ///< surround the text as the model's template says (BOS, EOS, [CLS] ...)
  bool offsets = false;            ///< fill Encoding::offsets
  std::optional<Truncation> truncation = {};
  InvalidUtf8 invalid_utf8 = InvalidUtf8::replace;
};

/// How encodings become rows of one length.
struct Padding {
  std::optional<Side> side = {};       ///< unset: what tokenizer_config.json says, else right
  std::optional<size_t> length = {};   ///< unset: that of the longest
  size_t multiple_of = 1;              ///< the length is rounded up to a multiple of this
  std::optional<int64_t> pad_id = {};  ///< unset: the tokenizer's, else the end-of-text token's, else 0
};

/// Encodings as rows of one length, row after row.
struct TokenBatch {
  size_t rows = 0, length = 0;
  std::vector<int64_t> ids, attention_mask, type_ids;  ///< [rows][length]; the mask is 1 for tokens and 0 for padding
};

/// What Tokenizer::decode should do beyond joining.
struct DecodeOptions {
  bool skip_special_tokens = true;
  /// Takes out spaces before punctuation and within contractions; unset: what tokenizer_config.json says.
  std::optional<bool> clean_up_spaces = {};
};

/// Turns text into the token ids of one model and back, as Hugging Face `tokenizers` does for the same files.
/// Immutable and thread-safe; copies share everything.
class Tokenizer {
 public:
  /// Reads tokenizer.json, or where there is none tokenizer.model (sentencepiece), of a directory; the path of such a file
  /// works too. tokenizer_config.json and special_tokens_map.json beside it are read as well. A GGUF file, or a directory with nothing
  /// but one, has its tokenizer in its metadata. Last comes an OpenVINO tokenizer IR: openvino_tokenizer.xml with openvino_detokenizer.xml
  /// beside it, run operation by operation.
  /// Throws Error: not_found (no such file), corrupt (the file contradicts its format), unsupported (a part Nibble lacks).
  explicit Tokenizer(const std::filesystem::path& directory);
  ~Tokenizer();
  Tokenizer(const Tokenizer&);
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(const Tokenizer&);
  Tokenizer& operator=(Tokenizer&&) noexcept;

  /// Throws Error{invalid_argument} where the vocabulary has neither a character of the text nor an unknown token, and where the special
  /// tokens alone are more than a truncation allows; Error{exhausted} where a pattern needs too many steps.
  Encoding encode(std::string_view text, const EncodeOptions& options = {}) const;
  /// The same of two texts, joined as the model's template says; an empty second text is none, as in transformers.
  Encoding encode_pair(std::string_view first, std::string_view second, const EncodeOptions& options = {}) const;
  /// Each text by itself, on the context's threads; what encode() throws for the first that fails.
  std::vector<Encoding> encode_batch(std::span<const std::string> texts, Context& context, const EncodeOptions& options = {}) const;
  /// Throws Error{invalid_argument} where an encoding is longer than Padding::length.
  TokenBatch pad(std::span<const Encoding> encodings, const Padding& padding = {}) const;

  /// The text of `ids`; ids outside the vocabulary are skipped. Always valid UTF-8.
  std::string decode(std::span<const int64_t> ids, bool skip_special_tokens = true) const;
  std::string decode(std::span<const int64_t> ids, const DecodeOptions& options) const;

  std::optional<int64_t> token_to_id(std::string_view token) const;
  /// The token as the vocabulary spells it (for byte-level vocabularies not readable text); empty for unknown ids.
  std::string id_to_token(int64_t id) const;
  /// Distinct tokens, those of the model and those added to it.
  size_t vocab_size() const;
  /// True for tokens that decode() leaves out by default.
  bool is_special(int64_t id) const;

  std::optional<int64_t> bos_id() const;
  std::optional<int64_t> eos_id() const;
  std::optional<int64_t> pad_id() const;
  std::optional<int64_t> unk_id() const;
  /// The spelling of these tokens; empty where the model has none.
  std::string bos_token() const;
  std::string eos_token() const;
  std::string pad_token() const;
  std::string unk_token() const;

  /// The chat template of tokenizer_config.json; of several named ones that called `name`.
  std::optional<std::string> chat_template(std::string_view name = "default") const;
  /// The longest input the model was made for, in tokens, where tokenizer_config.json states one.
  std::optional<size_t> model_max_length() const;

 private:
  friend class StreamingDetokenizer;
  class Impl;
  std::shared_ptr<const Impl> impl_;
};

/// Decodes a sequence token by token: what put() and flush() return, joined, is the text of the sequence.
/// Emits text as soon as no later token can complete its last character; never splits a UTF-8 character.
/// Where a later token would change text that is out already (clean-up of spaces, broken bytes), the earlier text stands.
/// The work per token does not grow with the length of the sequence. For one thread at a time; one object per sequence.
class StreamingDetokenizer {
 public:
  explicit StreamingDetokenizer(Tokenizer tokenizer, bool skip_special_tokens = true);
  ~StreamingDetokenizer();
  StreamingDetokenizer(StreamingDetokenizer&&) noexcept;
  StreamingDetokenizer& operator=(StreamingDetokenizer&&) noexcept;

  /// The text that has become certain with token `id`; often empty within a character of several tokens.
  std::string put(int64_t id);
  /// What is left at the end of an unfinished character; the next put() starts a new sequence.
  std::string flush();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// How a tokenizer becomes an OpenVINO tokenizer IR; the command has these options under the names of OpenVINO's convert_tokenizer.
struct TokenizerIrOptions {
  bool detokenizer = true;                    ///< write openvino_detokenizer.xml too
  bool add_special_tokens = true;             ///< what the tokenizer does unless a run says otherwise
  bool skip_special_tokens = true;            ///< what the detokenizer does unless a run says otherwise
  bool left_padding = false;                  ///< pad and truncate on the left, whatever tokenizer_config.json says: for generation
  std::optional<size_t> max_length;           ///< cut texts to this many tokens, special ones included
  std::string utf8_replace_mode = "replace";  ///< invalid UTF-8 in decoded text: "replace" (by U+FFFD), "ignore" (leave out), "disable"
};

/// Writes the tokenizer of `model` (what Tokenizer reads, but for an IR) as openvino_tokenizer.xml and openvino_detokenizer.xml with their
/// .bin files into the directory `output`, which is made where it is missing; files of these names are replaced. They need OpenVINO's
/// tokenizers extension to run. Returns what they do differently from the tokenizer itself, a line for each.
/// Throws Error{unsupported}, naming the part, where the extension has no operation for it; nothing is written then.
std::vector<std::string> convert_tokenizer(const std::filesystem::path& model, const std::filesystem::path& output,
                                           const TokenizerIrOptions& options, Context& context);

}  // namespace nibble
