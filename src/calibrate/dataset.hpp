#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "calibrate/dataset_file.hpp"
#include "nibble/chat.hpp"
#include "nibble/context.hpp"
#include "nibble/tokenizer.hpp"

namespace nibble {

/// What turns text into tokens, made when it is first needed: samples may be tokens already. Not thread-safe.
class TextEncoder {
 public:
  /// The directory of a model: its tokenizer and chat template.
  explicit TextEncoder(std::filesystem::path directory) : directory_(std::move(directory)) {}

  /// With the special tokens that the model's texts begin with.
  std::vector<int64_t> encode(std::string_view text);
  /// The messages of a conversation, the JSON text of an array, by the model's chat template. Throws Error{not_found} when it has none.
  std::vector<int64_t> encode_chat(std::string_view messages);

 private:
  const Tokenizer& tokenizer();

  std::filesystem::path directory_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::unique_ptr<ChatTemplate> template_;
};

struct SampleOptions {
  size_t count = 128;       ///< at most so many samples
  size_t length = 128;      ///< tokens of a sample: exactly so many from a text, at most from JSON lines
  bool may_overlap = true;  ///< windows of a short text share tokens
};

/// Samples of token ids from a dataset.
///
/// A text is encoded as a whole (of a very long one the beginning) and cut in windows of `length` tokens, spread evenly over it; in a short
/// text they overlap, by three quarters at most, unless that is not wanted: then there are fewer. A file .jsonl or .json has an object a
/// line: {"text": ...}, {"messages": [...]} or
/// {"ids": [...]}, cut to `length` tokens.
///
/// Throws Error{corrupt} naming file and line for what is not UTF-8 or not such JSON, {invalid_argument} for a text with fewer tokens than
/// a sample has or a file without samples.
std::vector<std::vector<int64_t>> load_samples(const DatasetFile& dataset, const SampleOptions& options, TextEncoder& encoder);

}  // namespace nibble
