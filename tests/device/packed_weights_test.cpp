#include "device/cpu/packed_weights.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/mapped_file.hpp"
#include "device/cpu/weight_packing.hpp"
#include "expect_error.hpp"
#include "scratch_directory.hpp"
#include "weight_samples.hpp"

namespace nibble::cpu {
namespace {

using test::expected_weights;
using test::packed_weights;
using test::random_weight;
using test::same_values;
using enum ElementType;

const WeightCacheOptions kNoCache{.directory = "", .model_name = {}, .least_bytes = 0};

/// A request of every kind; some are cut in several slices.
std::vector<PackRequest> some_requests() {
  return {{{random_weight({u4, f16, u4}, 2048, 1024, 128, 1), random_weight({u4, f16, u4}, 250, 1024, 128, 2)}, {}},
          {{random_weight({f4e2m1, f8e4m3}, 40, 64, 16, 3)}, {}},
          {{random_weight({f32}, 300, 700, 0, 4)}, {.to_bf16 = true}},
          {{random_weight({i8, f32}, 33, 100, 0, 5)}, {}},
          {{random_weight({bf16}, 1, 1, 0, 6)}, {}}};
}

std::vector<float> expected_weights(const PackRequest& request) {
  std::vector<float> all;
  for (const WeightMatrix& part : request.parts) {
    std::vector<float> weights = expected_weights(part);
    all.insert(all.end(), weights.begin(), weights.end());
  }
  if (request.options.to_bf16)
    for (float& value : all) value = to_float(to_bfloat16(value));
  return all;
}

TEST(PackedWeights, HoldsEveryRequest) {
  Context context({.threads = 3, .log = {}});
  auto requests = some_requests();
  auto weights = load_packed_weights(requests, kNoCache, context);
  ASSERT_EQ(weights->size(), requests.size());
  for (size_t i = 0; i < requests.size(); ++i)
    EXPECT_TRUE(same_values(packed_weights(weights->matrix(i)), expected_weights(requests[i]))) << i;
}

TEST(PackedWeights, AlignsEverySection) {
  Context context({.threads = 1, .log = {}});
  auto weights = load_packed_weights(some_requests(), kNoCache, context);
  auto aligned = [](const void* section) { return reinterpret_cast<uintptr_t>(section) % 64 == 0; };
  for (size_t i = 0; i < weights->size(); ++i) {
    const PackedMatrix& matrix = weights->matrix(i);
    EXPECT_TRUE(aligned(matrix.codes) && aligned(matrix.scales) && aligned(matrix.zero_points) && aligned(matrix.levels)) << i;
  }
}

TEST(PackedWeights, OutlivesItsRequestsAndContext) {
  std::shared_ptr<const PackedWeights> weights;
  {
    Context context({.threads = 2, .log = {}});
    weights = load_packed_weights(some_requests(), kNoCache, context);
  }
  EXPECT_TRUE(same_values(packed_weights(weights->matrix(3)), expected_weights(some_requests()[3])));
}

TEST(PackedWeights, ReportsWhatItDid) {
  Context context({.threads = 1, .log = {}});
  auto weights = load_packed_weights(some_requests(), kNoCache, context);
  EXPECT_FALSE(weights->report().from_cache);
  EXPECT_EQ(weights->report().reason, "caching is off");
  EXPECT_GT(weights->report().bytes, 2048u * 1024 / 2);
  EXPECT_LT(weights->report().bytes, 2048u * 1024);
}

TEST(PackedWeights, DoNotDependOnTheNumberOfThreads) {
  auto bytes_with = [](int threads) {
    ThreadPool pool(threads);
    auto requests = some_requests();
    WeightPacking packing(requests, pool);
    std::vector<std::byte> memory(packing.layout().bytes());
    packing.pack_into(memory.data());
    return memory;
  };
  EXPECT_EQ(bytes_with(1), bytes_with(4));
}

TEST(PackedWeights, OfNothingAreEmpty) {
  Context context({.threads = 1, .log = {}});
  EXPECT_EQ(load_packed_weights({}, kNoCache, context)->size(), 0u);
}

TEST(PackedWeights, AreNotCachedWhenTheyAreSmall) {
  test::ScratchDirectory directory;
  Context context({.threads = 1, .log = {}});
  WeightCacheOptions options;
  options.directory = directory.path();
  auto weights = load_packed_weights(some_requests(), options, context);
  EXPECT_EQ(weights->report().reason, "too small to cache");
  EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
}

TEST(PackedWeights, AreNotCachedWhenTheyAreMadeOnDemand) {
  test::ScratchDirectory directory;
  Context context({.threads = 2, .log = {}});
  WeightMatrix weight = random_weight({u4, f16, u4}, 512, 256, 128);
  WeightCacheOptions options{.directory = directory.path(), .model_name = {}, .least_bytes = 0};
  auto weights = load_packed_weights({{{test::made_lazy(weight, 512)}, {}}}, options, context);
  EXPECT_EQ(weights->report().reason, "weights are made on the fly");
  EXPECT_TRUE(same_values(packed_weights(weights->matrix(0)), expected_weights(weight)));
  EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
}

/// Bytes of this range that are resident in this process, by /proc/self/smaps of the mapping that starts with it.
size_t resident_bytes(const std::byte* begin) {
  std::ifstream maps("/proc/self/smaps");
  bool found = false;
  for (std::string line; std::getline(maps, line);) {
    if (line.starts_with(fmt::format("{:x}-", reinterpret_cast<uintptr_t>(begin)))) found = true;
    if (found && line.starts_with("Rss:")) return std::stoul(line.substr(4)) * 1024;
  }
  throw std::runtime_error("no such mapping");
}

TEST(PackedWeights, GiveThePagesOfTheModelBack) {
  test::ScratchDirectory directory;
  constexpr size_t kRows = 4096, kColumns = 2048;
  test::write_text(directory / "model.bin", std::string(kRows * kColumns, '\x11'));
  auto file = MappedFile::open(directory / "model.bin");
  WeightMatrix weight = random_weight({u8}, 1, kColumns, 0);
  weight.rows = kRows;
  weight.codes = Tensor::view(u8, test::shape_of(kRows, kColumns), file->bytes(), file);
  Context context({.threads = 2, .log = {}});
  for (bool cached : {false, true}) {
    WeightCacheOptions options{.directory = cached ? directory.path() : "", .model_name = {}, .least_bytes = 0};
    auto weights = load_packed_weights({{{weight}, {}}}, options, context);
    EXPECT_LT(resident_bytes(file->bytes().data()), kRows * kColumns / 4);
    EXPECT_EQ(packed_weights(weights->matrix(0)), std::vector<float>(kRows * kColumns, 0x11));
  }
}

TEST(PackedWeights, RefuseWhatCannotBePacked) {
  test::ScratchDirectory directory;
  Context context({.threads = 2, .log = {}});
  WeightMatrix weight = random_weight({u4, f16}, 16, 64, 32);
  weight.zero_points = Tensor::scalar<int8_t>(-1);
  for (bool cached : {false, true}) {
    WeightCacheOptions options{.directory = cached ? directory.path() : "", .model_name = {}, .least_bytes = 0};
    EXPECT_TRUE(test::fails(ErrorKind::unsupported, {"zero point"}, [&] { load_packed_weights({{{weight}, {}}}, options, context); }));
  }
  EXPECT_EQ(test::listing(directory.path()), std::vector<std::string>{"weights"});
}

}  // namespace
}  // namespace nibble::cpu
