#include <limits>
#include <map>

#include "base/fail.hpp"
#include "base/utf8.hpp"
#include "tokenizer/byte_level.hpp"
#include "tokenizer/metaspace.hpp"
#include "tokenizer/openvino/patterns.hpp"
#include "tokenizer/openvino/steps.hpp"
#include "tokenizer/text_replacements.hpp"

namespace nibble::tokenizer {
namespace {

/// The decoders of a Sequence, one after the other.
void flatten(const JsonView& view, std::vector<JsonView>& decoders) {
  if (view.at("type").string() != "Sequence") return decoders.push_back(view);
  for (const JsonView& step : view.at("decoders").elements()) flatten(step, decoders);
}

std::string byte_level_spelling(const std::string& token) {
  std::string bytes;
  append_token_bytes(bytes, token);
  return bytes;
}

std::string word_piece_spelling(const std::string& token, const std::string& prefix, bool cleanup) {
  std::string text = token.starts_with(prefix) ? token.substr(prefix.size()) : " " + token;
  return cleanup ? clean_up_word_pieces(std::move(text)) : text;
}

/// How a token is spelled for what its decoder does with every token on its own. Tokens are not yet joined then.
std::vector<std::string> spellings(const Pipeline& pipeline, const std::vector<JsonView>& decoders, bool joins) {
  std::vector<std::string> tokens = tokens_by_id(pipeline);
  const std::string type = decoders.empty() ? "" : decoders.front().at("type").string();
  for (std::string& token : tokens) {
    if (joins) {
      token.insert(0, " ");
    } else if (type == "ByteLevel") {
      token = byte_level_spelling(token);
    } else if (type == "WordPiece") {
      token = word_piece_spelling(token, decoders.front().string_or("prefix", "##"), decoders.front().boolean_or("cleanup", true));
    }
  }
  return tokens;
}

class DecoderWriter {
 public:
  DecoderWriter(StringFlow& flow, bool validates, bool replaces) : flow_(flow), validates_(validates), replaces_(replaces) {}

  /// Without a decoder at all there are spaces between tokens, which are spelled with one before them.
  void write(const std::vector<JsonView>& decoders, bool joins) {
    for (size_t i = 0; i < decoders.size(); ++i) {
      const std::string type = decoders[i].at("type").string();
      const bool is_spelled = type == "ByteLevel" || type == "WordPiece";
      if (is_spelled && i > 0) decoders[i].refuse("is a decoder (" + type + ") after others, which a tokenizer IR has no operation for");
      add(type, decoders[i]);
    }
    fuse();
    if (joins) flow_.replace("\\A ", "", false);
  }

 private:
  void fuse() {
    if (!flow_.has_lists()) return;
    flow_.fuse();
    if (validates_) flow_.validate(replaces_);
  }

  void strip(const JsonView& view) {
    constexpr uint64_t kLargestRepeat = 65535;  // of PCRE2
    const std::string content = literal_pattern(to_utf8(view.at("content").character()));
    const uint64_t start = view.at("start").integer(kLargestRepeat), stop = view.at("stop").integer(kLargestRepeat);
    if (start > 0) flow_.replace(fmt::format("\\A(?:{}){{1,{}}}", content, start), "", false);
    if (stop > 0) flow_.replace(fmt::format("(?:{}){{1,{}}}\\z", content, stop), "", false);
  }

  void metaspace(const JsonView& view) {
    const Metaspace options = read_metaspace(view);
    const std::string replacement = literal_pattern(to_utf8(options.replacement));
    fuse();
    if (options.prepend != Metaspace::Prepend::never) flow_.replace("\\A" + replacement, "", false);
    flow_.replace(replacement, " ");
  }

  void word_ends(const JsonView& view) {
    const std::string suffix = literal_pattern(view.string_or("suffix", "</w>"));
    fuse();
    if (suffix.empty()) return;
    flow_.replace(suffix + "\\z", "", false);
    flow_.replace(suffix, " ");
  }

  void add(const std::string& type, const JsonView& view) {
    if (type == "Replace") return flow_.replace(pattern_of(view.at("pattern")), literal_replacement(view.at("content").string()));
    if (type == "ByteFallback") return flow_.bytes_from_tokens();
    if (type == "Fuse" || type == "ByteLevel") return fuse();
    if (type == "Strip") return strip(view);
    if (type == "Metaspace") return metaspace(view);
    if (type == "BPEDecoder") return word_ends(view);
    if (type != "WordPiece") view.refuse("is a decoder (" + type + ") that a tokenizer IR has no operation for");
    fuse();
    flow_.replace("\\A ", "", false);
  }

  StringFlow& flow_;
  bool validates_, replaces_;
};

/// What transformers does to the text beyond tokenizer.json; see DecodeFinish.
void add_finish(const TokenizerConfig& config, bool clean_up, StringFlow& flow) {
  const bool clip = config.tokenizer_class.starts_with("CLIPTokenizer");
  if (clip) flow.replace("</w>", " ");
  if (clean_up) {
    flow.replace(" ([.?!,])", "$1");
    flow.replace(" ' ", "'");
    flow.replace(" (n't|'m|'s|'ve|'re)", "$1");
  }
  if (config.tokenizer_class.starts_with("WhisperTokenizer")) flow.replace("<\\|[0-9]+\\.[0-9]+\\|>", "");
  if (clip) {
    const std::string space(kSpaceClass);
    flow.replace("\\A" + space + "+", "", false);
    flow.replace("(?<!" + space + ")" + space + "+\\z", "", false);
  }
}

/// A slice, so that a run can turn skipping off: this is where OpenVINO GenAI looks for it.
Value skipped_ids(const Pipeline& pipeline, bool skip, Graph& graph) {
  std::vector<int32_t> ids;
  for (const AddedToken& token : pipeline.added_tokens.tokens())
    if (token.special) ids.push_back(static_cast<int32_t>(token.id));
  const Value all = list_constant(graph, ids), zero = list_constant(graph, {0}), one = list_constant(graph, {1});
  const Value stop = list_constant(graph, {skip ? std::numeric_limits<int32_t>::max() : 0});
  return graph.add("Slice", {all, zero, stop, one}).output();
}

}  // namespace

StringValues add_decoder(const TokenizerView& tokenizer, Value ids, const DecoderOptions& options, Graph& graph) {
  std::vector<JsonView> decoders;
  const auto decoder = tokenizer.document.find("decoder");
  if (decoder) flatten(*decoder, decoders);
  const StringValues tokens = strings_constant(graph, spellings(tokenizer.pipeline, decoders, !decoder));
  Node& node = graph.add(
      "VocabDecoder", {ids, tokens.begins, tokens.ends, tokens.chars, skipped_ids(tokenizer.pipeline, options.skip_special_tokens, graph)},
      {{"skip_tokens", ""}});
  StringFlow flow(graph, node.output(0), node.output(1), {node.output(2), node.output(3), node.output(4)});
  DecoderWriter(flow, options.validates_utf8, options.replaces_invalid).write(decoders, !decoder);
  add_finish(tokenizer.config, options.clean_up_spaces, flow);
  return flow.strings();
}

}  // namespace nibble::tokenizer
