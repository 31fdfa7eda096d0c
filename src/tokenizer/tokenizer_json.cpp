#include "tokenizer/models/model_lists.hpp"
#include "tokenizer/pipeline.hpp"
#include "tokenizer/tokenizer_file.hpp"

namespace nibble::tokenizer {
namespace {

Pipeline make_pipeline(const JsonView& view, const ModelLists& lists, const TokenizerConfig& config) {
  Pipeline pipeline;
  pipeline.model = make_model(view.at("model"), lists);
  if (const auto part = view.find("normalizer")) pipeline.normalizer = make_normalizer(*part);
  if (const auto part = view.find("pre_tokenizer")) pipeline.pre_tokenizer = make_pre_tokenizer(*part);
  if (const auto part = view.find("post_processor")) pipeline.post_processor = make_post_processor(*part);
  const auto decoder = view.find("decoder");
  pipeline.decoder = decoder ? make_decoder(*decoder) : make_joining_decoder();
  if (const auto tokens = view.find("added_tokens")) {
    for (const JsonView& entry : tokens->elements()) {
      AddedToken token = read_added_token(entry);
      token.id = static_cast<uint32_t>(entry.at("id").integer(Vocabulary::kMaxId));
      pipeline.added_tokens.add(std::move(token), pipeline.model->vocabulary());
    }
  }
  for (const AddedToken& token : config.added_tokens) pipeline.added_tokens.add(token, pipeline.model->vocabulary());
  pipeline.added_tokens.prepare(pipeline.normalizer.get());
  if (const auto unknown = pipeline.model->unknown_id()) pipeline.unk_token = pipeline.token(*unknown).value_or("");
  return pipeline;
}

}  // namespace

Pipeline read_tokenizer_json(const std::filesystem::path& path, const TokenizerConfig& config) {
  const TokenizerJsonFile file(path);
  return make_pipeline(JsonView(file.document(), path), file.lists(), config);
}

Pipeline read_tokenizer_json(const nlohmann::json& document, const std::string& place, const TokenizerConfig& config) {
  const JsonView view(document, place);
  return make_pipeline(view, model_lists(view.at("model")), config);
}

}  // namespace nibble::tokenizer
