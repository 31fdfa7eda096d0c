#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "nibble/error.hpp"
#include "nibble/tokenizer.hpp"
#include "reference_cases.hpp"
#include "tokenizer/models/bpe.hpp"

namespace nibble::tokenizer {
namespace {

/// Merges the textbook way: the best pair of the whole word, again and again.
void merge_plainly(std::vector<Symbol>& symbols, const MergeTable& merges) {
  for (;;) {
    const Merge* best = nullptr;
    size_t place = 0;
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      const Merge* merge = merges.find(symbols[i].id, symbols[i + 1].id);
      if (merge != nullptr && (best == nullptr || merge->rank < best->rank)) {
        best = merge;
        place = i;
      }
    }
    if (best == nullptr) return;
    symbols[place] = {best->id, symbols[place].size + symbols[place + 1].size};
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(place) + 1);
  }
}

/// Random strings of two letters as tokens, all their cuts as merges: ids are spellings, so no merge contradicts another.
MergeTable random_merges(std::mt19937& random, bool equal_ranks) {
  MergeTable merges;
  const auto id_of = [](const std::string& text) {
    uint32_t id = 1;
    for (char c : text) id = 2 * id + (c == 'b');
    return id;
  };
  for (uint32_t rank = 0; rank < 60; ++rank) {
    std::string token;
    for (size_t length = 2 + random() % 5; length > 0; --length) token.push_back(random() % 2 == 0 ? 'a' : 'b');
    for (size_t cut = 1; cut < token.size(); ++cut) {
      merges.insert(id_of(token.substr(0, cut)), id_of(token.substr(cut)), {equal_ranks ? rank / 8 : rank, id_of(token)});
    }
  }
  return merges;
}

std::vector<uint32_t> ids_of(const std::vector<Symbol>& symbols) {
  std::vector<uint32_t> ids;
  for (const Symbol& symbol : symbols) ids.push_back(symbol.id);
  return ids;
}

TEST(MergeSymbols, IsTheTextbookAlgorithmAtAnyLength) {
  std::mt19937 random(5);
  for (int round = 0; round < 300; ++round) {
    const MergeTable merges = random_merges(random, round % 2 == 0);
    std::vector<Symbol> symbols(1 + random() % 120);
    for (Symbol& symbol : symbols) symbol = {2 + static_cast<uint32_t>(random() % 2), 1};
    std::vector<Symbol> expected = symbols;
    merge_plainly(expected, merges);
    merge_symbols(symbols, merges);
    ASSERT_EQ(ids_of(symbols), ids_of(expected)) << "round " << round;
  }
}

TEST(MergeTable, LaterMergesOfAPairCount) {
  MergeTable merges;
  merges.insert(1, 2, {0, 3});
  merges.insert(1, 2, {7, 4});
  ASSERT_NE(merges.find(1, 2), nullptr);
  EXPECT_EQ(merges.find(1, 2)->id, 4u);
  EXPECT_EQ(merges.find(2, 1), nullptr);
}

TEST(Tokenizer, EncodesTheSameFromManyThreads) {
  const nibble::Tokenizer tokenizer(test::reference_directory() / "llama3");
  const std::string text = "The quick brown fox, 12345 times: \xE4\xBD\xA0\xE5\xA5\xBD!\n\n  def f(x): return x";
  const auto expected = tokenizer.encode(text).ids;
  std::vector<std::thread> threads;
  std::vector<int> wrong(4, 0);
  for (int& mistakes : wrong) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i)
        mistakes += tokenizer.encode(text.substr(0, text.size() - static_cast<size_t>(i % 3))).ids.front() != expected.front();
      mistakes += tokenizer.encode(text).ids != expected;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

TEST(Tokenizer, LongTextsAreTheirPartsOneAfterAnother) {
  const nibble::Tokenizer tokenizer(test::reference_directory() / "llama2");
  const std::string sentence = " the model counts tokens";
  const auto once = tokenizer.encode(sentence.substr(1), {.add_special_tokens = false}).ids;
  std::string text = sentence.substr(1);
  for (int i = 1; i < 5000; ++i) text += sentence;
  const auto ids = tokenizer.encode(text, {.add_special_tokens = false}).ids;
  ASSERT_EQ(ids.size(), 5000 * once.size());
  for (size_t i = 0; i < ids.size(); ++i) ASSERT_EQ(ids[i], once[i % once.size()]);
}

}  // namespace
}  // namespace nibble::tokenizer
