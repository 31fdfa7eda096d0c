#include <algorithm>
#include <charconv>
#include <unordered_map>

#include "base/base64.hpp"
#include "base/fail.hpp"
#include "base/mapped_file.hpp"
#include "base/utf8.hpp"
#include "checkpoint/gguf/gguf_pre_tokenizers.hpp"
#include "tokenizer/byte_level.hpp"
#include "tokenizer/vocabularies/document_parts.hpp"

namespace nibble::tokenizer {
namespace {

using json = nlohmann::json;

// Published ones have some 130 bytes at most; finding a token's merge costs its length squared.
constexpr size_t kMaxTokenSize = 512;

using Ranks = std::unordered_map<std::string, uint32_t>;

struct RankedToken {
  std::string bytes;
  uint32_t rank;
};

std::optional<RankedToken> parse_line(const std::string& line, const std::string& place) {
  const size_t space = line.find(' ');
  uint32_t rank = 0;
  if (space == std::string::npos) return std::nullopt;
  const char *begin = line.data() + space + 1, *end = line.data() + line.size();
  const auto [stop, error] = std::from_chars(begin, end, rank);
  if (error != std::errc() || stop != end || rank > Vocabulary::kMaxId) return std::nullopt;
  return RankedToken{decode_base64(std::string_view(line).substr(0, space), place), rank};
}

std::vector<RankedToken> read_tokens(const std::filesystem::path& file) {
  std::vector<RankedToken> tokens;
  size_t number = 0;
  for (const std::string& line : read_lines(file)) {
    ++number;
    if (line.empty()) continue;
    auto token = parse_line(line, file.string());
    if (!token) fail(ErrorKind::corrupt, "{}: line {} is no \"<base64> <rank>\"", file.string(), number);
    if (token->bytes.empty() || token->bytes.size() > kMaxTokenSize)
      fail(ErrorKind::corrupt, "{}: the token of line {} has {} bytes", file.string(), number, token->bytes.size());
    tokens.push_back(std::move(*token));
  }
  std::sort(tokens.begin(), tokens.end(), [](const auto& a, const auto& b) { return a.rank < b.rank; });
  return tokens;
}

/// Where the last merge that makes a token joins it: its bytes are merged, best rank first, by merges of lower rank than its own. 0 where
/// these do not lead to two parts.
size_t cut_of(const RankedToken& token, const Ranks& ranks) {
  std::vector<size_t> starts(token.bytes.size() + 1);
  for (size_t i = 0; i < starts.size(); ++i) starts[i] = i;
  while (starts.size() > 3) {
    size_t best = 0;
    uint32_t least = token.rank;
    for (size_t i = 0; i + 2 < starts.size(); ++i) {
      const auto found = ranks.find(token.bytes.substr(starts[i], starts[i + 2] - starts[i]));
      if (found != ranks.end() && found->second < least) least = found->second, best = i + 1;
    }
    if (best == 0) return 0;
    starts.erase(starts.begin() + static_cast<std::ptrdiff_t>(best));
  }
  return starts[1];
}

std::string spell(std::string_view bytes) {
  std::string text;
  for (char byte : bytes) append_utf8(text, byte_to_character(static_cast<unsigned char>(byte)));
  return text;
}

/// A token that no merges reach is still found where it is a whole piece of text (ignore_merges), as in tiktoken.
json model_of(const std::vector<RankedToken>& tokens) {
  Ranks ranks;
  ranks.reserve(tokens.size());
  for (const RankedToken& token : tokens) ranks.emplace(token.bytes, token.rank);
  json vocabulary = json::object(), merges = json::array();
  for (const RankedToken& token : tokens) {
    vocabulary[spell(token.bytes)] = token.rank;
    if (token.bytes.size() < 2) continue;
    if (const size_t cut = cut_of(token, ranks))
      merges.push_back(spell(std::string_view(token.bytes).substr(0, cut)) + " " + spell(std::string_view(token.bytes).substr(cut)));
  }
  return {{"type", "BPE"}, {"vocab", std::move(vocabulary)}, {"merges", std::move(merges)}, {"ignore_merges", true}};
}

std::vector<std::string> numbered(std::vector<std::string> texts, std::string_view before, size_t first, size_t count,
                                  std::string_view after) {
  for (size_t i = first; i < first + count; ++i) texts.push_back(fmt::format("{}{}{}", before, i, after));
  return texts;
}

/// The tokens that the code of these models adds behind the ranks; others name theirs in tokenizer_config.json.
std::vector<std::string> tokens_of_class(const std::string& name) {
  if (name == "QWenTokenizer") return numbered({"<|endoftext|>", "<|im_start|>", "<|im_end|>"}, "<|extra_", 0, 205, "|>");
  if (!name.empty() && name != "PreTrainedTokenizer" && name != "LlamaTokenizer") return {};
  // meta-llama/llama3, tokenizer.py
  std::vector<std::string> texts = numbered({"<|begin_of_text|>", "<|end_of_text|>"}, "<|reserved_special_token_", 0, 4, "|>");
  texts.insert(texts.end(), {"<|start_header_id|>", "<|end_header_id|>", "<|reserved_special_token_4|>", "<|eot_id|>"});
  return numbered(std::move(texts), "<|reserved_special_token_", 5, 246, "|>");
}

/// The template that puts added tokens before a text.
json prefix_part(const std::vector<std::string>& before, const json& document) {
  json known = json::object();
  for (const json& token : document["added_tokens"]) known[token["content"].get<std::string>()] = token["id"];
  std::vector<TemplatePlace> single, pair;
  for (const std::string& text : before) single.push_back({text, 0});
  single.push_back({"$A", 0});
  pair = single;
  pair.push_back({"$B", 1});
  return template_part(single, pair, known);
}

}  // namespace

bool holds_ranks(const std::filesystem::path& file) {
  constexpr size_t kLongestLine = 1024;
  const auto mapped = MappedFile::open(file);
  const auto bytes = mapped->bytes();
  const std::string_view start(reinterpret_cast<const char*>(bytes.data()), std::min(bytes.size(), kLongestLine));
  const size_t end = start.find('\n');
  if (end == std::string_view::npos || start.find(' ') >= end) return false;
  constexpr std::string_view kLineCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/= \r";
  return start.substr(0, end).find_first_not_of(kLineCharacters) == std::string_view::npos;
}

VocabularyDocument read_ranks(const std::filesystem::path& file, const PlainFiles& files) {
  const std::string& name = files.tokenizer_class();
  const bool is_qwen = name == "QWenTokenizer" || file.filename() == "qwen.tiktoken";
  VocabularyDocument result;
  json& document = result.json;
  document["model"] = model_of(read_tokens(file));
  if (is_qwen) document["normalizer"] = {{"type", "NFC"}};
  document["pre_tokenizer"] = find_gguf_pre_tokenizer(is_qwen ? "qwen2" : "llama-bpe", file.string()).pre_tokenizer;
  document["decoder"] = byte_level_part(true, true, true);
  std::vector<std::string> special = tokens_of_class(is_qwen ? "QWenTokenizer" : name);
  for (const std::string& text : files.additional_tokens()) special.push_back(text);
  add_tokens(document, special, files, true);
  if (is_qwen) {
    result.eos_token = result.pad_token = "<|endoftext|>";
  } else if (name == "ChatGLM4Tokenizer") {
    document["post_processor"] = prefix_part({"[gMASK]", "<sop>"}, document);
  } else if (!special.empty() && special.front() == "<|begin_of_text|>") {
    document["post_processor"] = prefix_part({"<|begin_of_text|>"}, document);
    result.bos_token = "<|begin_of_text|>", result.eos_token = "<|end_of_text|>";
  }
  return result;
}

}  // namespace nibble::tokenizer
