#include "tokenizer/models/piece_cache.hpp"

namespace nibble::tokenizer {

bool PieceCache::find(std::string_view piece, uint32_t offset, std::vector<ModelToken>& tokens) {
  if (piece.size() > kMaxPieceSize) return false;
  Shard& shard = shard_of(piece);
  const std::scoped_lock lock(shard.mutex);
  const auto known = shard.pieces.find(piece);
  if (known == shard.pieces.end()) return false;
  for (const ModelToken& token : known->second) tokens.push_back({token.id, token.begin + offset, token.end + offset});
  return true;
}

void PieceCache::insert(std::string_view piece, uint32_t offset, const ModelToken* first, size_t count) {
  if (piece.size() > kMaxPieceSize) return;
  std::vector<ModelToken> tokens(first, first + count);
  for (ModelToken& token : tokens) {
    token.begin -= offset;
    token.end -= offset;
  }
  Shard& shard = shard_of(piece);
  const std::scoped_lock lock(shard.mutex);
  // Starting afresh is simpler than ageing, and lets the cache follow a change of language.
  if (shard.pieces.size() >= kPiecesPerShard) shard.pieces.clear();
  shard.pieces.emplace(piece, std::move(tokens));
}

}  // namespace nibble::tokenizer
