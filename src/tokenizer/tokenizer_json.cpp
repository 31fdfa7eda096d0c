#include "tokenizer/pipeline.hpp"

namespace nibble::tokenizer {
namespace {

constexpr size_t kFileLimit = 512 << 20;  // the largest published ones have some 35 MB

}  // namespace

Pipeline read_tokenizer_json(const std::filesystem::path& path, const TokenizerConfig& config) {
  return read_tokenizer_json(parse_json_file(path, kFileLimit), path, config);
}

Pipeline read_tokenizer_json(const nlohmann::json& document, const std::string& place, const TokenizerConfig& config) {
  const JsonView view(document, place);
  Pipeline pipeline;
  pipeline.model = make_model(view.at("model"));
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

}  // namespace nibble::tokenizer
