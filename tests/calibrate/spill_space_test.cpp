#include "calibrate/spill_space.hpp"

#include <gtest/gtest.h>

#include <numeric>
#include <optional>
#include <thread>

#include "base/scratch_mapping.hpp"
#include "calibrate/value_store.hpp"
#include "expect_error.hpp"
#include "graph/graph.hpp"
#include "scratch_directory.hpp"

namespace nibble {

namespace {

Tensor numbered(int64_t count, float first) {
  Tensor tensor(ElementType::f32, {count});
  auto values = tensor.as_mutable<float>();
  std::iota(values.begin(), values.end(), first);
  return tensor;
}

TEST(SpillSpace, KeepsTensorsOnDiskUntilTheLastCopyIsGone) {
  test::ScratchDirectory scratch;
  SpillSpace space(scratch.path());
  std::optional<Tensor> kept = space.keep(numbered(1000, 7));
  EXPECT_TRUE(std::ranges::equal(kept->as<float>(), numbered(1000, 7).as<float>()));
  EXPECT_GE(space.used_bytes(), 4000u);
  Tensor copy = *kept;
  kept.reset();
  EXPECT_GE(space.used_bytes(), 4000u);
  copy = {};
  EXPECT_EQ(space.used_bytes(), 0u);
  EXPECT_TRUE(test::listing(scratch.path()).empty());
}

TEST(SpillSpace, ReusesPlacesOfAnySizeAndOrder) {
  test::ScratchDirectory scratch;
  SpillSpace space(scratch.path());
  std::vector<Tensor> kept(50);
  for (int round = 0; round < 40; ++round)
    for (size_t i = 0; i < kept.size(); ++i) {
      size_t at = (i * 7 + static_cast<size_t>(round)) % kept.size();
      auto count = static_cast<int64_t>(1 + (at * 37 + static_cast<size_t>(round) * 101) % 5000);
      kept[at] = space.keep(numbered(count, static_cast<float>(at)));
    }
  for (size_t i = 0; i < kept.size(); ++i)
    EXPECT_TRUE(std::ranges::equal(kept[i].as<float>(), numbered(kept[i].shape()[0], static_cast<float>(i)).as<float>()));
  kept.clear();
  EXPECT_EQ(space.used_bytes(), 0u);
}

TEST(SpillSpace, TensorsOutliveIt) {
  test::ScratchDirectory scratch;
  Tensor kept = SpillSpace(scratch.path()).keep(numbered(10, 1));
  EXPECT_EQ(kept.as<float>()[9], 10.0f);
}

TEST(SpillSpace, ServesSeveralThreads) {
  test::ScratchDirectory scratch;
  SpillSpace space(scratch.path());
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t)
    threads.emplace_back([&space, t] {
      for (int i = 0; i < 300; ++i) {
        Tensor kept = space.keep(numbered(100 + i, static_cast<float>(t)));
        EXPECT_EQ(kept.as<float>()[0], static_cast<float>(t));
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(space.used_bytes(), 0u);
}

TEST(SpillSpace, SaysWhatToDoWhenThereIsNoRoom) {
  test::ScratchDirectory scratch;
  EXPECT_TRUE(test::fails(ErrorKind::exhausted, {scratch.path().string(), "TMPDIR"},
                          [&] { ScratchMapping::create(scratch.path(), size_t{1} << 60); }));
  EXPECT_TRUE(test::fails(ErrorKind::invalid_argument, {"missing", "TMPDIR"}, [&] { ScratchMapping::create(scratch / "missing", 4096); }));
}

TEST(ValueStore, HoldsInMemoryUpToTheLimitAndTheRestOnDisk) {
  test::ScratchDirectory scratch;
  Graph graph;
  Value value = graph.add_parameter(ElementType::f32, Shape{-1}, "x").output();
  ValueStore store(3, 10'000, scratch.path());
  for (size_t owner = 0; owner < 3; ++owner) store.put(owner, value, numbered(2000, static_cast<float>(owner)));
  EXPECT_EQ(store.memory_bytes(), 8000u);
  EXPECT_GE(store.spilled_bytes(), 16000u);
  for (size_t owner = 0; owner < 3; ++owner) EXPECT_EQ(store.get(owner, value).as<float>()[0], static_cast<float>(owner));
  for (size_t owner = 0; owner < 3; ++owner) store.drop(owner, value);
  EXPECT_EQ(store.memory_bytes(), 0u);
  EXPECT_EQ(store.spilled_bytes(), 0u);
}

}  // namespace
}  // namespace nibble
