#include <algorithm>

#include "tokenizer/post_processors/makers.hpp"

namespace nibble::tokenizer {
namespace {

/// Fixed ids before and after each text, the second text's may differ from the first's.
class SurroundingProcessor : public PostProcessor {
 public:
  struct Frame {
    std::vector<int64_t> before, after;
    uint32_t type_id;
  };
  SurroundingProcessor(Frame first, Frame second) : frames_{std::move(first), std::move(second)} {}

  std::vector<TokenSequence> process(std::vector<TokenSequence> parts, bool add_special_tokens) const override {
    if (!add_special_tokens) return parts;
    std::vector<TokenSequence> result;
    for (size_t i = 0; i < parts.size(); ++i) {
      const Frame& frame = frames_[std::min<size_t>(i, 1)];
      const bool with_offsets = parts[i].offsets.size() == parts[i].ids.size();
      result.push_back(special_tokens(frame.before, frame.type_id, with_offsets));
      result.push_back(std::move(parts[i]));
      result.push_back(special_tokens(frame.after, frame.type_id, with_offsets));
    }
    return result;
  }

 private:
  Frame frames_[2];
};

/// SurroundingProcessor with RoBERTa's handling of offsets and type ids.
class RobertaProcessor : public PostProcessor {
 public:
  RobertaProcessor(PostProcessorPtr frame, bool trims, bool prefixed) : frame_(std::move(frame)), trims_(trims), prefixed_(prefixed) {}
  std::vector<TokenSequence> process(std::vector<TokenSequence> parts, bool add_special_tokens) const override {
    for (TokenSequence& part : parts) {
      if (trims_) trim_offsets(part, prefixed_);
      std::fill(part.type_ids.begin(), part.type_ids.end(), 0);
    }
    return frame_->process(std::move(parts), add_special_tokens);
  }

 private:
  PostProcessorPtr frame_;
  bool trims_, prefixed_;
};

/// The id of a ["token", id] pair.
int64_t read_named_id(const JsonView& view) {
  const std::vector<JsonView> pair = view.elements();
  if (pair.size() != 2) view.reject("must be a token and its id");
  return read_token_id(pair[1]);
}

}  // namespace

std::unique_ptr<const PostProcessor> make_surrounding_processor(std::vector<int64_t> before, std::vector<int64_t> after) {
  SurroundingProcessor::Frame first{before, after, 0}, second{std::move(before), std::move(after), 1};
  return std::make_unique<SurroundingProcessor>(std::move(first), std::move(second));
}

PostProcessorPtr make_bert_processor(const JsonView& view) {
  const int64_t cls = read_named_id(view.at("cls")), sep = read_named_id(view.at("sep"));
  return std::make_unique<SurroundingProcessor>(SurroundingProcessor::Frame{{cls}, {sep}, 0}, SurroundingProcessor::Frame{{}, {sep}, 1});
}

PostProcessorPtr make_roberta_processor(const JsonView& view) {
  const int64_t cls = read_named_id(view.at("cls")), sep = read_named_id(view.at("sep"));
  auto frame =
      std::make_unique<SurroundingProcessor>(SurroundingProcessor::Frame{{cls}, {sep}, 0}, SurroundingProcessor::Frame{{sep}, {sep}, 0});
  return std::make_unique<RobertaProcessor>(std::move(frame), view.boolean_or("trim_offsets", true),
                                            view.boolean_or("add_prefix_space", true));
}

}  // namespace nibble::tokenizer
