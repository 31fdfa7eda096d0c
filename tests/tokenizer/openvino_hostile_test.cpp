// Tokenizer IRs that are damaged: whatever they hold, there is a result or an Error, in bounded time and memory.
#include <gtest/gtest.h>

#include <random>

#include "nibble/error.hpp"
#include "nibble/tokenizer.hpp"
#include "reference_cases.hpp"
#include "scratch_directory.hpp"

namespace nibble::test {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFiles[] = {"openvino_tokenizer.xml", "openvino_tokenizer.bin", "openvino_detokenizer.xml",
                                  "openvino_detokenizer.bin"};

/// A copy of an IR whose files can be changed.
class ScratchIr {
 public:
  explicit ScratchIr(const std::string& name) {
    for (size_t i = 0; i < 4; ++i) texts_[i] = file_text(reference_directory() / "openvino" / name / kFiles[i]);
    for (size_t i = 0; i < 4; ++i) restore(i);
  }
  const std::string& text(size_t file) const { return texts_[file]; }
  void restore(size_t file) const { write(file, texts_[file]); }
  void write(size_t file, std::string_view text) const {
    fs::remove(directory_ / kFiles[file]);  // the old one may be mapped
    write_text(directory_ / kFiles[file], text);
  }
  void replace(size_t file, const std::string& from, const std::string& to) const {
    std::string text = texts_[file];
    const size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    write(file, text.replace(at, from.size(), to));
  }
  const fs::path& path() const { return directory_.path(); }

 private:
  ScratchDirectory directory_;
  std::string texts_[4];
};

std::string message_of(const fs::path& directory) {
  try {
    const Tokenizer tokenizer(directory);
    tokenizer.decode(tokenizer.encode("Hello there, 123").ids);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

bool mentions(const std::string& message, const std::string& part) { return message.find(part) != std::string::npos; }

TEST(HostileTokenizerIr, UnknownOperationIsNamed) {
  const ScratchIr ir("llama3");
  ir.replace(0, "type=\"RegexSplit\"", "type=\"MagicSplit\"");
  EXPECT_TRUE(mentions(message_of(ir.path()), "MagicSplit"));
}

TEST(HostileTokenizerIr, OperationThatTokenizersDoNotUseIsRefused) {
  const ScratchIr ir("llama3");
  ir.replace(0, "type=\"Subtract\"", "type=\"Power\"");
  EXPECT_TRUE(mentions(message_of(ir.path()), "does not run this operation"));
}

TEST(HostileTokenizerIr, PatternThatDoesNotCompileIsShown) {
  const ScratchIr ir("llama3");
  std::string bin = ir.text(1);
  const size_t at = bin.find("(?i:");
  ASSERT_NE(at, std::string::npos);
  bin[at + 1] = '(';
  ir.write(1, bin);
  const std::string message = message_of(ir.path());
  EXPECT_TRUE(mentions(message, "does not compile") && mentions(message, "RegexSplit")) << message;
}

TEST(HostileTokenizerIr, DetokenizerInPlaceOfTheTokenizerIsRefused) {
  const ScratchIr ir("llama3");
  ir.write(0, ir.text(2));
  ir.write(1, ir.text(3));
  EXPECT_TRUE(mentions(message_of(ir.path()), "no tokenizer"));
}

TEST(HostileTokenizerIr, TruncatedWeightsAreAnError) {
  const ScratchIr ir("llama3");
  ir.write(1, std::string_view(ir.text(1)).substr(0, ir.text(1).size() / 2));
  EXPECT_TRUE(mentions(message_of(ir.path()), "openvino_tokenizer.xml"));
}

class DamagedTokenizerIr : public testing::TestWithParam<const char*> {};

TEST_P(DamagedTokenizerIr, GivesAResultOrAnError) {
  const ScratchIr ir(GetParam());
  std::mt19937 random(17);
  int errors = 0;
  for (int round = 0; round < 150; ++round) {
    const size_t file = random() % 4;
    std::string text = ir.text(file);
    for (unsigned count = 1 + random() % 3; count > 0; --count) {
      const size_t at = random() % text.size(), length = std::min<size_t>(text.size() - at, 1 + random() % 8);
      switch (random() % 3) {
        case 0: text[at] = static_cast<char>(random()); break;
        case 1: text.replace(at, length, text.substr(random() % text.size(), length)); break;
        default: text[at] = static_cast<char>(text[at] ^ 1 << random() % 8);
      }
    }
    ir.write(file, text);
    if (!message_of(ir.path()).empty()) ++errors;
    ir.restore(file);
  }
  EXPECT_GT(errors, 10);
}

INSTANTIATE_TEST_SUITE_P(Files, DamagedTokenizerIr, testing::Values("bert-uncased", "llama3", "pair", "sentencepiece-llama2", "t5"));

}  // namespace
}  // namespace nibble::test
