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

/// The tokens of one text, in order.
struct Encoding {
  std::vector<int64_t> ids;
  /// Per id the half-open range of the text it stands for, in code points of the text as it was given; (0, 0) for tokens
  /// that a template added. Empty unless asked for.
  std::vector<std::pair<size_t, size_t>> offsets;
};

/// What Tokenizer::encode should do beyond splitting.
struct EncodeOptions {
  bool add_special_tokens = true;  ///< surround the text as the model's template says (BOS, EOS, [CLS] ...)
  bool offsets = false;            ///< fill Encoding::offsets
};

/// Turns text into the token ids of one model and back, as Hugging Face `tokenizers` does for the same files.
/// Immutable and thread-safe; copies share everything.
class Tokenizer {
 public:
  /// Reads tokenizer.json, or where there is none tokenizer.model (sentencepiece), of a directory; the path of such a file
  /// works too. tokenizer_config.json and special_tokens_map.json beside it are read as well. A GGUF file, or a directory with nothing
  /// but one, has its tokenizer in its metadata.
  /// Throws Error: not_found (no such file), corrupt (the file contradicts its format), unsupported (a part Nibble lacks).
  explicit Tokenizer(const std::filesystem::path& directory);
  ~Tokenizer();
  Tokenizer(const Tokenizer&);
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(const Tokenizer&);
  Tokenizer& operator=(Tokenizer&&) noexcept;

  /// Each maximal invalid part of UTF-8 in `text` counts as U+FFFD. Throws Error{invalid_argument} where the vocabulary has
  /// neither a character of the text nor an unknown token, Error{exhausted} where a pattern needs too many steps.
  Encoding encode(std::string_view text, const EncodeOptions& options = {}) const;

  /// The text of `ids`; ids outside the vocabulary are skipped. Always valid UTF-8.
  std::string decode(std::span<const int64_t> ids, bool skip_special_tokens = true) const;

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

}  // namespace nibble
