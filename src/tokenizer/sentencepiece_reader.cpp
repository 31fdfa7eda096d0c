#include <algorithm>
#include <limits>

#include "base/fail.hpp"
#include "base/mapped_file.hpp"
#include "tokenizer/decoders/makers.hpp"
#include "tokenizer/metaspace.hpp"
#include "tokenizer/models/bpe.hpp"
#include "tokenizer/models/unigram.hpp"
#include "tokenizer/normalizers/makers.hpp"
#include "tokenizer/pipeline.hpp"
#include "tokenizer/pre_tokenizers/makers.hpp"
#include "tokenizer/sentencepiece_model.hpp"

namespace nibble::tokenizer {
namespace {

using PieceType = SentencepieceModel::PieceType;

constexpr size_t kFileLimit = 256 << 20;
// sentencepiece's trainer allows 16 characters by default; trying every cut of a piece costs its length squared.
constexpr size_t kMaxPieceSize = 512;

Vocabulary read_pieces(const SentencepieceModel& proto) {
  Vocabulary vocabulary;
  vocabulary.reserve(proto.pieces.size());
  for (size_t id = 0; id < proto.pieces.size(); ++id) vocabulary.insert(proto.pieces[id].text, static_cast<uint32_t>(id));
  return vocabulary;
}

/// Rank by score; pieces of one score share a rank, so the leftmost merges first, as in sentencepiece.
std::vector<uint32_t> ranks_of(const SentencepieceModel& proto) {
  std::vector<float> scores;
  for (const auto& piece : proto.pieces) scores.push_back(piece.score);
  std::sort(scores.begin(), scores.end(), std::greater<>());
  scores.erase(std::unique(scores.begin(), scores.end()), scores.end());
  std::vector<uint32_t> ranks;
  for (const auto& piece : proto.pieces) {
    const auto place = std::lower_bound(scores.begin(), scores.end(), piece.score, std::greater<>());
    ranks.push_back(static_cast<uint32_t>(place - scores.begin()));
  }
  return ranks;
}

/// sentencepiece merges any two neighbours whose text together is a piece: every cut of every piece into two.
MergeTable merges_of(const SentencepieceModel& proto, const Vocabulary& vocabulary, const std::string& place) {
  const std::vector<uint32_t> ranks = ranks_of(proto);
  const auto mergeable = [&](std::optional<uint32_t> id) {
    return id && (proto.pieces[*id].type == PieceType::normal || proto.pieces[*id].type == PieceType::user_defined);
  };
  MergeTable merges;
  merges.reserve(2 * proto.pieces.size());
  for (uint32_t id = 0; id < proto.pieces.size(); ++id) {
    const std::string_view text = proto.pieces[id].text;
    if (!mergeable(id) || text.empty()) continue;
    if (text.size() > kMaxPieceSize) fail(ErrorKind::corrupt, "{}: piece {} has {} bytes", place, id, text.size());
    for (size_t cut = code_point_at(text, 0).size; cut < text.size(); cut += code_point_at(text, cut).size) {
      const auto left = vocabulary.find(text.substr(0, cut)), right = vocabulary.find(text.substr(cut));
      if (mergeable(left) && mergeable(right)) merges.insert(*left, *right, {ranks[id], id});
    }
  }
  return merges;
}

}  // namespace

std::unique_ptr<const Model> make_sentencepiece_model(const SentencepieceModel& proto, const std::string& place) {
  Vocabulary vocabulary = read_pieces(proto);
  const auto unknown =
      std::find_if(proto.pieces.begin(), proto.pieces.end(), [](const auto& piece) { return piece.type == PieceType::unknown; });
  const bool has_unknown = unknown != proto.pieces.end();
  if (proto.type == SentencepieceModel::Type::bpe) {
    MergeTable merges = merges_of(proto, vocabulary, place);
    BpeOptions options;
    if (has_unknown) options.unk_token = unknown->text;
    options.fuse_unk = true;
    options.byte_fallback = proto.byte_fallback;
    return std::make_unique<Bpe>(std::move(vocabulary), std::move(merges), std::move(options));
  }
  if (proto.type != SentencepieceModel::Type::unigram) {
    fail(ErrorKind::unsupported, "{}: sentencepiece model type {} is not supported, only unigram and BPE", place,
         static_cast<uint64_t>(proto.type));
  }
  std::vector<double> scores;
  for (const auto& piece : proto.pieces) scores.push_back(piece.score);
  std::optional<uint32_t> unknown_id;
  if (has_unknown) unknown_id = static_cast<uint32_t>(unknown - proto.pieces.begin());
  return std::make_unique<Unigram>(std::move(vocabulary), std::move(scores), unknown_id, proto.byte_fallback);
}

namespace {

void add_normalizer(const SentencepieceModel& proto, bool prefix, bool legacy, const std::string& place, Pipeline& pipeline) {
  std::vector<NormalizerPtr> steps;
  if (!proto.character_map.empty()) steps.push_back(make_precompiled(proto.character_map, place));
  if (proto.remove_extra_whitespaces) {
    steps.push_back(make_replace_pattern("\\A +| +\\z", ""));
    steps.push_back(make_replace_pattern(" {2,}", " "));
  }
  const std::string space(proto.escape_whitespaces ? kMetaspace : " ");
  if (legacy || !proto.escape_whitespaces) {
    if (prefix) steps.push_back(make_prepend(space));
    if (proto.escape_whitespaces) steps.push_back(make_replace(" ", space));
  } else {
    Metaspace metaspace;
    metaspace.prepend = prefix ? Metaspace::Prepend::first : Metaspace::Prepend::never;
    metaspace.split = false;
    pipeline.pre_tokenizer = make_metaspace(metaspace);
  }
  if (!steps.empty()) pipeline.normalizer = make_normalizer_sequence(std::move(steps));
}

void add_decoder(bool prefix, Pipeline& pipeline) {
  std::vector<DecoderPtr> steps;
  steps.push_back(make_replace_decoder(std::string(kMetaspace), " "));
  steps.push_back(make_byte_fallback_decoder());
  steps.push_back(make_fuse_decoder());
  if (prefix) steps.push_back(make_strip_decoder(' ', 1, 0));
  pipeline.decoder = make_decoder_sequence(std::move(steps));
}

/// ChatGLM's code numbers these on behind the pieces (THUDM/chatglm3-6b, tokenization_chatglm.py).
constexpr std::string_view kChatGlmTokens[] = {"[MASK]",   "[gMASK]",       "[sMASK]",        "sop", "eop", "<|system|>",
                                               "<|user|>", "<|assistant|>", "<|observation|>"};
bool is_chatglm(const TokenizerConfig& config) { return config.tokenizer_class == "ChatGLMTokenizer"; }

void add_chatglm_tokens(const SentencepieceModel& proto, Pipeline& pipeline) {
  auto id = static_cast<uint32_t>(proto.pieces.size());
  for (std::string_view text : kChatGlmTokens) {
    AddedToken token;
    token.content = text;
    token.id = id++;
    token.normalized = false;
    token.special = true;
    pipeline.added_tokens.add(std::move(token), pipeline.model->vocabulary());
  }
}

void add_special_tokens(const SentencepieceModel& proto, const TokenizerConfig& config, Pipeline& pipeline) {
  for (size_t id = 0; id < proto.pieces.size(); ++id) {
    const auto& piece = proto.pieces[id];
    const bool special = piece.type == PieceType::control || piece.type == PieceType::unknown;
    if (!special && piece.type != PieceType::user_defined) continue;
    AddedToken token;
    token.content = piece.text;
    token.id = static_cast<uint32_t>(id);
    token.normalized = false;
    token.special = special;
    pipeline.added_tokens.add(std::move(token), pipeline.model->vocabulary());
  }
  if (is_chatglm(config)) add_chatglm_tokens(proto, pipeline);
  for (const AddedToken& token : config.added_tokens) pipeline.added_tokens.add(token, pipeline.model->vocabulary());
  pipeline.added_tokens.prepare(pipeline.normalizer.get());
  const auto name = [&](int64_t id) {
    const auto token = pipeline.model->vocabulary().token(id);
    return token ? std::optional<std::string>(*token) : std::nullopt;
  };
  pipeline.unk_token = name(proto.unk_id);
  pipeline.bos_token = name(proto.bos_id);
  pipeline.eos_token = name(proto.eos_id);
}

/// What LlamaTokenizer adds: BOS unless told otherwise. The file does not say; unigram models come without. ChatGLM has a start of its own.
void add_post_processor(const SentencepieceModel& proto, const TokenizerConfig& config, Pipeline& pipeline) {
  if (is_chatglm(config)) {
    pipeline.post_processor = make_surrounding_processor({*pipeline.id("[gMASK]"), *pipeline.id("sop")}, {});
    return;
  }
  const auto ids = [&](bool wanted, const std::optional<std::string>& configured, const std::optional<std::string>& own) {
    const auto id = pipeline.id(configured ? *configured : own.value_or(""));
    return wanted && id ? std::vector<int64_t>{*id} : std::vector<int64_t>{};
  };
  std::vector<int64_t> before =
      ids(config.add_bos_token.value_or(proto.type == SentencepieceModel::Type::bpe), config.bos_token, pipeline.bos_token);
  std::vector<int64_t> after = ids(config.add_eos_token.value_or(false), config.eos_token, pipeline.eos_token);
  pipeline.post_processor = make_surrounding_processor(std::move(before), std::move(after));
}

}  // namespace

Pipeline read_sentencepiece(const std::filesystem::path& path, const TokenizerConfig& config) {
  const std::string place = path.string();
  const SentencepieceModel proto = parse_sentencepiece(read_file(path, kFileLimit), place);
  const bool prefix = config.add_prefix_space.value_or(proto.add_dummy_prefix);
  Pipeline pipeline;
  pipeline.model = make_sentencepiece_model(proto, place);
  add_normalizer(proto, prefix, config.legacy, place, pipeline);
  add_decoder(prefix, pipeline);
  add_special_tokens(proto, config, pipeline);
  add_post_processor(proto, config, pipeline);
  return pipeline;
}

}  // namespace nibble::tokenizer
