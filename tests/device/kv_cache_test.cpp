#include "device/cpu/kv_cache.hpp"

#include <cstring>
#include <set>

#include "expect_error.hpp"

namespace nibble::cpu {
namespace {

const std::vector<KvLayer> kLayers{{2, 16, 16}, {1, 24, 8}};

size_t block_bytes(const KvCache& cache) { return 2 * cache.layout(0).bytes + cache.layout(1).bytes; }

/// Marks a block so that it can be recognized in every layer and head.
void fill(KvCache& cache, uint32_t block, uint8_t value) {
  for (size_t layer = 0; layer < kLayers.size(); ++layer)
    for (size_t head = 0; head < kLayers[layer].heads; ++head)
      std::memset(cache.part(block, layer, head), value, cache.layout(layer).bytes);
}

bool is_filled(const KvCache& cache, uint32_t block, uint8_t value) {
  for (size_t layer = 0; layer < kLayers.size(); ++layer)
    for (size_t head = 0; head < kLayers[layer].heads; ++head)
      for (size_t i = 0; i < cache.layout(layer).bytes; ++i)
        if (cache.part(block, layer, head)[i] != std::byte{value}) return false;
  return true;
}

std::vector<uint32_t> table(const KvCache& cache, SequenceId sequence) {
  auto blocks = cache.blocks(sequence);
  return {blocks.begin(), blocks.end()};
}

void append(KvCache& cache, SequenceId sequence, size_t count) {
  cache.prepare(sequence, count);
  cache.commit(sequence, count);
}

TEST(KvCache, PreparesWholeBlocksAndCommitsTokens) {
  KvCache cache(kLayers, KvPrecision::f16);
  EXPECT_EQ(cache.length(7), 0u);
  EXPECT_TRUE(cache.blocks(7).empty());
  cache.prepare(7, 33);
  EXPECT_EQ(cache.length(7), 0u);
  EXPECT_EQ(cache.prepared(7), 33u);
  EXPECT_EQ(cache.blocks(7).size(), 2u);
  cache.commit(7, 31);
  EXPECT_EQ(cache.length(7), 31u);
  EXPECT_EQ(cache.prepared(7), 2u);
  cache.prepare(7, 33);
  EXPECT_EQ(cache.blocks(7).size(), 2u);
  EXPECT_EQ(cache.used_bytes(), 2 * block_bytes(cache));
}

TEST(KvCache, RefusesToCommitMoreThanPrepared) {
  KvCache cache(kLayers, KvPrecision::f16);
  cache.prepare(7, 3);
  EXPECT_TRUE(test::fails(ErrorKind::invalid_argument, {"4 tokens of sequence 7", "3 were prepared"}, [&] { cache.commit(7, 4); }));
  EXPECT_EQ(cache.length(7), 0u);
}

TEST(KvCache, PartsAreAlignedZeroAndDisjoint) {
  for (KvPrecision precision : {KvPrecision::f32, KvPrecision::f16, KvPrecision::bf16, KvPrecision::u8}) {
    KvCache cache(kLayers, precision);
    append(cache, 1, 20 * kKvBlock);  // more than a slab
    auto blocks = table(cache, 1);
    ASSERT_EQ(std::set<uint32_t>(blocks.begin(), blocks.end()).size(), 20u);
    for (uint32_t block : blocks) {
      EXPECT_TRUE(is_filled(cache, block, 0));
      fill(cache, block, static_cast<uint8_t>(block + 1));
    }
    for (uint32_t block : blocks) EXPECT_TRUE(is_filled(cache, block, static_cast<uint8_t>(block + 1)));
    for (size_t layer = 0; layer < 2; ++layer) EXPECT_EQ(reinterpret_cast<uintptr_t>(cache.part(blocks[19], layer, 0)) % 64, 0u);
  }
}

TEST(KvCache, NeighbouringBlocksOfAHeadFollowEachOther) {
  KvCache cache(kLayers, KvPrecision::u8);
  append(cache, 1, 2 * kKvBlock);
  auto blocks = table(cache, 1);
  EXPECT_EQ(cache.part(blocks[1], 0, 1) - cache.part(blocks[0], 0, 1), static_cast<ptrdiff_t>(cache.layout(0).bytes));
}

TEST(KvCache, ForkSharesBlocksUntilOneWrites) {
  KvCache cache(kLayers, KvPrecision::f32);
  append(cache, 1, 40);
  for (uint32_t block : table(cache, 1)) fill(cache, block, 9);
  cache.fork(1, 2);
  EXPECT_EQ(table(cache, 1), table(cache, 2));
  EXPECT_EQ(cache.length(2), 40u);
  EXPECT_EQ(cache.used_bytes(), 2 * block_bytes(cache));

  cache.prepare(2, 1);  // in the second block
  EXPECT_EQ(cache.blocks(2)[0], cache.blocks(1)[0]);
  ASSERT_NE(cache.blocks(2)[1], cache.blocks(1)[1]);
  EXPECT_TRUE(is_filled(cache, cache.blocks(2)[1], 9));
  fill(cache, cache.blocks(2)[1], 5);
  EXPECT_TRUE(is_filled(cache, cache.blocks(1)[1], 9));
  EXPECT_EQ(cache.used_bytes(), 3 * block_bytes(cache));

  auto own = table(cache, 1);
  cache.prepare(1, 1);  // alone in its last block by now
  EXPECT_EQ(table(cache, 1), own);
}

TEST(KvCache, ForkAtABlockBoundaryCopiesNothing) {
  KvCache cache(kLayers, KvPrecision::f32);
  append(cache, 1, 64);
  cache.fork(1, 2);
  cache.prepare(2, 1);
  EXPECT_EQ(cache.blocks(2).size(), 3u);
  EXPECT_EQ(cache.blocks(2)[1], cache.blocks(1)[1]);
  EXPECT_EQ(cache.used_bytes(), 3 * block_bytes(cache));
}

TEST(KvCache, ForkReplacesAKnownSequence) {
  KvCache cache(kLayers, KvPrecision::f32);
  append(cache, 1, 10);
  append(cache, 2, 100);
  cache.fork(1, 2);
  EXPECT_EQ(cache.length(2), 10u);
  EXPECT_EQ(cache.used_bytes(), block_bytes(cache));
  cache.fork(2, 2);
  EXPECT_EQ(cache.length(2), 10u);
  cache.fork(99, 2);  // an unknown sequence is empty
  EXPECT_EQ(cache.length(2), 0u);
  EXPECT_EQ(cache.used_bytes(), block_bytes(cache));
}

TEST(KvCache, ForkLeavesPreparedTokensBehind) {
  KvCache cache(kLayers, KvPrecision::f32);
  append(cache, 1, 30);
  cache.prepare(1, 10);
  cache.fork(1, 2);
  EXPECT_EQ(cache.blocks(2).size(), 1u);
  EXPECT_EQ(cache.prepared(2), 0u);
  EXPECT_EQ(cache.prepared(1), 10u);
}

TEST(KvCache, TruncateDropsBlocksAndKeepsSharedOnesIntact) {
  KvCache cache(kLayers, KvPrecision::f32);
  append(cache, 1, 100);
  for (uint32_t block : table(cache, 1)) fill(cache, block, 9);
  cache.fork(1, 2);
  cache.truncate(1, 33);
  EXPECT_EQ(cache.length(1), 33u);
  EXPECT_EQ(cache.blocks(1).size(), 2u);
  EXPECT_EQ(cache.length(2), 100u);
  cache.prepare(1, 5);
  EXPECT_NE(cache.blocks(1)[1], cache.blocks(2)[1]);
  fill(cache, cache.blocks(1)[1], 1);
  EXPECT_TRUE(is_filled(cache, cache.blocks(2)[1], 9));
  cache.truncate(2, 200);  // no more than there is
  EXPECT_EQ(cache.length(2), 100u);
  cache.truncate(2, 0);
  EXPECT_EQ(cache.length(2), 0u);
  EXPECT_EQ(cache.used_bytes(), 2 * block_bytes(cache));
  cache.truncate(42, 0);
}

TEST(KvCache, ReleasedBlocksServeAgain) {
  KvCache cache(kLayers, KvPrecision::f32);
  append(cache, 1, 128);
  auto first = table(cache, 1);
  cache.release(1);
  cache.release(1);
  EXPECT_EQ(cache.used_bytes(), 0u);
  EXPECT_EQ(cache.length(1), 0u);
  append(cache, 2, 128);
  EXPECT_EQ(table(cache, 2), first);
}

TEST(KvCache, AFailedPrepareChangesNothing) {
  size_t bytes = block_bytes(KvCache(kLayers, KvPrecision::f32));
  KvCache cache(kLayers, KvPrecision::f32, 20 * bytes + bytes / 2);
  append(cache, 1, 18 * kKvBlock - 5);
  cache.fork(1, 2);
  auto one = table(cache, 1), two = table(cache, 2);
  // A copy of the shared block and two more.
  EXPECT_TRUE(test::fails(ErrorKind::exhausted, {"sequence 2"}, [&] { cache.prepare(2, 5 + 2 * kKvBlock); }));
  EXPECT_TRUE(test::fails(ErrorKind::exhausted, {"sequence 3"}, [&] { cache.prepare(3, 3 * kKvBlock); }));
  EXPECT_EQ(table(cache, 1), one);
  EXPECT_EQ(table(cache, 2), two);
  EXPECT_EQ(cache.prepared(2), 0u);
  EXPECT_EQ(cache.used_bytes(), 18 * bytes);
  cache.prepare(2, 5 + kKvBlock);  // just enough
  EXPECT_EQ(cache.used_bytes(), 20 * bytes);
  EXPECT_TRUE(test::fails(ErrorKind::exhausted, {"sequence 3"}, [&] { cache.prepare(3, 1); }));
  cache.release(2);
  cache.prepare(3, 2 * kKvBlock);
  EXPECT_EQ(cache.used_bytes(), 20 * bytes);
}

TEST(KvCache, RefusesAModelWithoutHeads) {
  EXPECT_TRUE(test::fails(ErrorKind::invalid_argument, {"no layer has a head"}, [] { KvCache({{0, 8, 8}}, KvPrecision::u8); }));
}

}  // namespace
}  // namespace nibble::cpu
