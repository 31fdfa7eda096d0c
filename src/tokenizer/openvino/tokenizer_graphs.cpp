#include "tokenizer/openvino/tokenizer_graphs.hpp"

#include <algorithm>
#include <limits>

#include "base/fail.hpp"
#include "tokenizer/openvino/segments.hpp"
#include "tokenizer/openvino/steps.hpp"

namespace nibble::tokenizer {
namespace {

constexpr int32_t kLongest = std::numeric_limits<int32_t>::max();
// OpenVINO's CPU converts numbers through float on the way; larger ones come out negative.
constexpr int32_t kNoTruncation = kLongest - 64;

/// transformers' tokenizer classes that hand out token type ids unless the configuration says otherwise.
bool has_type_ids(const TokenizerConfig& config) {
  const auto& names = config.model_input_names;
  if (!names.empty()) return std::find(names.begin(), names.end(), "token_type_ids") != names.end();
  std::string name = config.tokenizer_class;
  if (name.ends_with("Fast")) name.resize(name.size() - 4);
  for (std::string_view known : {"PreTrainedTokenizer", "BertTokenizer", "ElectraTokenizer", "AlbertTokenizer", "DebertaTokenizer",
                                 "DebertaV2Tokenizer", "ConvBertTokenizer", "MobileBertTokenizer", "XLNetTokenizer", "FunnelTokenizer",
                                 "LxmertTokenizer", "LayoutLMTokenizer", "RoFormerTokenizer", "SqueezeBertTokenizer"})
    if (name == known) return true;
  return false;
}

bool is_on_left(const std::string& configured, bool wanted, const TokenizerConfig& config) {
  if (wanted) return true;
  if (!configured.empty()) return configured == "left";
  return config.tokenizer_class.starts_with("LlamaTokenizer") || config.tokenizer_class.starts_with("GemmaTokenizer");
}

/// Builds the graph from texts to ids.
class TokenizerWriter {
 public:
  TokenizerWriter(const TokenizerView& tokenizer, const TokenizerIrOptions& options, std::vector<std::string>& notes)
      : tokenizer_(tokenizer), options_(options), notes_(notes), segments_(read_segments(tokenizer.document)) {}

  Graph write() {
    graph_.name() = "tokenizer";
    std::vector<Value> ids = tokenize();
    ids = truncate(std::move(ids));
    finish(combine(ids));
    return std::move(graph_);
  }

 private:
  std::vector<Value> tokenize() {
    Node& texts = graph_.add_parameter(ElementType::string, {kDynamic}, "string_input");
    Node& unpacked = graph_.add("StringTensorUnpack", {texts.output()});
    StringFlow flow(graph_, {unpacked.output(0), unpacked.output(1), unpacked.output(2)});
    const auto [original, normalized] = added_token_patterns(tokenizer_, notes_);
    const auto pre_tokenizer = tokenizer_.document.find("pre_tokenizer"), normalizer = tokenizer_.document.find("normalizer");
    if (pre_tokenizer) add_first_prefix(*pre_tokenizer, original + normalized, flow);
    // RegexSplit reads beyond its memory where there are more pieces than texts and no marks.
    if (!original.empty() || normalized.empty()) flow.split_special(original.empty() ? "(?!)" : original);
    if (normalizer) add_normalizer(*normalizer, flow);
    if (!normalized.empty()) flow.split_special(normalized);
    Spelling spelling = Spelling::text;
    if (pre_tokenizer) add_pre_tokenizer(*pre_tokenizer, flow, spelling);
    return add_model(tokenizer_, spelling, flow, graph_, notes_);
  }

  int32_t added_count() const {
    return static_cast<int32_t>(
        std::count_if(segments_.single.begin(), segments_.single.end(), [](const Segment& segment) { return !segment.is_text(); }));
  }

  /// Off unless a run turns it on, by the state of this name.
  std::vector<Value> truncate(std::vector<Value> ids) {
    const auto longest = options_.max_length ? options_.max_length : tokenizer_.config.model_max_length;
    const auto limit = static_cast<int32_t>(std::min<size_t>(longest.value_or(kLongest), kLongest));
    const int32_t added = options_.add_special_tokens ? added_count() : 0;
    const Value off = graph_.add_constant(Tensor::scalar<bool>(options_.max_length.has_value())).output();
    const Attributes state{{"variable_id", "truncation"}, {"variable_type", "boolean"}, {"variable_shape", ""}};
    const Value enabled = graph_.add("ReadValue", {off}, state).output();
    graph_.add("Assign", {enabled}, {{"variable_id", "truncation"}});
    const Value length =
        graph_
            .add("Select", {enabled, scalar_constant(graph_, std::max(limit - added, 0)), scalar_constant(graph_, kNoTruncation)},
                 {{"auto_broadcast", "numpy"}})
            .output();
    const bool left = is_on_left(tokenizer_.config.truncation_side, options_.left_padding, TokenizerConfig{});
    ids.insert(ids.end(), {length, bytes_constant(graph_, left ? "left" : "right"), bytes_constant(graph_, "longest_first")});
    Node& node = graph_.add("Truncate", std::move(ids), {{"m_num_inputs", "1"}});
    return {node.output(0), node.output(1), node.output(2)};
  }

  /// Each special token is a segment of its own: OpenVINO GenAI counts segments when it makes room for them.
  Node& combine(const std::vector<Value>& ids) {
    std::vector<Value> inputs;
    std::vector<int32_t> type_ids;
    for (const Segment& segment : segments_.single) {
      type_ids.push_back(segment.type_id);
      if (segment.is_text()) {
        inputs.insert(inputs.end(), ids.begin(), ids.end());
      } else {
        inputs.insert(inputs.end(), {scalar_constant(graph_, 0), scalar_constant(graph_, options_.add_special_tokens ? 1 : 0),
                                     list_constant(graph_, {static_cast<int32_t>(segment.id)})});
      }
    }
    inputs.push_back(list_constant(graph_, type_ids));
    return graph_.add("CombineSegments", std::move(inputs));
  }

  Node& make_dense(Node& combined, size_t first, Value length, int32_t padding) {
    const bool left = is_on_left(tokenizer_.config.padding_side, options_.left_padding, tokenizer_.config);
    return graph_.add(
        "RaggedToDense",
        {combined.output(first), combined.output(first + 1), combined.output(first + 2), length, scalar_constant(graph_, padding)},
        {{"pad_right", attribute_text(!left)}, {"m_pad_max_length", "false"}});
  }

  int32_t padding_id() const {
    const auto id = tokenizer_.pipeline.id(tokenizer_.config.pad_token.value_or(""));
    return id ? static_cast<int32_t>(*id) : 0;
  }

  void finish(Node& combined) {
    const Value lengths = graph_.add("Subtract", {combined.output(1), combined.output(0)}, {{"auto_broadcast", "numpy"}}).output();
    const Value longest = graph_.add("ReduceMax", {lengths, scalar_constant(graph_, 0)}, {{"keep_dims", "false"}}).output();
    Node& ids = make_dense(combined, 0, longest, padding_id());
    add_result(ids.output(0), "input_ids");
    if (has_type_ids(tokenizer_.config)) add_result(make_dense(combined, 3, longest, 0).output(0), "token_type_ids");
    add_result(ids.output(1), "attention_mask");
  }

  void add_result(Value value, const char* name) {
    Node& converted = graph_.add("Convert", {value}, {{"destination_type", "i64"}});
    converted.output_info().names.insert(name);
    graph_.add("Result", {converted.output()});
  }

  const TokenizerView& tokenizer_;
  const TokenizerIrOptions& options_;
  std::vector<std::string>& notes_;
  Segments segments_;
  Graph graph_;
};

Graph write_detokenizer(const TokenizerView& tokenizer, const TokenizerIrOptions& options) {
  Graph graph;
  graph.name() = "detokenizer";
  Node& input = graph.add_parameter(ElementType::i64, {kDynamic, kDynamic}, "token_ids");
  const Value ids = graph.add("Convert", {input.output()}, {{"destination_type", "i32"}}).output();
  DecoderOptions decoder;
  decoder.skip_special_tokens = options.skip_special_tokens;
  decoder.validates_utf8 = options.utf8_replace_mode != "disable";
  decoder.replaces_invalid = options.utf8_replace_mode == "replace";
  decoder.clean_up_spaces = tokenizer.config.clean_up_tokenization_spaces;
  const StringValues texts = add_decoder(tokenizer, ids, decoder, graph);
  Node& packed = graph.add("StringTensorPack", {texts.begins, texts.ends, texts.chars});
  packed.output_info().names.insert("string_output");
  graph.add("Result", {packed.output()});
  return graph;
}

std::string segments_text(const Segments& segments) {
  nlohmann::json document;
  for (const auto& [name, list] : {std::pair("single", &segments.single), std::pair("pair", &segments.pair)}) {
    nlohmann::json ids = nlohmann::json::array(), type_ids = nlohmann::json::array();
    for (const Segment& segment : *list) {
      ids.push_back(segment.id);
      type_ids.push_back(segment.type_id);
    }
    document[name] = {{"ids", ids}, {"type_ids", type_ids}};
  }
  return document.dump();
}

std::string flag(bool value) { return value ? "True" : "False"; }

void set_chat_template(const TokenizerConfig& config, RtInfo& info) {
  if (config.chat_templates.empty()) return;
  const auto only = config.chat_templates.find("default");
  if (config.chat_templates.size() == 1 && only != config.chat_templates.end()) return info.set("chat_template", only->second);
  for (const auto& [name, text] : config.chat_templates) info.child("chat_template").set(name, text);
}

/// What OpenVINO GenAI and OpenVINO's own converter look for.
void describe(const TokenizerView& tokenizer, const TokenizerIrOptions& options, RtInfo& info) {
  const TokenizerConfig& config = tokenizer.config;
  info.child("nibble").set("version", NIBBLE_VERSION);
  info.set("add_attention_mask", "True");
  info.set("add_special_tokens", flag(options.add_special_tokens));
  const std::pair<const char*, std::optional<std::string>> tokens[] = {
      {"bos_token_id", config.bos_token ? config.bos_token : tokenizer.pipeline.bos_token},
      {"eos_token_id", config.eos_token ? config.eos_token : tokenizer.pipeline.eos_token},
      {"pad_token_id", config.pad_token}};
  for (const auto& [name, token] : tokens)
    if (const auto id = token ? tokenizer.pipeline.id(*token) : std::nullopt) info.set(name, std::to_string(*id));
  set_chat_template(config, info);
  info.set("clean_up_tokenization_spaces", flag(config.clean_up_tokenization_spaces));
  info.set("detokenizer_input_type", "i64");
  info.set("number_of_inputs", "1");
  info.set("openvino_tokenizers_version", "2026.4.1.0");  // whose operations and attributes these are
  if (const auto processor = tokenizer.document.find("post_processor"))
    info.set("original_post_processor_template", processor->raw().dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  info.set("original_tokenizer_class", config.tokenizer_class.empty() ? "PreTrainedTokenizerFast" : config.tokenizer_class);
  info.set("processed_post_processor_template", segments_text(read_segments(tokenizer.document)));
  info.set("skip_special_tokens", flag(options.skip_special_tokens));
  info.set("streaming_detokenizer", "False");
  info.set("tokenizer_output_type", "i64");
  info.set("truncation", flag(options.max_length.has_value()));
  info.set("use_max_padding", "False");
  info.set("use_sentencepiece_backend", "False");
  info.set("utf8_replace_mode", options.utf8_replace_mode);
  info.set("with_detokenizer", flag(options.detokenizer));
  if (options.max_length) info.set("max_length", std::to_string(*options.max_length));
}

void check_options(const TokenizerIrOptions& options) {
  for (const char* mode : {"replace", "ignore", "disable"})
    if (options.utf8_replace_mode == mode) return;
  fail(ErrorKind::invalid_argument, "utf8_replace_mode \"{}\" is none of replace, ignore, disable", options.utf8_replace_mode);
}

}  // namespace

TokenizerGraphs build_tokenizer_graphs(const TokenizerDocument& document, const TokenizerIrOptions& options) {
  check_options(options);
  const Pipeline pipeline = read_tokenizer_json(document.json, document.place, document.config);
  const JsonView json(document.json, document.place);
  const TokenizerView view{json, document.config, pipeline};
  TokenizerGraphs graphs;
  graphs.tokenizer = TokenizerWriter(view, options, graphs.notes).write();
  describe(view, options, graphs.tokenizer.rt_info());
  if (!options.detokenizer) return graphs;
  graphs.detokenizer = write_detokenizer(view, options);
  describe(view, options, graphs.detokenizer->rt_info());
  return graphs;
}

}  // namespace nibble::tokenizer
