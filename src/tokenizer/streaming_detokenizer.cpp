#include "tokenizer/tokenizer_impl.hpp"

namespace nibble {

class StreamingDetokenizer::Impl {
 public:
  Impl(std::shared_ptr<const Tokenizer::Impl> tokenizer, bool skip_special_tokens)
      : tokenizer_(std::move(tokenizer)), stream_(tokenizer_->codec->stream(skip_special_tokens)) {}

  std::string put(int64_t id) { return stream_->put(id); }
  std::string flush() { return stream_->flush(); }

 private:
  std::shared_ptr<const Tokenizer::Impl> tokenizer_;
  std::unique_ptr<tokenizer::DecodeStream> stream_;
};

StreamingDetokenizer::StreamingDetokenizer(Tokenizer tokenizer, bool skip_special_tokens)
    : impl_(std::make_unique<Impl>(std::move(tokenizer.impl_), skip_special_tokens)) {}
StreamingDetokenizer::~StreamingDetokenizer() = default;
StreamingDetokenizer::StreamingDetokenizer(StreamingDetokenizer&&) noexcept = default;
StreamingDetokenizer& StreamingDetokenizer::operator=(StreamingDetokenizer&&) noexcept = default;

std::string StreamingDetokenizer::put(int64_t id) { return impl_->put(id); }
std::string StreamingDetokenizer::flush() { return impl_->flush(); }

}  // namespace nibble
