#pragma once

#include <array>
#include <optional>
#include <vector>

#include "tokenizer/byte_trie.hpp"
#include "tokenizer/model.hpp"

namespace nibble::tokenizer {

/// sentencepiece's unigram language model (Kudo, arXiv:1804.10959): the most probable sequence of pieces. Thread-safe.
class Unigram : public Model {
 public:
  /// `scores` by id.
  Unigram(Vocabulary vocabulary, std::vector<double> scores, std::optional<uint32_t> unknown, bool byte_fallback);
  void tokenize(std::string_view piece, std::vector<ModelToken>& tokens) const override;
  std::optional<uint32_t> unknown_id() const override { return unknown_; }

 private:
  struct Step {
    uint32_t id = 0;
    double score = 0;
    size_t begin = kUnreached;
  };
  static constexpr size_t kUnreached = ~size_t{0};

  std::vector<Step> best_steps(std::string_view piece) const;
  void add(std::string_view piece, size_t begin, size_t end, std::vector<ModelToken>& tokens) const;

  std::vector<double> scores_;
  std::optional<uint32_t> unknown_;
  double unknown_score_ = 0;
  std::array<std::optional<uint32_t>, 256> bytes_;
  ByteTrie trie_;
};

}  // namespace nibble::tokenizer
