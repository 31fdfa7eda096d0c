#include <set>

#include "base/fail.hpp"
#include "tokenizer/vocabularies/document_parts.hpp"

namespace nibble::tokenizer {
namespace {

using json = nlohmann::json;

/// Relatives of BERT that split as it does.
bool is_known(const std::string& name) {
  static const std::set<std::string_view> names{"",
                                                "BertTokenizer",
                                                "DistilBertTokenizer",
                                                "ElectraTokenizer",
                                                "MobileBertTokenizer",
                                                "LayoutLMTokenizer",
                                                "ConvBertTokenizer",
                                                "SqueezeBertTokenizer",
                                                "RetriBertTokenizer",
                                                "DPRQuestionEncoderTokenizer",
                                                "DPRContextEncoderTokenizer",
                                                "DPRReaderTokenizer"};
  return names.contains(name);
}

}  // namespace

VocabularyDocument read_word_pieces(const std::filesystem::path& vocab_txt, const PlainFiles& files) {
  if (!is_known(files.tokenizer_class()))
    fail(ErrorKind::unsupported, "{}: how a {} reads it is not known without a tokenizer.json (known: BertTokenizer and its relatives)",
         vocab_txt.string(), files.tokenizer_class());
  json vocabulary = json::object();
  const std::vector<std::string> lines = read_lines(vocab_txt);
  for (size_t id = 0; id < lines.size(); ++id) vocabulary[lines[id]] = id;
  const std::string unk = files.token("unk_token", "[UNK]"), cls = files.token("cls_token", "[CLS]"),
                    sep = files.token("sep_token", "[SEP]"), pad = files.token("pad_token", "[PAD]"),
                    mask = files.token("mask_token", "[MASK]");
  const auto strip_accents = files.optional_flag("strip_accents");
  json document;
  document["normalizer"] = {{"type", "BertNormalizer"},
                            {"clean_text", true},
                            {"handle_chinese_chars", files.flag("tokenize_chinese_chars", true)},
                            {"strip_accents", strip_accents ? json(*strip_accents) : json()},
                            {"lowercase", files.flag("do_lower_case", true)}};
  document["pre_tokenizer"] = {{"type", "BertPreTokenizer"}};
  document["post_processor"] =
      template_part({{cls, 0}, {"$A", 0}, {sep, 0}}, {{cls, 0}, {"$A", 0}, {sep, 0}, {"$B", 1}, {sep, 1}}, vocabulary);
  document["decoder"] = {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}};
  document["model"] = {{"type", "WordPiece"},
                       {"unk_token", unk},
                       {"continuing_subword_prefix", "##"},
                       {"max_input_chars_per_word", 100},
                       {"vocab", std::move(vocabulary)}};
  std::vector<std::string> special{unk, sep, pad, cls, mask};
  for (const std::string& text : files.additional_tokens()) special.push_back(text);
  add_tokens(document, special, files, false);
  return {std::move(document), {}, {}, pad, unk};
}

}  // namespace nibble::tokenizer
