#pragma once

#include <array>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tokenizer/model.hpp"

namespace nibble::tokenizer {

/// Remembers the tokens of pieces that were seen before; words repeat. Bounded and thread-safe.
class PieceCache {
 public:
  /// Appends the tokens of `piece`, moved by `offset`; false where it is not known.
  bool find(std::string_view piece, uint32_t offset, std::vector<ModelToken>& tokens);
  /// Remembers tokens that begin at `offset`.
  void insert(std::string_view piece, uint32_t offset, const ModelToken* first, size_t count);

 private:
  // Some 16k pieces of a few dozen bytes: about 2 MB.
  static constexpr size_t kShards = 16, kPiecesPerShard = 1024, kMaxPieceSize = 64;

  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  struct Shard {
    std::mutex mutex;
    std::unordered_map<std::string, std::vector<ModelToken>, Hash, std::equal_to<>> pieces;
  };
  Shard& shard_of(std::string_view piece) { return shards_[Hash()(piece) >> 7 & (kShards - 1)]; }

  std::array<Shard, kShards> shards_;
};

}  // namespace nibble::tokenizer
