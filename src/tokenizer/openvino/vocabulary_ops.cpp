#include "base/fail.hpp"
#include "tensor/convert.hpp"
#include "tokenizer/openvino/string_op.hpp"
#include "tokenizer/openvino/string_tensors.hpp"
#include "tokenizer/vocabulary.hpp"

namespace nibble::tokenizer {
namespace {

/// An id for each string, and one for all that the vocabulary lacks.
class VocabEncoder : public StringOp {
 public:
  explicit VocabEncoder(const StringOpContext& context) : type_(context.constant(6).type()), other_(one_integer(context.constant(7))) {
    const std::vector<std::string> tokens = string_constants(context, 3);
    const std::vector<int64_t> ids = to_int64s(context.constant(6));
    if (ids.size() != tokens.size()) fail(ErrorKind::corrupt, "{} ids for {} tokens", ids.size(), tokens.size());
    for (size_t i = 0; i < tokens.size(); ++i)
      if (!places_.find(tokens[i])) places_.insert(tokens[i], static_cast<uint32_t>(i));
    ids_ = ids;
  }

  void run(std::span<const Tensor> inputs, std::vector<Tensor>& outputs, const RunOptions&) const override {
    const StringsView strings(inputs);
    std::vector<int64_t> ids;
    for (size_t i = 0; i < strings.size(); ++i) {
      const auto place = places_.find(strings[i]);
      ids.push_back(place ? ids_[*place] : other_);
    }
    outputs[0] = convert(Tensor::from<int64_t>({static_cast<int64_t>(ids.size())}, ids), type_);
  }

 private:
  ElementType type_;
  int64_t other_;
  Vocabulary places_;
  std::vector<int64_t> ids_;
};

/// The strings of ids; those to skip and those outside the vocabulary are empty.
class VocabDecoder : public StringOp {
 public:
  explicit VocabDecoder(const StringOpContext& context) : tokens_(string_constants(context, 1)) {
    skipped_.resize(tokens_.size());
    const std::vector<int64_t> skipped =
        context.node.input_count() == 5 ? to_int64s(context.constant(4)) : context.node.attributes().get_ints("skip_tokens");
    for (int64_t id : skipped)
      if (id >= 0 && id < static_cast<int64_t>(skipped_.size())) skipped_[static_cast<size_t>(id)] = true;
  }

  void run(std::span<const Tensor> inputs, std::vector<Tensor>& outputs, const RunOptions& options) const override {
    const auto ids = inputs[0].as<int32_t>();
    if (inputs[0].rank() != 2) fail(ErrorKind::corrupt, "ids must have two dimensions");
    const auto rows = static_cast<size_t>(inputs[0].shape()[0]), columns = static_cast<size_t>(inputs[0].shape()[1]);
    ListsBuilder lists;
    StringsBuilder strings(options.byte_limit);
    for (size_t row = 0; row < rows; ++row) {
      for (size_t column = 0; column < columns; ++column) strings.add(shown(ids[row * columns + column], options));
      if (columns == 0) strings.add("");
      lists.end_list(strings.size());
    }
    lists.store({static_cast<int64_t>(rows)}, outputs, 0);
    strings.store({static_cast<int64_t>(strings.size())}, outputs, 2);
  }

 private:
  std::string_view shown(int32_t id, const RunOptions& options) const {
    if (id < 0 || static_cast<size_t>(id) >= tokens_.size()) return "";
    const auto index = static_cast<size_t>(id);
    return skipped_[index] && !options.special_tokens ? std::string_view() : tokens_[index];
  }

  std::vector<std::string> tokens_;
  std::vector<bool> skipped_;
};

}  // namespace

StringOpPtr make_vocab_encoder(const StringOpContext& context) { return std::make_unique<VocabEncoder>(context); }
StringOpPtr make_vocab_decoder(const StringOpContext& context) { return std::make_unique<VocabDecoder>(context); }

}  // namespace nibble::tokenizer
