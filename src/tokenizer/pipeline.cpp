#include "tokenizer/pipeline.hpp"

#include <algorithm>

namespace nibble::tokenizer {
namespace {

/// From bytes to code points of one text, with the corners of the `tokenizers` library: a range that begins at the text's end
/// stays as it is.
class CodePointOffsets {
 public:
  explicit CodePointOffsets(std::string_view text) {
    index_.reserve(text.size());
    uint32_t count = 0;
    for (size_t i = 0; i < text.size(); ++i) {
      if (!is_continuation_byte(text[i])) ++count;
      index_.push_back(count - 1);
    }
  }
  std::pair<size_t, size_t> convert(std::pair<size_t, size_t> bytes) const {
    const auto [begin, end] = bytes;
    if (begin >= index_.size()) return bytes;
    if (end < index_.size()) return {index_[begin], index_[end]};
    return {index_[begin], index_.back() + 1};
  }

 private:
  std::vector<uint32_t> index_;
};

/// Collects tokens, and their offsets and spellings where they are wanted.
class TokenCollector {
 public:
  TokenCollector(const Pipeline& pipeline, const SplitText& text, const CodePointOffsets* offsets)
      : pipeline_(pipeline), text_(text), offsets_(offsets) {}

  void add(const Split& split, const ModelToken& token) {
    sequence_.ids.push_back(token.id);
    if (offsets_ == nullptr) return;
    const bool inside = token.begin < token.end && split.begin + token.end <= split.end;
    const auto bytes = inside ? text_.original(split.begin + token.begin, split.begin + token.end)
                              : std::pair<size_t, size_t>(split.origin + token.begin, split.origin + token.end);
    sequence_.offsets.push_back(offsets_->convert(bytes));
    sequence_.texts.emplace_back(split.token >= 0 ? text_.view(split) : pipeline_.token(token.id).value_or(""));
  }

  TokenSequence finish() {
    sequence_.type_ids.assign(sequence_.ids.size(), 0);
    return std::move(sequence_);
  }

 private:
  const Pipeline& pipeline_;
  const SplitText& text_;
  const CodePointOffsets* offsets_;
  TokenSequence sequence_;
};

}  // namespace

SplitText Pipeline::split(std::string text, bool track) const {
  SplitText work(std::move(text), track || (pre_tokenizer && pre_tokenizer->needs_origin()));
  added_tokens.split_original(work);
  if (normalizer) normalizer->normalize(work);
  added_tokens.split_normalized(work);
  if (pre_tokenizer) pre_tokenizer->pre_tokenize(work);
  return work;
}

TokenSequence Pipeline::tokenize(std::string text, bool with_offsets) const {
  std::optional<CodePointOffsets> offsets;
  if (with_offsets) offsets.emplace(text);
  const SplitText work = split(std::move(text), with_offsets);
  TokenCollector collector(*this, work, offsets ? &*offsets : nullptr);
  std::vector<ModelToken> tokens;
  for (const Split& split : work.splits()) {
    const auto size = static_cast<uint32_t>(split.end - split.begin);
    tokens.clear();
    if (split.token >= 0) {
      tokens.push_back({static_cast<uint32_t>(split.token), 0, size});
    } else if (size > 0) {
      model->tokenize(work.view(split), tokens);
    }
    for (const ModelToken& token : tokens) collector.add(split, token);
  }
  return collector.finish();
}

std::optional<std::string_view> Pipeline::token(int64_t id) const {
  if (const AddedToken* added = added_tokens.find(id)) return added->content;
  return model->vocabulary().token(id);
}

std::optional<int64_t> Pipeline::id(std::string_view token) const {
  if (const AddedToken* added = added_tokens.find(token)) return added->id;
  return model->vocabulary().find(token);
}

}  // namespace nibble::tokenizer
