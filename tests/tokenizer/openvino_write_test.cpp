// Tokenizers written as IR and read again: the ids and texts of the tokenizer itself. What OpenVINO makes of such files is checked in
// tests/interop/check_tokenizers.py.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "base/utf8.hpp"
#include "ir/reader.hpp"
#include "nibble/context.hpp"
#include "nibble/error.hpp"
#include "nibble/tokenizer.hpp"
#include "reference_cases.hpp"
#include "scratch_directory.hpp"
#include "tokenizer/character_map.hpp"
#include "tokenizer/openvino/character_map_writer.hpp"
#include "tokenizer/openvino/ir_codec.hpp"
#include "tokenizer/openvino/tokenizer_graphs.hpp"
#include "tokenizer/unicode.hpp"

namespace nibble::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using Ids = std::vector<int64_t>;

std::vector<json> lines_of(const fs::path& path) {
  std::vector<json> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) lines.push_back(json::parse(line));
  return lines;
}

/// A tokenizer as IR, read again.
class Written {
 public:
  explicit Written(const fs::path& model, const TokenizerIrOptions& options = {}) {
    Context context;
    notes = convert_tokenizer(model, directory_.path(), options, context);
  }
  Tokenizer read() const { return Tokenizer(directory_.path()); }
  Graph graph(const char* name = "openvino_tokenizer.xml") const { return read_ir(directory_ / name); }
  const fs::path& path() const { return directory_.path(); }

  std::vector<std::string> notes;

 private:
  ScratchDirectory directory_;
};

std::string rt_info(const Graph& graph, const char* name) {
  const RtInfo* entry = graph.rt_info().find(name);
  return entry == nullptr ? "" : entry->value;
}

/// The operations for normal forms do not put combining marks in order.
bool has_marks_in_sequence(const std::string& text) {
  bool after_mark = false;
  for (size_t i = 0; i < text.size(); i += code_point_at(text, i).size) {
    const bool mark = tokenizer::is_mark(code_point_at(text, i).value);
    if (mark && after_mark) return true;
    after_mark = mark;
  }
  return false;
}

class WrittenTokenizer : public testing::TestWithParam<const char*> {};

TEST_P(WrittenTokenizer, GivesTheSameIds) {
  const fs::path model = reference_directory() / GetParam();
  const Tokenizer own(model), written = Written(model).read();
  size_t compared = 0;
  for (const json& line : lines_of(model / "cases.jsonl")) {
    const std::string text = line.at("text");
    if (has_marks_in_sequence(text)) continue;
    EXPECT_EQ(written.encode(text).ids, own.encode(text).ids) << line.at("text");
    const EncodeOptions plain{.add_special_tokens = false};
    EXPECT_EQ(written.encode(text, plain).ids, own.encode(text, plain).ids) << line.at("text");
    ++compared;
  }
  EXPECT_GT(compared, 100u);
}

TEST_P(WrittenTokenizer, GivesTheSameTexts) {
  const fs::path model = reference_directory() / GetParam();
  const Tokenizer own(model), written = Written(model).read();
  for (const json& line : lines_of(model / "cases.jsonl")) {
    const Ids ids = line.at("ids");
    for (bool skip : {true, false}) {
      const std::string text = own.decode(ids, skip);
      // Bytes that are no text become U+FFFD in other numbers.
      if (text.find("\xEF\xBF\xBD") != std::string::npos) continue;
      EXPECT_EQ(written.decode(ids, skip), text) << line.at("ids");
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Styles, WrittenTokenizer, testing::Values("gpt2", "llama2", "llama2-nolegacy", "llama3", "mistral-v3", "qwen2"));

std::vector<std::string> piece_names() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(reference_directory() / "pieces")) {
    const std::string name = entry.path().filename().string();
    // The first token of a decoded text may keep its prefix; two of the tokenizers' bytes are no text.
    const bool differs =
        name.starts_with("decoder-wordpiece") || name.starts_with("decoder-byte-fallback") || name.starts_with("decoder-sequence-llama");
    if (name.ends_with(".json") && !differs) names.push_back(name.substr(0, name.size() - 5));
  }
  std::sort(names.begin(), names.end());
  return names;
}

/// The graphs of a tokenizer, run without having been written.
std::unique_ptr<tokenizer::IrCodec> make_codec(const fs::path& file) {
  tokenizer::TokenizerGraphs graphs = tokenizer::build_tokenizer_graphs(tokenizer::read_tokenizer_document(file), {});
  return std::make_unique<tokenizer::IrCodec>(std::move(graphs.tokenizer), "tokenizer", std::move(*graphs.detokenizer), "detokenizer");
}

void compare_piece(const std::string& name, const Tokenizer& own, const tokenizer::IrCodec& written) {
  for (const json& line : lines_of(reference_directory() / "pieces" / (name + ".cases.jsonl"))) {
    if (line.contains("ids") && line.contains("decoded")) {
      const Ids ids = line.at("ids");
      EXPECT_EQ(written.decode(ids, false), own.decode(ids, false)) << name << line;
    }
    const std::string text = line.value("text", "");
    if (text.empty() || has_marks_in_sequence(text)) continue;
    Ids expected;
    try {
      expected = own.encode(text).ids;
    } catch (const Error&) {
      continue;  // a word that the vocabulary lacks, without an unknown token
    }
    EXPECT_EQ(written.encode(text, {}).ids, expected) << name << line.at("text");
  }
}

/// One part of a tokenizer at a time. Those that cannot be written are the ones that the documents name.
TEST(WrittenPieces, GiveTheSameOrAreRefused) {
  std::set<std::string> refused;
  for (const std::string& name : piece_names()) {
    const fs::path file = reference_directory() / "pieces" / (name + ".json");
    try {
      compare_piece(name, Tokenizer(file), *make_codec(file));
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::unsupported) << name << ": " << error.what();
      refused.insert(name);
    }
  }
  EXPECT_EQ(refused, (std::set<std::string>{"decoder-ctc", "decoder-ctc-noclean", "decoder-ctc-other", "model-bpe-prefix-suffix",
                                            "pre_tokenizer-unicode-scripts"}));
}

TEST(ConvertTokenizer, OfAGgufFileGivesItsIds) {
  const fs::path file = reference_directory() / "gguf/llama2.gguf";
  const Tokenizer own(file), written = Written(file).read();
  for (const char* text : {"", "Hello  world", "<s> 灯台 </s>", "\t\n"}) EXPECT_EQ(written.encode(text).ids, own.encode(text).ids) << text;
}

TEST(ConvertTokenizer, OfASentencepieceModelGivesItsIds) {
  ScratchDirectory model;
  for (const char* name : {"tokenizer.model", "tokenizer_config.json"})
    fs::copy_file(reference_directory() / "llama2" / name, model / name);
  const Tokenizer own(model.path()), written = Written(model.path()).read();
  for (const char* text : {"", "Hello  world", "<s> 灯台 </s>", "\t\n", "a\x01z"})
    EXPECT_EQ(written.encode(text).ids, own.encode(text).ids) << text;
}

TEST(ConvertTokenizer, SaysWhatOpenVinoGenAiLooksFor) {
  const Written written(reference_directory() / "llama3");
  const Graph tokenizer = written.graph(), detokenizer = written.graph("openvino_detokenizer.xml");
  EXPECT_EQ(rt_info(tokenizer, "bos_token_id"), "4060");
  EXPECT_EQ(rt_info(detokenizer, "eos_token_id"), "4067");
  EXPECT_NE(rt_info(tokenizer, "openvino_tokenizers_version"), "");
  EXPECT_EQ(json::parse(rt_info(tokenizer, "processed_post_processor_template")),
            json::parse(
                R"({"single": {"ids": [4060, -1], "type_ids": [0, 0]}, "pair": {"ids": [4060, -1, 4060, -2], "type_ids": [0, 0, 1, 1]}})"));
  EXPECT_NE(tokenizer.find_result("input_ids"), nullptr);
  EXPECT_NE(tokenizer.find_result("attention_mask"), nullptr);
  EXPECT_NE(detokenizer.find_result("string_output"), nullptr);
  EXPECT_EQ(tokenizer.of_type("Assign").size(), 1u);
}

TEST(ConvertTokenizer, KeepsTheChatTemplate) {
  ScratchDirectory model;
  fs::copy_file(reference_directory() / "llama3/tokenizer.json", model / "tokenizer.json");
  write_text(model / "chat_template.jinja", "{{ bos_token }}\n\"a\" & <b>\t{{ messages }}");
  const Tokenizer read = Written(model.path()).read();
  EXPECT_EQ(read.chat_template(), "{{ bos_token }}\n\"a\" & <b>\t{{ messages }}");
}

TEST(ConvertTokenizer, CutsTextsToTheirLength) {
  TokenizerIrOptions options;
  options.max_length = 4;
  const fs::path model = reference_directory() / "llama3";
  const Ids whole = Tokenizer(model).encode("one two three four five").ids;
  EXPECT_EQ(Written(model, options).read().encode("one two three four five").ids, Ids(whole.begin(), whole.begin() + 4));
  options.left_padding = true;
  const Ids left = Written(model, options).read().encode("one two three four five").ids;
  EXPECT_EQ(left.front(), whole.front());
  EXPECT_EQ(Ids(left.begin() + 1, left.end()), Ids(whole.end() - 3, whole.end()));
}

TEST(ConvertTokenizer, LeavesTheDetokenizerOutWhenAsked) {
  TokenizerIrOptions options;
  options.detokenizer = false;
  const Written written(reference_directory() / "llama3", options);
  EXPECT_EQ(listing(written.path()), (std::vector<std::string>{"openvino_tokenizer.bin", "openvino_tokenizer.xml"}));
}

TEST(ConvertTokenizer, AddsNoSpecialTokensWhenAsked) {
  TokenizerIrOptions options;
  options.add_special_tokens = false;
  const fs::path model = reference_directory() / "llama3";
  EXPECT_EQ(Written(model, options).read().encode("one").ids, Tokenizer(model).encode("one", {.add_special_tokens = false}).ids);
}

TEST(ConvertTokenizer, RefusesAnUnknownReplaceMode) {
  TokenizerIrOptions options;
  options.utf8_replace_mode = "maybe";
  EXPECT_THROW(Written(reference_directory() / "llama3", options), Error);
}

/// PCRE2 compiles patterns up to a size that thousands of special tokens exceed.
TEST(ConvertTokenizer, ThousandsOfSpecialTokensAreFound) {
  ScratchDirectory model;
  json document = json::parse(file_text(reference_directory() / "gpt2/tokenizer.json"));
  for (int i = 0; i < 6000; ++i)
    document["added_tokens"].push_back(
        {{"id", 10000 + i}, {"content", "<unused" + std::to_string(i) + ">"}, {"normalized", false}, {"special", true}});
  write_text(model / "tokenizer.json", document.dump());
  const Tokenizer own(model.path()), written = Written(model.path()).read();
  const std::string text = "a<unused5999><unused12>b <unused1";
  EXPECT_EQ(written.encode(text).ids, own.encode(text).ids);
}

TEST(CharacterMapWriter, WritesWhatSentencepieceReads) {
  const std::vector<std::pair<std::string, std::string>> entries{{"a", "b"},  {"ab", ""},    {"ä", "ae"},
                                                                 {"ﬁ", "fi"}, {"\xE3", "x"}, {"灯台", "灯"}};
  const tokenizer::CharacterMap map(tokenizer::write_character_map(entries), "test");
  for (const auto& [from, to] : entries) {
    const auto match = map.find_longest(from + "!");
    ASSERT_TRUE(match) << from;
    EXPECT_EQ(match->size, from.size());
    EXPECT_EQ(match->replacement, to);
  }
  EXPECT_FALSE(map.find_longest("b"));
  EXPECT_EQ(map.find_longest("\xE3\x81\x82")->size, 1u);
}

}  // namespace
}  // namespace nibble::test
