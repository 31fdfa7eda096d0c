#include "tokenizer/post_processor.hpp"

#include <map>

#include "tokenizer/post_processors/makers.hpp"
#include "tokenizer/vocabulary.hpp"

namespace nibble::tokenizer {
namespace {

class PostProcessorSequence : public PostProcessor {
 public:
  explicit PostProcessorSequence(std::vector<PostProcessorPtr> steps) : steps_(std::move(steps)) {}
  std::vector<TokenSequence> process(std::vector<TokenSequence> parts, bool add_special_tokens) const override {
    for (const PostProcessorPtr& step : steps_) parts = step->process(std::move(parts), add_special_tokens);
    return parts;
  }

 private:
  std::vector<PostProcessorPtr> steps_;
};

PostProcessorPtr make_sequence(const JsonView& view) {
  std::vector<PostProcessorPtr> steps;
  for (const JsonView& step : view.at("processors").elements()) steps.push_back(make_post_processor(step));
  return std::make_unique<PostProcessorSequence>(std::move(steps));
}

}  // namespace

int64_t read_token_id(const JsonView& view) { return static_cast<int64_t>(view.integer(Vocabulary::kMaxId)); }

TokenSequence special_tokens(const std::vector<int64_t>& ids, uint32_t type_id, bool with_offsets) {
  TokenSequence part;
  part.ids = ids;
  part.type_ids.assign(ids.size(), type_id);
  if (!with_offsets) return part;
  part.offsets.resize(ids.size());
  part.texts.resize(ids.size());
  return part;
}

std::unique_ptr<const PostProcessor> make_post_processor(const JsonView& view) {
  static const std::map<std::string_view, PostProcessorPtr (*)(const JsonView&)> makers{{"BertProcessing", make_bert_processor},
                                                                                        {"ByteLevel", make_byte_level_processor},
                                                                                        {"RobertaProcessing", make_roberta_processor},
                                                                                        {"Sequence", make_sequence},
                                                                                        {"TemplateProcessing", make_template_processor}};
  const std::string type = view.at("type").string();
  const auto maker = makers.find(type);
  if (maker == makers.end()) view.refuse("is a post-processor of the unknown type \"" + type + "\"");
  return maker->second(view);
}

}  // namespace nibble::tokenizer
