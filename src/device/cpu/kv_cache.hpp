#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "device/cpu/kernels/kv_block.hpp"
#include "device/model_runner.hpp"

namespace nibble::cpu {

/// Heads of keys and values of one layer, and their dimensions.
struct KvLayer {
  size_t heads = 0, key_dim = 0, value_dim = 0;
};

/// Keys and values of many sequences, in blocks of kKvBlock tokens that several sequences may share (forked ones, until one of them
/// writes). A block holds its tokens for all layers. Memory grows by a few blocks at a time; blocks no longer used serve again. Not
/// thread-safe; parts of different blocks or heads may be read and written concurrently between two calls of prepare().
class KvCache {
 public:
  /// Throws Error{exhausted} from prepare() beyond `max_bytes` (0: no limit).
  KvCache(std::vector<KvLayer> layers, KvPrecision precision, size_t max_bytes = 0);
  ~KvCache();
  KvCache(KvCache&&) noexcept;
  KvCache& operator=(KvCache&&) noexcept;

  const std::vector<KvLayer>& layers() const;
  KvPrecision precision() const;
  /// Committed tokens; 0 for an unknown sequence.
  size_t length(SequenceId sequence) const;
  /// Tokens for which there is room after the committed ones.
  size_t prepared(SequenceId sequence) const;
  /// Makes room for `count` tokens after the committed ones: new blocks, and copies of shared ones. On an Error nothing has changed.
  void prepare(SequenceId sequence, size_t count);
  /// Makes `count` prepared tokens part of the sequence.
  void commit(SequenceId sequence, size_t count);
  /// `to` (released first if known) becomes a copy of the committed tokens of `from`; the blocks are shared.
  void fork(SequenceId from, SequenceId to);
  /// Drops all but the first `length` tokens, and what was prepared.
  void truncate(SequenceId sequence, size_t length);
  void release(SequenceId sequence);
  /// Of the blocks in use; one that several sequences share counts once.
  size_t used_bytes() const;

  /// Of every block of this layer's heads.
  const KvLayout& layout(size_t layer) const;
  /// Blocks of the committed and prepared tokens, in order; empty for an unknown sequence. Valid until the sequence changes.
  std::span<const uint32_t> blocks(SequenceId sequence) const;
  /// Keys and values of one head for the tokens of a block.
  std::byte* part(uint32_t block, size_t layer, size_t head) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace nibble::cpu
