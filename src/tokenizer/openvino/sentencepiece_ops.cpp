#include <algorithm>
#include <array>
#include <map>
#include <optional>

#include "base/fail.hpp"
#include "tensor/convert.hpp"
#include "tokenizer/openvino/sentencepiece_processor.hpp"
#include "tokenizer/openvino/string_op.hpp"
#include "tokenizer/openvino/string_tensors.hpp"
#include "tokenizer/pcre_program.hpp"

namespace nibble::tokenizer {
namespace {

/// Special tokens that are looked for in the text before the model sees it.
class SpecialTokens {
 public:
  SpecialTokens(const StringOpContext& context, size_t first) {
    const std::array<Tensor, 3> tensors{context.constant(first), context.constant(first + 1), context.constant(first + 2)};
    const StringsView tokens(tensors);
    const std::vector<int64_t> ids = to_int64s(context.constant(first + 3));
    if (ids.size() != tokens.size()) fail(ErrorKind::corrupt, "{} ids for {} special tokens", ids.size(), tokens.size());
    std::string pattern;
    for (size_t i = 0; i < tokens.size(); ++i) {
      ids_.emplace(tokens[i], static_cast<int32_t>(ids[i]));
      pattern.append(pattern.empty() ? "" : "|").append(pattern_of(tokens[i]));
    }
    if (!pattern.empty()) program_.emplace(pattern, PcreProgram::Anchors::text, PcreProgram::Input::any);
  }

  /// Calls on_text with what lies between tokens, and on_token with their ids, in order.
  template <class OnText, class OnToken>
  void split(std::string_view text, OnText&& on_text, OnToken&& on_token) const {
    size_t done = 0;
    if (program_) {
      PcreProgram::Matcher matcher(*program_, text);
      while (matcher.find(done) && matcher.bounds()[0] != matcher.bounds()[1]) {
        const size_t begin = matcher.bounds()[0], end = matcher.bounds()[1];
        if (done < begin) on_text(text.substr(done, begin - done));
        if (const auto id = ids_.find(text.substr(begin, end - begin)); id != ids_.end()) on_token(id->second);
        done = end;
      }
    }
    if (done < text.size()) on_text(text.substr(done));
  }

 private:
  /// Tokens of letters alone count at the edge of a word only.
  static std::string pattern_of(std::string_view token) {
    std::string quoted;
    bool letters = true;
    for (char c : token) {
      const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
      letters = letters && letter;
      if (std::string_view(".^$*+?()[]{}|\\").find(c) != std::string_view::npos) quoted.push_back('\\');
      quoted.push_back(c);
    }
    return letters ? "\\b" + quoted + "|" + quoted + "\\b" : quoted;
  }

  std::map<std::string, int32_t, std::less<>> ids_;
  std::optional<PcreProgram> program_;
};

/// Ids as a sparse matrix: places, values, shape.
class SentencepieceTokenizer : public StringOp {
 public:
  explicit SentencepieceTokenizer(const StringOpContext& context)
      : processor_(bytes_of(context.constant(0)), "the sentencepiece model"),
        add_bos_(context.node.attributes().get_bool("add_bos", false)),
        add_eos_(context.node.attributes().get_bool("add_eos", false)),
        reverse_(context.node.attributes().get_bool("reverse", false)) {
    const size_t count = context.node.input_count();
    if (count == 6 || count == 8) special_.emplace(context, count - 4);
    const int64_t samples = context.node.attributes().get_int("nbest_size", 0);
    if (samples != 0 && samples != 1) fail(ErrorKind::unsupported, "draws tokens at random (nbest_size {})", samples);
  }

  void run(std::span<const Tensor> inputs, std::vector<Tensor>& outputs, const RunOptions& options) const override {
    const StringsView texts(inputs, 1);
    std::vector<int64_t> places;
    std::vector<int32_t> values;
    size_t longest = 0;
    for (size_t row = 0; row < texts.size(); ++row) {
      const std::vector<int32_t> ids = encode(texts[row], options.special_tokens);
      for (size_t column = 0; column < ids.size(); ++column)
        places.insert(places.end(), {static_cast<int64_t>(row), static_cast<int64_t>(column)});
      values.insert(values.end(), ids.begin(), ids.end());
      longest = std::max(longest, ids.size());
    }
    outputs[0] = Tensor::from<int64_t>({static_cast<int64_t>(places.size() / 2), 2}, places);
    outputs[1] = to_tensor(values);
    const int64_t shape[] = {static_cast<int64_t>(texts.size()), static_cast<int64_t>(longest)};
    outputs[2] = Tensor::from<int64_t>({2}, shape);
  }

 private:
  std::vector<int32_t> encode(std::string_view text, bool special_tokens) const {
    std::vector<int32_t> ids;
    if (special_) {
      special_->split(
          text, [&](std::string_view part) { processor_.encode(part, ids); }, [&](int32_t id) { ids.push_back(id); });
    } else {
      processor_.encode(text, ids);
      if (add_bos_ && special_tokens) ids.insert(ids.begin(), static_cast<int32_t>(processor_.bos_id()));
    }
    if (add_eos_ && special_tokens) ids.push_back(static_cast<int32_t>(processor_.eos_id()));
    if (reverse_) std::reverse(ids.begin(), ids.end());
    return ids;
  }

  SentencepieceProcessor processor_;
  bool add_bos_, add_eos_, reverse_;
  std::optional<SpecialTokens> special_;
};

class SentencepieceDetokenizer : public StringOp {
 public:
  SentencepieceDetokenizer(const StringOpContext& context, bool spells)
      : processor_(bytes_of(context.constant(0)), "the sentencepiece model"), spells_(spells) {}

  void run(std::span<const Tensor> inputs, std::vector<Tensor>& outputs, const RunOptions& options) const override {
    const auto ids = inputs[1].as<int32_t>();
    if (inputs[1].rank() != 2) fail(ErrorKind::corrupt, "ids must have two dimensions");
    const auto rows = static_cast<size_t>(inputs[1].shape()[0]), columns = static_cast<size_t>(inputs[1].shape()[1]);
    StringsBuilder texts(options.byte_limit);
    for (size_t row = 0; row < rows; ++row) {
      const auto tokens = ids.subspan(row * columns, columns);
      texts.add(spells_ ? processor_.spell(tokens) : processor_.decode(tokens, options.special_tokens));
    }
    texts.store({static_cast<int64_t>(rows)}, outputs, 0);
  }

 private:
  SentencepieceProcessor processor_;
  bool spells_;
};

}  // namespace

StringOpPtr make_sentencepiece_tokenizer(const StringOpContext& context) { return std::make_unique<SentencepieceTokenizer>(context); }

StringOpPtr make_sentencepiece_detokenizer(const StringOpContext& context) {
  return std::make_unique<SentencepieceDetokenizer>(context, context.node.is("SentencepieceStreamDetokenizer"));
}

}  // namespace nibble::tokenizer
