#include "device/cpu/kv_cache.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>
#include <unordered_map>

#include "base/fail.hpp"
#include "base/memory_block.hpp"

namespace nibble::cpu {

namespace {

// Within a slab the blocks of a layer's head follow each other, so that decoding reads 512 tokens in a row.
constexpr size_t kSlabBlocks = 16;

struct Slab {
  size_t blocks;
  std::shared_ptr<MemoryBlock> memory;
};

struct Sequence {
  std::vector<uint32_t> blocks;
  size_t length = 0, prepared = 0;
};

size_t blocks_of(size_t tokens) { return (tokens + kKvBlock - 1) / kKvBlock; }

}  // namespace

struct KvCache::Impl {
  std::vector<KvLayer> layers;
  KvPrecision precision;
  size_t max_bytes;
  std::vector<KvLayout> layouts;
  std::vector<size_t> layer_offsets;  // in a block
  size_t block_bytes = 0;
  std::vector<Slab> slabs;
  std::vector<uint32_t> users;  // of each block
  std::vector<uint32_t> idle;   // blocks without users, the next one last
  std::unordered_map<SequenceId, Sequence> sequences;

  const Sequence* find(SequenceId id) const {
    auto found = sequences.find(id);
    return found == sequences.end() ? nullptr : &found->second;
  }

  std::byte* part(uint32_t block, size_t layer, size_t head) const {
    const Slab& slab = slabs[block / kSlabBlocks];
    size_t size = layouts[layer].bytes;
    return slab.memory->data() + (layer_offsets[layer] + head * size) * slab.blocks + block % kSlabBlocks * size;
  }

  size_t used_blocks() const { return users.size() - idle.size(); }

  void check_limit(SequenceId id, size_t needed) const {
    size_t limit = max_bytes == 0 ? std::numeric_limits<uint32_t>::max()
                                  : std::min<size_t>(max_bytes / block_bytes, std::numeric_limits<uint32_t>::max());
    if (needed <= limit - used_blocks()) return;
    fail(ErrorKind::exhausted, "KV cache: sequence {} needs {} more bytes, {} of {} are in use: release sequences or raise the limit", id,
         needed * block_bytes, used_blocks() * block_bytes, max_bytes);
  }

  /// Makes at least `needed` blocks idle. Those it adds remain when it fails, which nobody can see.
  void grow(size_t needed) {
    while (idle.size() < needed) {
      size_t count = kSlabBlocks;
      if (max_bytes != 0) count = std::min(count, max_bytes / block_bytes - users.size());
      idle.reserve(users.size() + count);
      users.reserve(users.size() + count);
      slabs.push_back({count, MemoryBlock::allocate(count * block_bytes)});
      for (size_t i = count; i-- > 0;) idle.push_back(static_cast<uint32_t>(users.size() + i));
      users.resize(users.size() + count, 0);
    }
  }

  uint32_t take_idle() {
    uint32_t block = idle.back();
    idle.pop_back();
    users[block] = 1;
    return block;
  }

  void drop(uint32_t block) {
    if (--users[block] == 0) idle.push_back(block);
  }

  /// Keeps the first `count` blocks. The last ones go first, so that they are taken again in order.
  void shorten(Sequence& sequence, size_t count) {
    while (sequence.blocks.size() > count) {
      drop(sequence.blocks.back());
      sequence.blocks.pop_back();
    }
  }

  uint32_t copy(uint32_t from) {
    uint32_t to = take_idle();
    for (size_t layer = 0; layer < layers.size(); ++layer)
      for (size_t head = 0; head < layers[layer].heads; ++head)
        std::memcpy(part(to, layer, head), part(from, layer, head), layouts[layer].bytes);
    drop(from);
    return to;
  }

  void prepare(SequenceId id, size_t count) {
    const Sequence* known = find(id);
    size_t length = known ? known->length : 0, have = known ? known->blocks.size() : 0, total = std::max(blocks_of(length + count), have);
    // Whole blocks are never written again, and only committed tokens are shared: so at most the one block where the new tokens start.
    size_t start = length / kKvBlock;
    bool shared = count > 0 && start < have && users[known->blocks[start]] > 1;
    size_t needed = total - have + (shared ? 1 : 0);
    check_limit(id, needed);
    grow(needed);
    Sequence& sequence = sequences[id];
    sequence.blocks.reserve(total);
    if (shared) sequence.blocks[start] = copy(sequence.blocks[start]);
    while (sequence.blocks.size() < total) sequence.blocks.push_back(take_idle());
    sequence.prepared = std::max(sequence.prepared, count);
  }

  void release(SequenceId id) {
    auto found = sequences.find(id);
    if (found == sequences.end()) return;
    shorten(found->second, 0);
    sequences.erase(found);
  }
};

KvCache::KvCache(std::vector<KvLayer> layers, KvPrecision precision, size_t max_bytes) : impl_(std::make_unique<Impl>()) {
  impl_->layers = std::move(layers);
  impl_->precision = precision;
  impl_->max_bytes = max_bytes;
  for (const KvLayer& layer : impl_->layers) {
    impl_->layouts.push_back(kv_layout(precision, layer.key_dim, layer.value_dim));
    impl_->layer_offsets.push_back(impl_->block_bytes);
    impl_->block_bytes += layer.heads * impl_->layouts.back().bytes;
  }
  if (impl_->block_bytes == 0) fail(ErrorKind::invalid_argument, "KV cache: no layer has a head");
}

KvCache::~KvCache() = default;
KvCache::KvCache(KvCache&&) noexcept = default;
KvCache& KvCache::operator=(KvCache&&) noexcept = default;

const std::vector<KvLayer>& KvCache::layers() const { return impl_->layers; }
KvPrecision KvCache::precision() const { return impl_->precision; }
size_t KvCache::used_bytes() const { return impl_->used_blocks() * impl_->block_bytes; }
const KvLayout& KvCache::layout(size_t layer) const { return impl_->layouts[layer]; }
std::byte* KvCache::part(uint32_t block, size_t layer, size_t head) const { return impl_->part(block, layer, head); }

size_t KvCache::length(SequenceId sequence) const {
  const Sequence* known = impl_->find(sequence);
  return known ? known->length : 0;
}

size_t KvCache::prepared(SequenceId sequence) const {
  const Sequence* known = impl_->find(sequence);
  return known ? known->prepared : 0;
}

std::span<const uint32_t> KvCache::blocks(SequenceId sequence) const {
  const Sequence* known = impl_->find(sequence);
  return known ? std::span<const uint32_t>(known->blocks) : std::span<const uint32_t>();
}

void KvCache::prepare(SequenceId sequence, size_t count) {
  try {
    impl_->prepare(sequence, count);
  } catch (const std::bad_alloc&) {
    fail(ErrorKind::exhausted, "KV cache: no memory for {} more tokens of sequence {}, {} bytes are in use", count, sequence, used_bytes());
  }
}

void KvCache::commit(SequenceId sequence, size_t count) {
  if (count > prepared(sequence))
    fail(ErrorKind::invalid_argument, "KV cache: {} tokens of sequence {} committed, {} were prepared", count, sequence,
         prepared(sequence));
  if (count == 0) return;
  Sequence& known = impl_->sequences[sequence];
  known.length += count;
  known.prepared -= count;
}

void KvCache::fork(SequenceId from, SequenceId to) {
  if (from == to) return;
  Sequence copy;
  if (const Sequence* known = impl_->find(from)) {
    copy.length = known->length;
    copy.blocks.assign(known->blocks.begin(), known->blocks.begin() + static_cast<ptrdiff_t>(blocks_of(known->length)));
  }
  Sequence& target = impl_->sequences[to];
  impl_->shorten(target, 0);
  for (uint32_t block : copy.blocks) ++impl_->users[block];
  target = std::move(copy);
}

void KvCache::truncate(SequenceId sequence, size_t length) {
  auto found = impl_->sequences.find(sequence);
  if (found == impl_->sequences.end()) return;
  found->second.length = std::min(found->second.length, length);
  found->second.prepared = 0;
  impl_->shorten(found->second, blocks_of(found->second.length));
}

void KvCache::release(SequenceId sequence) { impl_->release(sequence); }

}  // namespace nibble::cpu
