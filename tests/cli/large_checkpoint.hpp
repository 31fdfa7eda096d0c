#pragma once

#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "scratch_directory.hpp"

namespace nibble::test {

struct LargeSizes {
  int64_t hidden = 512, inner = 2048;
  int layers = 4;
};

/// A checkpoint of a Llama whose weights are zeros that take no space on disk, or random: exporting it takes its time.
class LargeCheckpoint {
 public:
  enum class Values { zero, random };

  explicit LargeCheckpoint(const LargeSizes& sizes, Values values = Values::zero) : sizes_(sizes) {
    nlohmann::json config{{"model_type", "llama"},
                          {"vocab_size", kVocab},
                          {"hidden_size", sizes.hidden},
                          {"intermediate_size", sizes.inner},
                          {"num_hidden_layers", sizes.layers},
                          {"num_attention_heads", 32},
                          {"num_key_value_heads", 32},
                          {"max_position_embeddings", 128},
                          {"tie_word_embeddings", true}};
    write_text(directory_ / "config.json", config.dump());
    add_tensors();
    write(values);
  }
  std::string path() const { return directory_.path(); }
  std::filesystem::path file() const { return directory_ / "model.safetensors"; }

 private:
  static constexpr int64_t kVocab = 64;

  void add_tensors() {
    add("model.embed_tokens.weight", {kVocab, sizes_.hidden});
    add("model.norm.weight", {sizes_.hidden});
    for (int i = 0; i < sizes_.layers; ++i) {
      std::string layer = "model.layers." + std::to_string(i) + ".";
      for (const char* norm : {"input_layernorm", "post_attention_layernorm"}) add(layer + norm + ".weight", {sizes_.hidden});
      for (const char* name : {"q", "k", "v", "o"}) add(layer + "self_attn." + name + "_proj.weight", {sizes_.hidden, sizes_.hidden});
      for (const char* name : {"gate", "up"}) add(layer + "mlp." + name + "_proj.weight", {sizes_.inner, sizes_.hidden});
      add(layer + "mlp.down_proj.weight", {sizes_.hidden, sizes_.inner});
    }
  }

  void add(const std::string& name, const std::vector<int64_t>& shape) {
    uint64_t begin = end_, bytes = 2;
    for (int64_t dim : shape) bytes *= static_cast<uint64_t>(dim);
    end_ += bytes;
    header_[name] = {{"dtype", "F16"}, {"shape", shape}, {"data_offsets", {begin, end_}}};
  }

  void write(Values values) const {
    std::string header = header_.dump();
    uint64_t size = header.size();
    std::ofstream out(file(), std::ios::binary);
    out.write(reinterpret_cast<const char*>(&size), sizeof size) << header;
    if (values == Values::random) write_random(out);
    out.close();
    std::filesystem::resize_file(file(), sizeof size + header.size() + end_);
  }

  /// Halves of either sign below 1: any bits with a small exponent.
  void write_random(std::ofstream& out) const {
    std::mt19937_64 random(1);
    std::vector<uint64_t> words(end_ / sizeof(uint64_t));
    for (uint64_t& word : words) word = random() & 0xb3ffb3ffb3ffb3ff;
    out.write(reinterpret_cast<const char*>(words.data()), static_cast<std::streamsize>(words.size() * sizeof(uint64_t)));
  }

  LargeSizes sizes_;
  ScratchDirectory directory_;
  nlohmann::json header_;
  uint64_t end_ = 0;
};

}  // namespace nibble::test
