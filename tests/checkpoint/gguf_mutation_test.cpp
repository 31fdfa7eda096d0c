// GGUF files with random damage: whatever it is, all that is made of them ends in a result or in an Error.
#include <gtest/gtest.h>

#include <random>

#include "base/mapped_file.hpp"
#include "checkpoint/gguf/gguf_files.hpp"
#include "checkpoint/gguf_builder.hpp"
#include "checkpoint/samples.hpp"

namespace nibble {

namespace {

using Random = std::mt19937;
using Builder = samples::GgufBuilder;

size_t below(Random& random, size_t limit) { return std::uniform_int_distribution<size_t>(0, limit - 1)(random); }

uint64_t edge_number(Random& random) {
  constexpr uint64_t kEdges[] = {0,         1,         7, 32, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0xffffffff, 0x100000000, uint64_t{1} << 62,
                                 INT64_MAX, UINT64_MAX};
  return kEdges[below(random, std::size(kEdges))] + below(random, 3) - 1;
}

void damage(Random& random, std::string& text, size_t end) {
  end = std::min(end, text.size());
  if (end == 0) return;
  size_t at = below(random, end), length = std::min(end - at, 1 + below(random, 8));
  switch (below(random, 6)) {
    case 0: text[at] = static_cast<char>(text[at] ^ 1 << below(random, 8)); break;
    case 1: text[at] = static_cast<char>(below(random, 256)); break;
    case 2: text.erase(at, length); break;
    case 3: text.insert(at, text.substr(below(random, end), length)); break;
    case 4: text.replace(at, length, samples::little_endian(edge_number(random), 8), 0, length); break;
    default: text.resize(at); break;
  }
}

/// A model with every part that is read, small enough that most damage hits something.
std::string whole_model() {
  Builder b;
  b.set("general.architecture", "llama").set("llama.block_count", 1u).set("llama.context_length", 64u).set("llama.embedding_length", 32u);
  b.set("llama.feed_forward_length", 32u).set("llama.attention.head_count", 2u).set("llama.attention.layer_norm_rms_epsilon", 1e-5f);
  b.set("llama.rope.freq_base", 500000.0f).set("llama.rope.dimension_count", 16u);
  b.set("tokenizer.ggml.model", "llama").set("tokenizer.ggml.tokens", std::vector<std::string>{"<unk>", "<s>", "</s>", "a", "b", "ab"});
  std::string scores = samples::little_endian(6, 4) + samples::little_endian(6, 8);
  for (int i = 0; i < 6; ++i) scores += Builder::number(static_cast<float>(-i));
  b.value("tokenizer.ggml.scores", Builder::kArray, scores).set("tokenizer.ggml.token_type", std::vector<uint32_t>{2, 3, 3, 1, 1, 1});
  b.set("tokenizer.ggml.bos_token_id", 1u).set("tokenizer.chat_template", "{{ x }}").set("tokenizer.chat_template.tool_use", "{{ y }}");
  std::string q4(18 * 6, '\x3c'), q8(34 * 32, '\x2d'), factors;
  for (float value : {1.0f, 1.0f, 1.2f, 1.9f, 3.0f, 8.0f, 8.0f, 8.0f}) factors += Builder::number(value);
  b.tensor("token_embd.weight", {6, 32}, Builder::kTypeQ4_0, q4).tensor("rope_freqs.weight", {8}, Builder::kTypeF32, factors);
  b.tensor("blk.0.attn_q.weight", {32, 32}, Builder::kTypeQ8_0, q8).tensor("blk.0.exps.weight", {2, 3, 32}, Builder::kTypeQ4_0, q4);
  return b.bytes();
}

void read_all(const std::filesystem::path& path) {
  auto weights = open_gguf(path);
  for (const auto& name : weights->names()) {
    if (element_count(weights->info(name).shape) > 100'000) continue;
    weights->get(name);
    auto matrix = weights->encoded(name);
    if (!matrix || !matrix->grid()) continue;
    auto columns = static_cast<size_t>(matrix->shape().back()), rows = element_count(matrix->shape()) / columns;
    std::vector<uint8_t> codes(columns), zero_points;
    std::vector<float> scales(columns / 32);
    for (size_t row = 0; row < rows; ++row) matrix->read_codes(static_cast<int64_t>(row), codes, scales, zero_points);
  }
  gguf_files(GgufModel(path), true);
}

struct Outcome {
  int opened = 0, refused = 0;
  void count(const std::function<void()>& action) {
    try {
      action();
      ++opened;
    } catch (const Error&) {
      ++refused;
    }
  }
};

}  // namespace

TEST(GgufMutation, DamagedModelsAreReadOrRefused) {
  samples::Directory directory;
  Random random(11);
  std::string whole = whole_model();
  read_all(directory.write("model.gguf", whole));
  Outcome outcome;
  for (int i = 0; i < 12'000; ++i) {
    std::string text = whole;
    for (size_t n = 1 + below(random, 3); n > 0; --n) damage(random, text, i % 3 == 0 ? 200 : 1600);
    outcome.count([&] { read_all(directory.write("model.gguf", text)); });
  }
  EXPECT_GT(outcome.refused, 6'000);
  EXPECT_GT(outcome.opened, 300);
}

TEST(GgufMutation, DamagedTensorDescriptionsAreReadOrRefused) {
  samples::Directory directory;
  Random random(12);
  Outcome outcome;
  for (int i = 0; i < 6'000; ++i) {
    Builder builder;
    for (size_t n = 1 + below(random, 3); n > 0; --n) {
      Shape shape;
      for (size_t rank = below(random, 5); rank > 0; --rank)
        shape.push_back(static_cast<int64_t>(below(random, 4) ? 32 * below(random, 4) : edge_number(random)));
      builder.describe("t" + std::to_string(n), shape, static_cast<uint32_t>(below(random, 42)),
                       below(random, 4) ? 32 * below(random, 8) : edge_number(random));
    }
    outcome.count([&] { read_all(directory.write("model.gguf", builder.bytes() + std::string(below(random, 4096), '\x17'))); });
  }
  EXPECT_GT(outcome.refused, 3'000);
}

}  // namespace nibble
