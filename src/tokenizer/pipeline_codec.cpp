#include "tokenizer/pipeline_codec.hpp"

#include "base/fail.hpp"
#include "tokenizer/truncation.hpp"

namespace nibble::tokenizer {
namespace {

size_t count_tokens(const Pipeline& pipeline) {
  size_t count = pipeline.model->vocabulary().size();
  for (const AddedToken& token : pipeline.added_tokens.tokens()) {
    if (!pipeline.model->vocabulary().find(token.content)) ++count;
  }
  return count;
}

class PipelineStream : public DecodeStream {
 public:
  PipelineStream(const PipelineCodec& codec, bool skip_special_tokens) : codec_(codec), skip_special_tokens_(skip_special_tokens) {
    restart();
  }

  std::string put(int64_t id) override {
    std::string text;
    if (const auto token = codec_.shown_token(id, skip_special_tokens_)) {
      chain_->push(std::string(*token), text);
    } else {
      chain_->pass_hidden(text);
    }
    return codec_.finish().finish_part(std::move(text));
  }

  std::string flush() override {
    std::string text;
    chain_->finish(text);
    restart();
    return codec_.finish().finish_part(std::move(text));
  }

 private:
  void restart() { chain_.emplace(codec_.decoder(), DecodeMode::stream); }

  const PipelineCodec& codec_;
  bool skip_special_tokens_;
  std::optional<DecodeChain> chain_;
};

}  // namespace

PipelineCodec::PipelineCodec(Pipeline pipeline, const TokenizerConfig& config)
    : pipeline_(std::move(pipeline)), finish_(config), vocab_size_(count_tokens(pipeline_)) {}

std::optional<std::string_view> PipelineCodec::shown_token(int64_t id, bool skip_special_tokens) const {
  const AddedToken* added = pipeline_.added_tokens.find(id);
  if (added != nullptr && skip_special_tokens && added->special) return std::nullopt;
  return pipeline_.token(id);
}

bool PipelineCodec::is_special(int64_t id) const {
  const AddedToken* token = pipeline_.added_tokens.find(id);
  return token != nullptr && token->special;
}

Encoding PipelineCodec::encode(std::string text, const EncodeOptions& options) const {
  std::vector<TokenSequence> parts;
  parts.push_back(pipeline_.tokenize(std::move(text), options.offsets));
  return join(std::move(parts), options);
}

Encoding PipelineCodec::encode_pair(std::string first, std::string second, const EncodeOptions& options) const {
  std::vector<TokenSequence> parts;
  parts.push_back(pipeline_.tokenize(std::move(first), options.offsets));
  parts.push_back(pipeline_.tokenize(std::move(second), options.offsets));
  for (uint32_t& type : parts.back().type_ids) type = 1;
  return join(std::move(parts), options);
}

Encoding PipelineCodec::join(std::vector<TokenSequence> parts, const EncodeOptions& options) const {
  if (options.truncation) truncate(parts, *options.truncation, options.add_special_tokens);
  if (pipeline_.post_processor) parts = pipeline_.post_processor->process(std::move(parts), options.add_special_tokens);
  Encoding encoding;
  for (TokenSequence& part : parts) {
    encoding.ids.insert(encoding.ids.end(), part.ids.begin(), part.ids.end());
    encoding.type_ids.insert(encoding.type_ids.end(), part.type_ids.begin(), part.type_ids.end());
    if (options.offsets) encoding.offsets.insert(encoding.offsets.end(), part.offsets.begin(), part.offsets.end());
  }
  return encoding;
}

/// What the template adds is found by giving it nothing.
void PipelineCodec::truncate(std::vector<TokenSequence>& parts, const Truncation& truncation, bool add_special_tokens) const {
  size_t added = 0;
  if (add_special_tokens && pipeline_.post_processor)
    for (const TokenSequence& part : pipeline_.post_processor->process(std::vector<TokenSequence>(parts.size()), true))
      added += part.ids.size();
  if (added > truncation.max_length)
    fail(ErrorKind::invalid_argument, "{} tokens are too few: the template alone adds {}", truncation.max_length, added);
  truncate_parts(parts, truncation.max_length - added, truncation);
}

std::string PipelineCodec::decode(std::span<const int64_t> ids, bool skip_special_tokens) const {
  return decode_with(finish_, ids, skip_special_tokens);
}

std::string PipelineCodec::decode(std::span<const int64_t> ids, bool skip_special_tokens, bool clean_up_spaces) const {
  return decode_with(finish_.with_clean_up(clean_up_spaces), ids, skip_special_tokens);
}

std::string PipelineCodec::decode_with(const DecodeFinish& finish, std::span<const int64_t> ids, bool skip_special_tokens) const {
  DecodeChain chain(*pipeline_.decoder, DecodeMode::whole);
  std::string text;
  for (int64_t id : ids) {
    if (const auto token = shown_token(id, skip_special_tokens)) chain.push(std::string(*token), text);
  }
  chain.finish(text);
  return finish.finish(std::move(text));
}

std::unique_ptr<DecodeStream> PipelineCodec::stream(bool skip_special_tokens) const {
  return std::make_unique<PipelineStream>(*this, skip_special_tokens);
}

}  // namespace nibble::tokenizer
