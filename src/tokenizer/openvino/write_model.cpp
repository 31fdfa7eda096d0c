#include <algorithm>
#include <limits>
#include <map>

#include "base/fail.hpp"
#include "base/utf8.hpp"
#include "tokenizer/byte_level.hpp"
#include "tokenizer/models/model_lists.hpp"
#include "tokenizer/openvino/bpe_tables.hpp"
#include "tokenizer/openvino/character_map_writer.hpp"
#include "tokenizer/openvino/patterns.hpp"
#include "tokenizer/openvino/steps.hpp"

namespace nibble::tokenizer {
namespace {

constexpr int64_t kPiecesToCache = 20'000, kVocabularyPerCachedPiece = 5;
constexpr size_t kPatternBytes = 24'000;  // of alternatives in one pattern: PCRE2 compiles to 64 KiB
constexpr size_t kMaxWholePieces = 50'000;

void append(std::vector<Value>& inputs, const StringValues& strings) {
  inputs.insert(inputs.end(), {strings.begins, strings.ends, strings.chars});
}

std::vector<Value> outputs_of(Node& node) { return {node.output(0), node.output(1), node.output(2)}; }

class ModelWriter {
 public:
  ModelWriter(const TokenizerView& tokenizer, Spelling spelling, StringFlow& flow, Graph& graph, std::vector<std::string>& notes)
      : tokenizer_(tokenizer), model_(tokenizer.document.at("model")), spelling_(spelling), flow_(flow), graph_(graph), notes_(notes) {}

  std::vector<Value> write() {
    const std::string type = model_.string_or("type", "BPE");
    if (type == "BPE") return bpe();
    if (spelling_ == Spelling::raw_bytes) flow_.spell_bytes();
    if (type == "Unigram") return unigram();
    if (type == "WordPiece") return word_piece();
    if (type == "WordLevel") return word_level();
    model_.refuse("is a model (" + type + ") that a tokenizer IR has no operation for");
  }

 private:
  std::vector<Value> bpe() {
    if (!model_.string_or("continuing_subword_prefix", "").empty())
      model_.refuse("has a continuing_subword_prefix, which a tokenizer IR has no operation for");
    const BpeTables tables = bpe_tables(tokenizer_, spelling_);
    mark_whole_pieces(tables.whole_pieces);
    has_byte_fallback(tokenizer_) ? spell_unknown_bytes(false) : replace_unknown();
    std::vector<Value> inputs = flow_.lists();
    append(inputs, strings_constant(graph_, tables.tokens));
    std::vector<std::string> left, right, added;
    std::vector<int32_t> added_ids;
    for (const auto& [first, second] : tables.merges) {
      left.push_back(first);
      right.push_back(second);
    }
    for (const auto& [text, id] : tables.added) {
      added.push_back(text);
      added_ids.push_back(static_cast<int32_t>(id));
    }
    append(inputs, strings_constant(graph_, left));
    append(inputs, strings_constant(graph_, right));
    if (!added.empty()) {
      append(inputs, strings_constant(graph_, added));
      inputs.push_back(list_constant(graph_, added_ids));
    }
    const auto cached = static_cast<int64_t>(tables.tokens.size()) / kVocabularyPerCachedPiece;
    return outputs_of(graph_.add("BPETokenizer", std::move(inputs),
                                 {{"unk_token", model_.string_or("unk_token", std::string(kWholePieceMark))},
                                  {"fuse_unk", attribute_text(model_.boolean_or("fuse_unk", false))},
                                  {"suffix_indicator", ""},
                                  {"end_suffix", model_.string_or("end_of_word_suffix", "")},
                                  {"byte_fallback", attribute_text(model_.boolean_or("byte_fallback", false))},
                                  {"cache_capacity", attribute_text(std::max(kPiecesToCache, cached))}}));
  }

  void mark_whole_pieces(const std::vector<std::string>& pieces) {
    if (pieces.size() > kMaxWholePieces) {
      notes_.push_back(fmt::format("{} tokens that only whole words can be (ignore_merges) are not made", pieces.size()));
      return;
    }
    const std::string replacement = std::string(kWholePieceMark) + "$1";
    for (size_t i = 0; i < pieces.size();) {
      std::string alternatives;
      for (; i < pieces.size() && alternatives.size() < kPatternBytes; ++i)
        alternatives.append(alternatives.empty() ? "" : "|").append(literal_pattern(pieces[i]));
      flow_.replace("\\A(" + alternatives + ")\\z", replacement, false);
    }
  }

  /// Characters that are a token, or with `within` part of one, in ascending order, and the one of kWholePieceMark where that is in use.
  std::vector<char32_t> known_characters(bool within) const {
    std::vector<char32_t> known;
    if (model_.boolean_or("ignore_merges", false)) known.push_back(code_point_at(kWholePieceMark, 0).value);
    tokenizer_.pipeline.model->vocabulary().for_each([&](std::string_view token, uint32_t) {
      if (token.empty() || parse_byte_token(token)) return;
      if (!within && code_point_at(token, 0).size != token.size()) return;
      for (size_t i = 0; i < token.size(); i += code_point_at(token, i).size) known.push_back(code_point_at(token, i).value);
    });
    std::sort(known.begin(), known.end());
    known.erase(std::unique(known.begin(), known.end()), known.end());
    return known;
  }

  /// The operations would take a text that spells a byte's token for it, and the one for unigram models has no byte fallback.
  void spell_unknown_bytes(bool within) {
    // A character map cannot have NUL.
    std::vector<char32_t> known = known_characters(within);
    known.push_back(fallback_character(0));
    flow_.replace("\\x{0}", to_utf8(fallback_character(0)));
    flow_.map_characters(byte_fallback_map(known));
  }

  /// The operation would give an unknown token for each byte.
  void replace_unknown() {
    const auto unknown = model_.optional_string("unk_token");
    if (!unknown || spelling_ != Spelling::text) return;
    if (!model_.string_or("end_of_word_suffix", "").empty()) {
      notes_.emplace_back("unknown characters become an unknown token for each of their bytes");
      return;
    }
    flow_.replace(class_of(known_characters(false), true) + (model_.boolean_or("fuse_unk", false) ? "+" : ""),
                  literal_replacement(*unknown));
  }

  /// What pieces that are one token look like, by id; added tokens keep others from looking alike.
  std::vector<std::string> pieces_by_id() const {
    std::vector<std::string> pieces = tokens_by_id(tokenizer_.pipeline);
    std::map<std::string_view, uint32_t> added;
    const auto tokens = added_token_pieces(tokenizer_.pipeline);
    for (const auto& [piece, id] : tokens) added.emplace(piece, id);
    for (std::string& piece : pieces)
      if (added.contains(piece)) piece.clear();
    for (const auto& [piece, id] : added) pieces[id] = piece;
    return pieces;
  }

  /// Pieces without text would become an unknown token.
  void drop_empty_pieces() {
    if (!flow_.is_split()) flow_.split("[\\s\\S]++");
  }

  std::vector<Value> unigram() {
    std::vector<std::string> by_id = pieces_by_id();
    const bool byte_fallback = has_byte_fallback(tokenizer_);
    if (byte_fallback) {
      spell_unknown_bytes(true);
      for (std::string& token : by_id)
        if (const auto byte = parse_byte_token(token); byte) token = to_utf8(fallback_character(*byte));
    }
    std::vector<float> scores;
    for (const auto& [token, score] : model_lists(model_).scores) scores.push_back(static_cast<float>(score));
    const float best = scores.empty() ? 0 : *std::max_element(scores.begin(), scores.end());
    const float worst = scores.empty() ? 0 : *std::min_element(scores.begin(), scores.end());
    scores.resize(by_id.size(), worst);
    const std::vector<std::string> tokens = distinct(std::move(by_id));
    // A piece that is an added token shall be nothing else: above any sequence of pieces.
    for (const AddedToken& token : tokenizer_.pipeline.added_tokens.tokens()) scores[token.id] = std::max(best, 0.0f) + 1;
    std::vector<Value> inputs = flow_.lists();
    append(inputs, strings_constant(graph_, tokens));
    inputs.push_back(scores_constant(scores));
    const auto unknown = tokenizer_.pipeline.model->unknown_id();
    if (!unknown) notes_.emplace_back("characters outside the vocabulary become token 0: the model names no unknown token");
    return outputs_of(graph_.add("UnigramTokenizer", std::move(inputs),
                                 {{"byte_fallback", attribute_text(byte_fallback)},
                                  {"unk_token_id", attribute_text(int64_t{unknown.value_or(0)})},
                                  {"fuse_unk", "true"},
                                  {"min_score", "inf"}}));
  }

  Value scores_constant(const std::vector<float>& scores) {
    Node& node = graph_.add_constant(Tensor::from<float>({static_cast<int64_t>(scores.size())}, scores));
    for (const char* name : {"precise", "keep_const_precision"}) node.rt_info().push_back({{"name", name}, {"version", "0"}});
    return node.output();
  }

  /// The operation's table takes neither empty strings nor one twice.
  static std::vector<std::string> distinct(std::vector<std::string> tokens) {
    std::vector<std::string_view> sorted(tokens.begin(), tokens.end());
    std::sort(sorted.begin(), sorted.end());
    std::vector<bool> is_double(tokens.size());
    for (size_t id = 0; id < tokens.size(); ++id) {
      const auto [first, last] = std::equal_range(sorted.begin(), sorted.end(), std::string_view(tokens[id]));
      is_double[id] = tokens[id].empty() || last - first > 1;
    }
    for (size_t id = 0; id < tokens.size(); ++id)
      if (is_double[id]) tokens[id] = fmt::format("{}{}", kWholePieceMark, id);
    return tokens;
  }

  std::vector<Value> word_piece() {
    const auto unknown = tokenizer_.pipeline.model->unknown_id();
    if (!unknown) model_.refuse("has no unknown token, which the operation for WordPiece needs");
    const std::vector<std::string> tokens = pieces_by_id();
    const auto limit = model_.find("max_input_chars_per_word");
    const uint64_t characters = limit ? limit->integer(std::numeric_limits<uint64_t>::max()) : 100;
    constexpr uint64_t kLargestRepeat = 65535;  // of PCRE2
    // The operation counts bytes; the model counts characters.
    if (characters < kLargestRepeat)
      flow_.replace(fmt::format("\\A[\\s\\S]{{{},}}\\z", characters + 1), literal_replacement(tokens[*unknown]), false);
    drop_empty_pieces();
    std::vector<Value> inputs = flow_.lists();
    append(inputs, strings_constant(graph_, tokens));
    inputs.push_back(scalar_constant(graph_, static_cast<int32_t>(*unknown)));
    return outputs_of(graph_.add("WordpieceTokenizer", std::move(inputs),
                                 {{"suffix_indicator", model_.string_or("continuing_subword_prefix", "##")},
                                  {"max_bytes_per_word", attribute_text(int64_t{std::numeric_limits<int32_t>::max()})}}));
  }

  std::vector<Value> word_level() {
    const auto unknown = tokenizer_.pipeline.model->unknown_id();
    if (!unknown) notes_.emplace_back("words outside the vocabulary become token -1: the model names no unknown token");
    const std::vector<std::string> tokens = pieces_by_id();
    std::vector<int32_t> ids;
    for (size_t id = 0; id < tokens.size(); ++id) ids.push_back(static_cast<int32_t>(id));
    drop_empty_pieces();
    const std::vector<Value> lists = flow_.lists();
    std::vector<Value> inputs{lists[2], lists[3], lists[4]};
    append(inputs, strings_constant(graph_, tokens));
    inputs.push_back(list_constant(graph_, ids));
    inputs.push_back(scalar_constant(graph_, unknown ? static_cast<int32_t>(*unknown) : -1));
    return {lists[0], lists[1], graph_.add("VocabEncoder", std::move(inputs)).output()};
  }

  const TokenizerView& tokenizer_;
  JsonView model_;
  Spelling spelling_;
  StringFlow& flow_;
  Graph& graph_;
  std::vector<std::string>& notes_;
};

}  // namespace

std::vector<Value> add_model(const TokenizerView& tokenizer, Spelling spelling, StringFlow& flow, Graph& graph,
                             std::vector<std::string>& notes) {
  return ModelWriter(tokenizer, spelling, flow, graph, notes).write();
}

bool has_byte_fallback(const TokenizerView& tokenizer) {
  if (!tokenizer.document.at("model").boolean_or("byte_fallback", false)) return false;
  for (unsigned byte = 0; byte < 0x100; ++byte)
    if (!tokenizer.pipeline.model->vocabulary().find(byte_token(static_cast<unsigned char>(byte)))) return false;
  return true;
}

std::vector<std::string> tokens_by_id(const Pipeline& pipeline) {
  const Vocabulary& vocabulary = pipeline.model->vocabulary();
  uint32_t last = 0;
  vocabulary.for_each([&](std::string_view, uint32_t id) { last = std::max(last, id); });
  for (const AddedToken& token : pipeline.added_tokens.tokens()) last = std::max(last, token.id);
  constexpr size_t kAllowedGap = 1 << 16;
  const size_t count = vocabulary.size() + pipeline.added_tokens.tokens().size();
  if (last >= 2 * count + kAllowedGap)
    fail(ErrorKind::unsupported, "the ids of the vocabulary go up to {} with only {} tokens, too sparse for a tokenizer IR", last, count);
  std::vector<std::string> tokens(size_t{last} + 1);
  vocabulary.for_each([&](std::string_view token, uint32_t id) { tokens[id] = token; });
  for (const AddedToken& token : pipeline.added_tokens.tokens()) tokens[token.id] = token.content;
  return tokens;
}

}  // namespace nibble::tokenizer
