#include "tokenizer/tokenizer_impl.hpp"

namespace nibble {

class StreamingDetokenizer::Impl {
 public:
  Impl(std::shared_ptr<const Tokenizer::Impl> tokenizer, bool skip_special_tokens)
      : tokenizer_(std::move(tokenizer)), skip_special_tokens_(skip_special_tokens) {
    restart();
  }

  std::string put(int64_t id) {
    std::string text;
    if (const auto token = tokenizer_->shown_token(id, skip_special_tokens_)) {
      chain_->push(std::string(*token), text);
    } else {
      chain_->pass_hidden(text);
    }
    return tokenizer_->finish.finish_part(std::move(text));
  }

  std::string flush() {
    std::string text;
    chain_->finish(text);
    restart();
    return tokenizer_->finish.finish_part(std::move(text));
  }

 private:
  void restart() { chain_.emplace(*tokenizer_->pipeline.decoder, tokenizer::DecodeMode::stream); }

  std::shared_ptr<const Tokenizer::Impl> tokenizer_;
  bool skip_special_tokens_;
  std::optional<tokenizer::DecodeChain> chain_;
};

StreamingDetokenizer::StreamingDetokenizer(Tokenizer tokenizer, bool skip_special_tokens)
    : impl_(std::make_unique<Impl>(std::move(tokenizer.impl_), skip_special_tokens)) {}
StreamingDetokenizer::~StreamingDetokenizer() = default;
StreamingDetokenizer::StreamingDetokenizer(StreamingDetokenizer&&) noexcept = default;
StreamingDetokenizer& StreamingDetokenizer::operator=(StreamingDetokenizer&&) noexcept = default;

std::string StreamingDetokenizer::put(int64_t id) { return impl_->put(id); }
std::string StreamingDetokenizer::flush() { return impl_->flush(); }

}  // namespace nibble
