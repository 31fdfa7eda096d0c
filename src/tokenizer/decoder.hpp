#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tokenizer/json_view.hpp"

namespace nibble::tokenizer {

/// A stretch of decoded text. A token may come in several chunks: `begins` marks its first, `ends` its last.
struct Chunk {
  std::string text;
  bool begins = true;
  bool ends = true;
};

/// One decoder at work on one sequence of tokens: takes chunks in order and hands on what has become certain. Stages are chained;
/// the same ones decode a whole sequence and a stream. For one thread.
class DecodeStage {
 public:
  virtual ~DecodeStage() = default;
  virtual void push(Chunk chunk, std::vector<Chunk>& out) = 0;
  /// A token that shows nothing came by: a stream need not hold back what it separates from the next token.
  virtual void pass_hidden(std::vector<Chunk>&) {}
  /// The sequence is over: hands on what was held back.
  virtual void finish(std::vector<Chunk>&) {}
};

using DecodeStages = std::vector<std::unique_ptr<DecodeStage>>;

/// How a decoder treats text that a later token may yet change.
enum class DecodeMode {
  whole,   ///< hold it back: the result is what decoding all tokens at once gives
  stream,  ///< hand it on as soon as it is a valid character
};

/// Turns tokens back into text. Immutable and thread-safe; the state of a sequence is in its stages.
class Decoder {
 public:
  virtual ~Decoder() = default;
  virtual void add_stages(DecodeMode mode, DecodeStages& stages) const = 0;
};

/// The decoder of a tokenizer.json object; throws Error{unsupported} for a type Nibble does not know.
std::unique_ptr<const Decoder> make_decoder(const JsonView& view);

/// The decoder of a tokenizer.json without one: tokens with spaces between them.
std::unique_ptr<const Decoder> make_joining_decoder();

/// A chain of stages from tokens to text.
class DecodeChain {
 public:
  DecodeChain(const Decoder& decoder, DecodeMode mode) { decoder.add_stages(mode, stages_); }
  void push(std::string token, std::string& text);
  /// For tokens that are left out of the text.
  void pass_hidden(std::string& text);
  void finish(std::string& text);

 private:
  /// Sends what is in chunks_ through the stages from `stage` on.
  void run(size_t stage, std::string& text);

  DecodeStages stages_;
  size_t pushed_ = 0;                 // bytes of tokens so far
  std::vector<Chunk> chunks_, next_;  // between two calls empty; kept for their memory
};

}  // namespace nibble::tokenizer
