#include "nibble/tokenizer.hpp"

#include "tokenizer/tokenizer_impl.hpp"
#include "tokenizer/utf8.hpp"

namespace nibble {
namespace {

namespace fs = std::filesystem;

size_t count_tokens(const tokenizer::Pipeline& pipeline) {
  size_t count = pipeline.model->vocabulary().size();
  for (const tokenizer::AddedToken& token : pipeline.added_tokens.tokens()) {
    if (!pipeline.model->vocabulary().find(token.content)) ++count;
  }
  return count;
}

}  // namespace

Tokenizer::Impl::Impl(const fs::path& path) : Impl(tokenizer::read_tokenizer(path)) {}

Tokenizer::Impl::Impl(tokenizer::TokenizerSource source)
    : config(std::move(source.config)), pipeline(std::move(source.pipeline)), finish(config), vocab_size(count_tokens(pipeline)) {
  if (!config.bos_token) config.bos_token = pipeline.bos_token;
  if (!config.eos_token) config.eos_token = pipeline.eos_token;
  if (!config.unk_token) config.unk_token = pipeline.unk_token;
}

std::optional<std::string_view> Tokenizer::Impl::shown_token(int64_t id, bool skip_special_tokens) const {
  const tokenizer::AddedToken* added = pipeline.added_tokens.find(id);
  if (added != nullptr && skip_special_tokens && added->special) return std::nullopt;
  return pipeline.token(id);
}

Tokenizer::Tokenizer(const fs::path& directory) : impl_(std::make_shared<const Impl>(directory)) {}
Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(const Tokenizer&) = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(const Tokenizer&) = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;

Encoding Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  std::string valid = tokenizer::is_valid_utf8(text) ? std::string(text) : tokenizer::sanitize_utf8(text);
  std::vector<tokenizer::TokenSequence> parts;
  parts.push_back(impl_->pipeline.tokenize(std::move(valid), options.offsets));
  if (impl_->pipeline.post_processor) parts = impl_->pipeline.post_processor->process(std::move(parts), options.add_special_tokens);
  Encoding encoding;
  for (tokenizer::TokenSequence& part : parts) {
    encoding.ids.insert(encoding.ids.end(), part.ids.begin(), part.ids.end());
    if (options.offsets) encoding.offsets.insert(encoding.offsets.end(), part.offsets.begin(), part.offsets.end());
  }
  return encoding;
}

std::string Tokenizer::decode(std::span<const int64_t> ids, bool skip_special_tokens) const {
  tokenizer::DecodeChain chain(*impl_->pipeline.decoder, tokenizer::DecodeMode::whole);
  std::string text;
  for (int64_t id : ids) {
    if (const auto token = impl_->shown_token(id, skip_special_tokens)) chain.push(std::string(*token), text);
  }
  chain.finish(text);
  return impl_->finish.finish(std::move(text));
}

std::optional<int64_t> Tokenizer::token_to_id(std::string_view token) const { return impl_->pipeline.id(token); }

std::string Tokenizer::id_to_token(int64_t id) const { return std::string(impl_->pipeline.token(id).value_or("")); }

size_t Tokenizer::vocab_size() const { return impl_->vocab_size; }

bool Tokenizer::is_special(int64_t id) const {
  const tokenizer::AddedToken* token = impl_->pipeline.added_tokens.find(id);
  return token != nullptr && token->special;
}

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
