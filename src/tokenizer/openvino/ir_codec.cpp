#include "tokenizer/openvino/ir_codec.hpp"

#include <algorithm>
#include <array>

#include "base/fail.hpp"
#include "base/utf8.hpp"
#include "tensor/convert.hpp"
#include "tokenizer/byte_level.hpp"
#include "tokenizer/openvino/sentencepiece_processor.hpp"
#include "tokenizer/openvino/string_tensors.hpp"

namespace nibble::tokenizer {
namespace {

// What operations may make of a text: normalizers and patterns make it a few times as long, tokens have up to some hundred bytes.
constexpr size_t kGrowth = 64, kBytesPerId = 1024, kAllowance = size_t{1} << 20;

/// Texts as tensors.
std::vector<Tensor> pack(std::span<const std::string> texts) {
  size_t bytes = 0;
  for (const std::string& text : texts) bytes += text.size();
  StringsBuilder builder(bytes);
  for (const std::string& text : texts) builder.add(text);
  std::vector<Tensor> tensors(3);
  builder.store({static_cast<int64_t>(texts.size())}, tensors, 0);
  return tensors;
}

/// A token that is no text, in GPT-2's characters for its bytes.
std::string in_characters(std::string_view bytes) {
  std::string text;
  for (char byte : bytes) append_utf8(text, byte_to_character(static_cast<unsigned char>(byte)));
  return text;
}

/// The end of `text` after what it has in common with `before`.
std::string rest_of(std::string_view text, std::string_view before) {
  size_t common = 0;
  while (common < text.size() && common < before.size() && text[common] == before[common]) ++common;
  while (common > 0 && common < text.size() && is_continuation_byte(text[common])) --common;
  return std::string(text.substr(common));
}

/// Decodes a window of the last tokens with the new ones, and shows what these add to it. Waits while the text ends in an unfinished
/// character.
class IrStream : public DecodeStream {
 public:
  IrStream(const IrCodec& codec, bool skip_special_tokens) : codec_(codec), skips_(skip_special_tokens) {}

  std::string put(int64_t id) override {
    window_.push_back(id);
    const std::string text = codec_.decode(window_, skips_);
    const size_t waiting = window_.size() - shown_;
    if (text.ends_with(kReplacementCharacter) && waiting < kLongestWait) return "";
    return show(text);
  }

  std::string flush() override {
    const std::string text = codec_.decode(window_, skips_);
    std::string rest = rest_of(text, shown_text_);
    window_.clear();
    shown_text_.clear();
    shown_ = 0;
    return rest;
  }

 private:
  static constexpr size_t kLongestWait = 8, kContext = 8;  // tokens: a character has at most four bytes

  /// What was shown stays in the window until later tokens have text of their own, because the first of a text may look different.
  std::string show(const std::string& text) {
    std::string rest = rest_of(text, shown_text_);
    const std::vector<int64_t> fresh(window_.begin() + static_cast<std::ptrdiff_t>(shown_), window_.end());
    const std::string alone = codec_.decode(fresh, skips_);
    if (!alone.empty() && !alone.ends_with(kReplacementCharacter)) {
      window_ = fresh;
      shown_text_ = alone;
    } else {
      shown_text_ = text;
      trim();
    }
    shown_ = window_.size();
    return rest;
  }

  void trim() {
    if (window_.size() <= 2 * kContext) return;
    window_.erase(window_.begin(), window_.end() - kContext);
    shown_text_ = codec_.decode(window_, skips_);
  }

  const IrCodec& codec_;
  bool skips_;
  std::vector<int64_t> window_;
  size_t shown_ = 0;  // tokens of the window
  std::string shown_text_;
};

}  // namespace

IrCodec::IrCodec(Graph tokenizer, const std::string& tokenizer_place, Graph detokenizer, const std::string& detokenizer_place)
    : tokenizer_(std::move(tokenizer), tokenizer_place), detokenizer_(std::move(detokenizer), detokenizer_place) {
  const Graph &encoder = tokenizer_.graph(), &decoder = detokenizer_.graph();
  const std::vector<Node*> inputs = encoder.parameters(), ids = decoder.parameters(), texts = decoder.results();
  const auto is_text = [](const Node* node) { return node->output_info().type == ElementType::string; };
  if (inputs.empty() || !std::all_of(inputs.begin(), inputs.end(), is_text) || encoder.find_result("input_ids") == nullptr)
    fail(ErrorKind::unsupported, "{}: no tokenizer: it must take strings and give input_ids", tokenizer_place);
  if (ids.size() != 1 || !is_integer(ids[0]->output_info().type) || texts.size() != 1 || texts[0]->input(0).type() != ElementType::string)
    fail(ErrorKind::unsupported, "{}: no detokenizer: it must take ids and give strings", detokenizer_place);
  for (Node* node : encoder.of_type("SentencepieceTokenizer")) sentencepiece_ = node;
  find_vocabulary();
}

void IrCodec::find_vocabulary() {
  const Graph& graph = detokenizer_.graph();
  for (Node* node : graph.of_type("VocabDecoder")) read_decoder(*node);
  for (const char* type : {"SentencepieceDetokenizer", "SentencepieceStreamDetokenizer"})
    for (Node* node : graph.of_type(type)) read_sentencepiece(*node);
  for (size_t id = 0; id < tokens_.size(); ++id) {
    if (!tokens_[id].empty()) ids_.emplace(tokens_[id], static_cast<int64_t>(id));
    if (!is_utf8(tokens_[id])) tokens_[id] = in_characters(tokens_[id]);
  }
}

void IrCodec::read_decoder(const Node& node) {
  std::vector<Tensor> constants;
  for (size_t i = 1; i < 4; ++i) constants.push_back(detokenizer_.constant(node.input(i)));
  const StringsView tokens(constants);
  tokens_.resize(tokens.size());
  for (size_t id = 0; id < tokens.size(); ++id) tokens_[id] = tokens[id];
  for (int64_t id : node.input_count() == 5 ? to_int64s(detokenizer_.constant(node.input(4))) : node.attributes().get_ints("skip_tokens"))
    special_.insert(id);
}

void IrCodec::read_sentencepiece(const Node& node) {
  const SentencepieceModel model = parse_sentencepiece(bytes_of(detokenizer_.constant(node.input(0))), "the sentencepiece model");
  for (size_t id = 0; id < model.pieces.size(); ++id) {
    tokens_.push_back(model.pieces[id].text);
    if (model.pieces[id].type == SentencepieceModel::PieceType::control) special_.insert(static_cast<int64_t>(id));
  }
}

std::optional<std::string_view> IrCodec::token(int64_t id) const {
  if (id < 0 || id >= static_cast<int64_t>(tokens_.size()) || tokens_[static_cast<size_t>(id)].empty()) return std::nullopt;
  return tokens_[static_cast<size_t>(id)];
}

std::optional<int64_t> IrCodec::id(std::string_view token) const {
  const auto found = ids_.find(std::string(token));
  return found == ids_.end() ? std::nullopt : std::optional(found->second);
}

/// Before the graph around the sentencepiece operation adds special tokens and padding to them.
std::vector<int64_t> IrCodec::plain_ids(const StringProgram::Values& values) const {
  std::vector<int64_t> ids = to_int64s(values.get({const_cast<Node*>(sentencepiece_), 1}).front());
  if (sentencepiece_->attributes().get_bool("reverse", false)) std::reverse(ids.begin(), ids.end());
  return ids;
}

/// What the attention mask, where there is one, says is no padding.
std::vector<int64_t> IrCodec::unpadded_ids(const StringProgram::Values& values) const {
  const Graph& graph = tokenizer_.graph();
  std::vector<int64_t> ids = to_int64s(values.get(graph.find_result("input_ids")->input(0)).front());
  const Node* masked = graph.find_result("attention_mask");
  if (masked == nullptr) return ids;
  const std::vector<int64_t> mask = to_int64s(values.get(masked->input(0)).front());
  if (mask.size() != ids.size()) fail(ErrorKind::corrupt, "the attention mask has {} elements for {} ids", mask.size(), ids.size());
  std::vector<int64_t> shown;
  for (size_t i = 0; i < ids.size(); ++i)
    if (mask[i] != 0) shown.push_back(ids[i]);
  return shown;
}

Encoding IrCodec::encode(std::string text, const EncodeOptions& options) const {
  return encode_texts(std::span<const std::string>(&text, 1), options);
}

Encoding IrCodec::encode_pair(std::string first, std::string second, const EncodeOptions& options) const {
  if (tokenizer_.graph().parameters().size() < 2)
    fail(ErrorKind::unsupported, "this tokenizer IR was converted for single texts, not for pairs");
  const std::string texts[] = {std::move(first), std::move(second)};
  return encode_texts(texts, options);
}

Encoding IrCodec::encode_texts(std::span<const std::string> texts, const EncodeOptions& options) const {
  if (options.truncation) fail(ErrorKind::unsupported, "a tokenizer IR cuts texts as it was converted to, and not otherwise");
  size_t bytes = kAllowance;
  for (const std::string& text : texts) bytes += kGrowth * text.size();
  const RunOptions run{options.add_special_tokens, bytes};
  StringProgram::Values values;
  const std::vector<Node*> inputs = tokenizer_.graph().parameters();
  for (size_t i = 0; i < inputs.size(); ++i)
    values.set(inputs[i]->output(), pack(i < texts.size() ? texts.subspan(i, 1) : std::span<const std::string>()));
  tokenizer_.run(values, run);
  Encoding encoding;
  encoding.ids = sentencepiece_ != nullptr && !options.add_special_tokens ? plain_ids(values) : unpadded_ids(values);
  return encoding;
}

std::string IrCodec::decode(std::span<const int64_t> ids, bool skip_special_tokens) const {
  Node* input = detokenizer_.graph().parameters().front();
  StringProgram::Values values;
  std::vector<int64_t> known;
  for (int64_t id : ids)
    if (id >= 0 && id < static_cast<int64_t>(tokens_.size())) known.push_back(id);
  const Tensor tensor = Tensor::from<int64_t>({1, static_cast<int64_t>(known.size())}, known);
  values.set(input->output(), {convert(tensor, input->output_info().type)});
  detokenizer_.run(values, {!skip_special_tokens, kBytesPerId * known.size() + kAllowance});
  const StringsView texts(values.get(detokenizer_.graph().results().front()->input(0)));
  if (texts.size() != 1) fail(ErrorKind::corrupt, "the detokenizer gives {} texts for one", texts.size());
  return is_utf8(texts[0]) ? std::string(texts[0]) : sanitize_utf8(texts[0]);
}

std::string IrCodec::decode(std::span<const int64_t>, bool, bool) const {
  fail(ErrorKind::unsupported, "a tokenizer IR cleans spaces up as it was converted to, and not otherwise");
}

std::unique_ptr<DecodeStream> IrCodec::stream(bool skip_special_tokens) const {
  return std::make_unique<IrStream>(*this, skip_special_tokens);
}

}  // namespace nibble::tokenizer
