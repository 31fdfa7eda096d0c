#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

#include "base/utf8.hpp"
#include "nibble/error.hpp"
#include "nibble/tokenizer.hpp"
#include "reference_cases.hpp"
#include "temporary_directory.hpp"

namespace nibble::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using Random = std::mt19937;

std::string read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream content;
  content << file.rdbuf();
  return content.str();
}

/// The same every time, unless --gtest_shuffle comes with another --gtest_random_seed.
Random seeded(unsigned seed) { return Random(seed + 1000u * static_cast<unsigned>(testing::UnitTest::GetInstance()->random_seed())); }

size_t below(Random& random, size_t limit) { return random() % std::max<size_t>(limit, 1); }

/// Flips, removes, repeats or overwrites a few bytes.
std::string mutate_bytes(std::string bytes, Random& random) {
  for (size_t count = 1 + below(random, 4); count > 0 && !bytes.empty(); --count) {
    const size_t at = below(random, bytes.size()), length = std::min(bytes.size() - at, 1 + below(random, 12));
    switch (random() % 4) {
      case 0: bytes[at] = static_cast<char>(random()); break;
      case 1: bytes.erase(at, length); break;
      case 2: bytes.insert(at, bytes.substr(below(random, bytes.size()), length)); break;
      default: bytes[at] = static_cast<char>(bytes[at] ^ 1 << random() % 8);
    }
  }
  return bytes;
}

json strange_value(Random& random) {
  static const json values = json::parse(
      R"([null, true, false, 0, 1, -1, 1000000000000000000, 1e300, 0.5, 16777216, "", "a", "A", "\u2581", "[", "(a+)+b", "\\p{L}", "</w>",
          [], {}, [1], ["a", 2], [["a", 1]], {"String": ""}, {"Regex": "a*"}, {"Regex": "("}, {"type": "Sequence"}, {"type": "ByteLevel"},
          {"type": "NFKC"}, {"type": "Fuse"}, {"type": "Metaspace", "replacement": "\u2581"}, {"type": "Strip", "content": " ", "start": 9, "stop": 9}])");
  return values[below(random, values.size())];
}

/// A node of `document` chosen by a walk from the root.
json& random_node(json& document, Random& random) {
  json* node = &document;
  while (node->is_structured() && !node->empty() && random() % 5 != 0) {
    auto child = node->begin();
    std::advance(child, static_cast<std::ptrdiff_t>(below(random, node->size())));
    node = &*child;
  }
  return *node;
}

/// Puts a strange value, or another part of the document, in place of a part.
std::string mutate_json(const std::string& text, Random& random) {
  json document = json::parse(text);
  for (size_t count = 1 + below(random, 3); count > 0; --count) {
    json replacement = random() % 3 == 0 ? json(random_node(document, random)) : strange_value(random);
    random_node(document, random) = std::move(replacement);
  }
  return document.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string random_text(Random& random) {
  static const std::vector<std::string> words{"a",
                                              "Hello",
                                              " ",
                                              "  ",
                                              "\n",
                                              "\xE2\x96\x81",
                                              "caf\xC3\xA9",
                                              "e\xCC\x81",
                                              "TOK",
                                              "[CLS]",
                                              "12345",
                                              "\xE4\xBD\xA0\xE5\xA5\xBD",
                                              "\xFF",
                                              "\xE4",
                                              "'",
                                              "<0x41>",
                                              "##",
                                              "</w>",
                                              "\xF0\x9F\x98\x80",
                                              "aab",
                                              ".",
                                              "\xC4\xB0"};
  std::string text;
  for (size_t count = below(random, 12); count > 0; --count) text += words[below(random, words.size())];
  return text;
}

/// Loads what is in `directory` and uses it; only nibble::Error may come out. Returns whether it could be loaded.
bool exercise(const fs::path& directory, Random& random) {
  try {
    const Tokenizer tokenizer(directory);
    for (int round = 0; round < 3; ++round) {
      try {
        const Encoding encoding = tokenizer.encode(random_text(random), {.offsets = true});
        EXPECT_EQ(encoding.ids.size(), encoding.offsets.size());
        std::vector<int64_t> ids = encoding.ids;
        for (int i = 0; i < 8; ++i) ids.push_back(static_cast<int64_t>(random() % 64) - 2);
        EXPECT_TRUE(is_utf8(tokenizer.decode(ids, round == 0)));
        StreamingDetokenizer stream(tokenizer);
        for (int64_t id : ids) EXPECT_TRUE(is_utf8(stream.put(id)));
        stream.flush();
      } catch (const Error&) {
        // refusing a text is an answer
      }
    }
    return true;
  } catch (const Error&) {
    return false;
  }
}

std::vector<std::string> small_tokenizers() {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(reference_directory() / "pieces")) {
    if (entry.path().extension() == ".json" && entry.file_size() < 12000) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  std::vector<std::string> texts;
  for (const fs::path& file : files) texts.push_back(read(file));
  return texts;
}

TEST(MutatedTokenizerJson, LoadsOrFailsWithAnError) {
  const std::vector<std::string> sources = small_tokenizers();
  ASSERT_GT(sources.size(), 50u);
  const TemporaryDirectory directory;
  Random random = seeded(20240607);
  int loaded = 0, refused = 0;
  for (int round = 0; round < 4000; ++round) {
    const std::string& source = sources[below(random, sources.size())];
    directory.write("tokenizer.json", round % 3 == 0 ? mutate_bytes(source, random) : mutate_json(source, random));
    ++(exercise(directory.path(), random) ? loaded : refused);
  }
  EXPECT_GT(loaded, 400);
  EXPECT_GT(refused, 400);
}

std::string field(char key, std::string_view bytes) { return std::string{key, static_cast<char>(bytes.size())}.append(bytes); }

/// A sentencepiece model of a few dozen pieces.
std::string small_model(bool bpe) {
  std::string model;
  const auto add = [&](std::string_view text, char type, char score) {
    // field 1: piece {1: text, 2: score as float, 3: type}
    model += field('\x0A', field('\x0A', text) + std::string{'\x15', 0, 0, score, '\xC0'} + std::string{'\x18', type});
  };
  add("<unk>", 2, 0);
  add("<s>", 3, 0);
  add("</s>", 3, 0);
  char score = 0;
  for (std::string_view text : {"\xE2\x96\x81", "a", "b", "ab",
                                "\xE2\x96\x81"
                                "a",
                                "abab", "H", "e", "l", "o", "ll", "lo"})
    add(text, 1, ++score);
  add("<0x41>", 6, 0);
  add("TOK", 4, 0);
  model += field('\x12', {bpe ? "\x18\x02\x98\x02\x01" : "\x18\x01\x98\x02\x01", 5});  // trainer: model_type, byte_fallback
  return model + field('\x1A', {"\x18\x01\x20\x01", 4});                               // normalizer: dummy prefix, fewer spaces
}

TEST(MutatedTokenizerModel, LoadsOrFailsWithAnError) {
  const TemporaryDirectory directory;
  Random random = seeded(77);
  int loaded = 0, refused = 0;
  for (bool bpe : {false, true}) {
    directory.write("tokenizer.model", small_model(bpe));
    ASSERT_TRUE(exercise(directory.path(), random));
  }
  for (int round = 0; round < 4000; ++round) {
    directory.write("tokenizer.model", mutate_bytes(small_model(round % 2 == 0), random));
    ++(exercise(directory.path(), random) ? loaded : refused);
  }
  EXPECT_GT(loaded, 200);
  EXPECT_GT(refused, 400);
}

TEST(MutatedTokenizerConfig, LoadsOrFailsWithAnError) {
  const TemporaryDirectory directory;
  fs::copy(reference_directory() / "pieces/added-ns.json", directory.path() / "tokenizer.json");
  const std::string config = R"({"bos_token": {"content": "a"}, "eos_token": "b", "chat_template": [{"name": "default", "template": "x"}],
    "added_tokens_decoder": {"13": {"content": "TOK", "special": true, "lstrip": true}, "20": {"content": "[CLS]", "rstrip": true}},
    "clean_up_tokenization_spaces": true, "model_max_length": 512, "legacy": false, "tokenizer_class": "WhisperTokenizer"})";
  Random random = seeded(3);
  int loaded = 0, refused = 0;
  for (int round = 0; round < 1000; ++round) {
    directory.write("tokenizer_config.json", round % 3 == 0 ? mutate_bytes(config, random) : mutate_json(config, random));
    ++(exercise(directory.path(), random) ? loaded : refused);
  }
  EXPECT_GT(loaded, 100);
  EXPECT_GT(refused, 100);
}

TEST(MutatedText, EncodesAndDecodesToValidText) {
  Random random = seeded(99);
  for (const char* style : {"llama2", "qwen2", "mistral-v3"}) {
    const Tokenizer tokenizer(reference_directory() / style);
    for (int round = 0; round < 700; ++round) {
      const std::string text = mutate_bytes(random_text(random) + random_text(random), random);
      const Encoding encoding = tokenizer.encode(text, {.offsets = true});
      const size_t length = count_code_points(sanitize_utf8(text));
      for (const auto& [begin, end] : encoding.offsets) {
        ASSERT_LE(begin, end);
        ASSERT_LE(end, length);
      }
      ASSERT_TRUE(is_utf8(tokenizer.decode(encoding.ids)));
    }
  }
}

}  // namespace
}  // namespace nibble::test
