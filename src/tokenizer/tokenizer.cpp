#include "nibble/tokenizer.hpp"

#include "base/fail.hpp"
#include "base/thread_pool.hpp"
#include "base/utf8.hpp"
#include "nibble/context.hpp"
#include "tokenizer/padding.hpp"
#include "tokenizer/tokenizer_impl.hpp"

namespace nibble {
namespace fs = std::filesystem;

Tokenizer::Impl::Impl(const fs::path& path) : Impl(tokenizer::read_tokenizer(tokenizer::find_tokenizer(path))) {}

Tokenizer::Impl::Impl(tokenizer::TokenizerSource source) : config(std::move(source.config)), codec(std::move(source.codec)) {}

Tokenizer::Tokenizer(const fs::path& directory) : impl_(std::make_shared<const Impl>(directory)) {}
Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(const Tokenizer&) = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(const Tokenizer&) = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;

namespace {

std::string checked(std::string_view text, InvalidUtf8 invalid) {
  if (is_utf8(text)) return std::string(text);
  if (invalid == InvalidUtf8::refuse) fail(ErrorKind::invalid_argument, "the text is no UTF-8 from byte {} on", valid_utf8_size(text));
  return sanitize_utf8(text);
}

Encoding with_type_ids(Encoding encoding) {
  encoding.type_ids.resize(encoding.ids.size());
  return encoding;
}

}  // namespace

Encoding Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  return with_type_ids(impl_->codec->encode(checked(text, options.invalid_utf8), options));
}

Encoding Tokenizer::encode_pair(std::string_view first, std::string_view second, const EncodeOptions& options) const {
  if (second.empty()) return encode(first, options);
  return with_type_ids(impl_->codec->encode_pair(checked(first, options.invalid_utf8), checked(second, options.invalid_utf8), options));
}

std::vector<Encoding> Tokenizer::encode_batch(std::span<const std::string> texts, Context& context, const EncodeOptions& options) const {
  std::vector<Encoding> encodings(texts.size());
  context.threads().parallel_for(texts.size(), 1, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) encodings[i] = encode(texts[i], options);
  });
  return encodings;
}

TokenBatch Tokenizer::pad(std::span<const Encoding> encodings, const Padding& padding) const {
  const Side configured = impl_->config.padding_side == "left" ? Side::left : Side::right;
  return tokenizer::pad_encodings(encodings, padding, padding.side.value_or(configured),
                                  padding.pad_id.value_or(pad_id().value_or(eos_id().value_or(0))));
}

std::string Tokenizer::decode(std::span<const int64_t> ids, bool skip_special_tokens) const {
  return impl_->codec->decode(ids, skip_special_tokens);
}

std::string Tokenizer::decode(std::span<const int64_t> ids, const DecodeOptions& options) const {
  if (!options.clean_up_spaces) return impl_->codec->decode(ids, options.skip_special_tokens);
  return impl_->codec->decode(ids, options.skip_special_tokens, *options.clean_up_spaces);
}

std::optional<int64_t> Tokenizer::token_to_id(std::string_view token) const { return impl_->codec->id(token); }

std::string Tokenizer::id_to_token(int64_t id) const { return std::string(impl_->codec->token(id).value_or("")); }

size_t Tokenizer::vocab_size() const { return impl_->codec->vocab_size(); }

bool Tokenizer::is_special(int64_t id) const { return impl_->codec->is_special(id); }

std::optional<int64_t> Tokenizer::bos_id() const { return token_to_id(bos_token()); }
std::optional<int64_t> Tokenizer::eos_id() const { return token_to_id(eos_token()); }
std::optional<int64_t> Tokenizer::pad_id() const { return token_to_id(pad_token()); }
std::optional<int64_t> Tokenizer::unk_id() const { return token_to_id(unk_token()); }

std::string Tokenizer::bos_token() const { return impl_->config.bos_token.value_or(""); }
std::string Tokenizer::eos_token() const { return impl_->config.eos_token.value_or(""); }
std::string Tokenizer::pad_token() const { return impl_->config.pad_token.value_or(""); }
std::string Tokenizer::unk_token() const { return impl_->config.unk_token.value_or(""); }

std::optional<std::string> Tokenizer::chat_template(std::string_view name) const {
  const auto found = impl_->config.chat_templates.find(name);
  if (found == impl_->config.chat_templates.end()) return std::nullopt;
  return found->second;
}

std::optional<size_t> Tokenizer::model_max_length() const { return impl_->config.model_max_length; }

}  // namespace nibble
