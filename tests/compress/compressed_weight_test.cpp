#include "compress/compressed_weight.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <numeric>
#include <random>
#include <set>
#include <thread>

#include "compress/sensitivity.hpp"
#include "fixture.hpp"
#include "nibble/error.hpp"

namespace nibble {
namespace {

using Mode = CompressWeightsMode;

Tensor random_weight(Shape shape, unsigned seed = 1) {
  Tensor weight(ElementType::f32, std::move(shape));
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 1);
  for (float& value : weight.as_mutable<float>()) value = normal(random);
  return weight;
}

/// A weight that exists in slices only; counts what it was asked for.
class LazyWeight final : public ConstantSource {
 public:
  LazyWeight(Tensor tensor, int64_t rows) : tensor_(std::move(tensor)), rows_(rows) {}
  size_t output_count() const override { return 2; }
  ElementType type(size_t output) const override { return output ? ElementType::f32 : ElementType::u8; }
  const Shape& shape(size_t output) const override { return output ? tensor_.shape() : extra_; }
  int64_t rows() const override { return rows_; }
  void produce(int64_t begin, int64_t end, std::span<const std::span<std::byte>> out) const override {
    EXPECT_EQ(begin % 8, 0);
    EXPECT_TRUE(end % 8 == 0 || end == rows_);
    size_t row = tensor_.byte_size() / static_cast<size_t>(rows_);
    auto bytes = tensor_.bytes().subspan(static_cast<size_t>(begin) * row, static_cast<size_t>(end - begin) * row);
    ASSERT_EQ(out[1].size(), bytes.size());
    std::copy(bytes.begin(), bytes.end(), out[1].begin());
    produced_rows += end - begin;
  }
  mutable int64_t produced_rows = 0;

 private:
  Tensor tensor_;
  int64_t rows_;
  Shape extra_{rows_};
};

std::shared_ptr<WeightTask> make_task(ConstantValue weight, std::vector<size_t> axes, Mode mode, int64_t group_size) {
  auto task = std::make_shared<WeightTask>();
  task->weight = std::move(weight);
  task->layout = weight_layout(task->weight.shape(), axes, group_size, "w");
  task->rule.mode = mode;
  task->rule.group_size = task->layout.group_size();
  if (weight_format(mode).family == QuantizerFamily::levels) task->rule.levels = &standard_levels(mode);
  return task;
}

std::shared_ptr<const CompressedWeight> compress(std::shared_ptr<WeightTask> task) {
  std::shared_ptr<const SecondOrderScale> second;
  if (task->rule.mode == Mode::nvfp4) second = std::make_shared<SecondOrderScale>(task);
  return std::make_shared<const CompressedWeight>(task, second);
}

struct Case {
  Shape shape;
  std::vector<size_t> axes;
  Mode mode;
  int64_t group_size;
  int64_t rows;  // of the lazy original

  friend void PrintTo(const Case& c, std::ostream* out) {
    *out << to_string(c.mode) << " " << to_string(c.shape) << " group " << c.group_size << " rows " << c.rows;
  }
};

class Sliced : public testing::TestWithParam<Case> {};

TEST_P(Sliced, SlicesAndLazyOriginalsGiveTheSameBytes) {
  const Case& test = GetParam();
  Tensor weight = random_weight(test.shape);
  auto whole = test::produce_in_slices(*compress(make_task(weight, test.axes, test.mode, test.group_size)), int64_t{1} << 40);
  EXPECT_EQ(test::produce_in_slices(*compress(make_task(weight, test.axes, test.mode, test.group_size)), 8), whole);
  auto lazy = std::make_shared<LazyWeight>(weight, test.rows);
  auto compressed = compress(make_task({lazy, 1}, test.axes, test.mode, test.group_size));
  EXPECT_EQ(test::produce_in_slices(*compressed, 8), whole);
  // Each row is asked for once, but for the pass over everything that nvfp4 makes.
  EXPECT_EQ(lazy->produced_rows, test.rows * (test.mode == Mode::nvfp4 ? 2 : 1));
}

INSTANTIATE_TEST_SUITE_P(Layouts, Sliced,
                         testing::Values(Case{{37, 64}, {1}, Mode::int4_sym, 16, 37},            // [O, C], groups
                                         Case{{37, 33}, {1}, Mode::int4_asym, -1, 37},           // odd rows: nibbles shared between rows
                                         Case{{37, 33}, {1}, Mode::int3_sym, -1, 37},            // codes of three bits
                                         Case{{24, 48}, {1}, Mode::int4_asym, 16, 3},            // a lazy original in thick rows
                                         Case{{24, 48}, {1}, Mode::int4_asym, 16, 1},            // and in one piece
                                         Case{{24, 48}, {1}, Mode::int8_asym, -1, 48},           // and in thin rows
                                         Case{{64, 37}, {0}, Mode::int4_asym, 16, 64},           // [C, O], groups, odd columns
                                         Case{{64, 101}, {0}, Mode::int4_sym, -1, 64},           // [C, O], a scale per column
                                         Case{{3, 32, 5}, {1}, Mode::int4_asym, 8, 3},           // experts [E, C, O]
                                         Case{{3, 5, 32}, {2}, Mode::nf4, 8, 3},                 // experts [E, O, C]
                                         Case{{4, 6, 3, 3}, {0, 2, 3}, Mode::int8_asym, -1, 4},  // transposed convolution
                                         Case{{37, 64}, {1}, Mode::nvfp4, 16, 37}));

/// A weight whose rows are made by several threads at once, or not at all.
class SharedWeight final : public ConstantSource {
 public:
  SharedWeight(Tensor tensor, size_t threads) : tensor_(std::move(tensor)), threads_(threads) {}
  size_t output_count() const override { return 1; }
  ElementType type(size_t) const override { return ElementType::f32; }
  const Shape& shape(size_t) const override { return tensor_.shape(); }
  int64_t rows() const override { return tensor_.shape()[0]; }
  void produce(int64_t begin, int64_t end, std::span<const std::span<std::byte>> out) const override {
    wait_for_others();
    size_t row = tensor_.byte_size() / static_cast<size_t>(rows());
    auto bytes = tensor_.bytes().subspan(static_cast<size_t>(begin) * row, static_cast<size_t>(end - begin) * row);
    std::copy(bytes.begin(), bytes.end(), out[0].begin());
  }

 private:
  void wait_for_others() const {
    std::unique_lock lock(mutex_);
    seen_.insert(std::this_thread::get_id());
    came_.notify_all();
    if (!came_.wait_for(lock, std::chrono::seconds(20), [&] { return seen_.size() >= threads_; }))
      throw Error(ErrorKind::cancelled, "no other thread came");
  }

  Tensor tensor_;
  size_t threads_;
  mutable std::mutex mutex_;
  mutable std::condition_variable came_;
  mutable std::set<std::thread::id> seen_;
};

TEST(SecondOrderScale, ThreadsThatNeedItMakeItTogether) {
  Tensor weight = random_weight({4096, 1024});  // in four parts
  float expected = SecondOrderScale(make_task(weight, {1}, Mode::nvfp4, 16)).value();
  auto shared = std::make_shared<SharedWeight>(weight, 3);
  SecondOrderScale scale(make_task({shared, 0}, {1}, Mode::nvfp4, 16));
  ThreadPool threads(3);
  std::vector<float> values(3);
  threads.parallel_for(values.size(), 1, [&](size_t begin, size_t) { values[begin] = scale.value(); });
  EXPECT_EQ(values, std::vector<float>(3, expected));
}

TEST(SecondOrderScale, WhatAPartThrowsReachesEveryoneWhoAsks) {
  class Broken final : public ConstantSource {
   public:
    size_t output_count() const override { return 1; }
    ElementType type(size_t) const override { return ElementType::f32; }
    const Shape& shape(size_t) const override { return shape_; }
    int64_t rows() const override { return shape_[0]; }
    void produce(int64_t, int64_t, std::span<const std::span<std::byte>>) const override { throw Error(ErrorKind::corrupt, "torn"); }

   private:
    Shape shape_{4096, 1024};
  };
  SecondOrderScale scale(make_task({std::make_shared<Broken>(), 0}, {1}, Mode::nvfp4, 16));
  ThreadPool threads(2);
  std::atomic<int> thrown = 0;
  threads.parallel_for(3, 1, [&](size_t, size_t) {
    try {
      scale.value();
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::corrupt) ++thrown;
    }
  });
  EXPECT_EQ(thrown, 3);
}

TEST(WeightLayout, TransposedConvolutionGathersScatteredChannels) {
  Tensor weight = random_weight({4, 6, 3, 3});
  auto bytes = test::produce_in_slices(*compress(make_task(weight, {0, 2, 3}, Mode::int8_sym, -1)), 8);
  auto values = weight.as<float>();
  for (size_t channel = 0; channel < 6; ++channel) {
    std::vector<float> row;
    for (size_t i = 0; i < 4; ++i) row.insert(row.end(), &values[(i * 6 + channel) * 9], &values[(i * 6 + channel) * 9] + 9);
    std::vector<uint8_t> codes(row.size());
    float scale = 0;
    quantize_groups(row, {.mode = Mode::int8_sym, .group_size = row.size()}, {codes, {&scale, 1}, {}});
    for (size_t i = 0; i < 36; ++i)
      ASSERT_EQ(std::to_integer<uint8_t>(bytes[0][(i / 9 * 6 + channel) * 9 + i % 9]), codes[i]) << channel << ", " << i;
  }
}

TEST(WeightLayout, RefusesWhatCannotBeGrouped) {
  auto kind = [](Shape shape, std::vector<size_t> axes, int64_t group_size) {
    try {
      weight_layout(shape, axes, group_size, "w");
    } catch (const Error& error) {
      return error.kind();
    }
    return ErrorKind::cancelled;
  };
  EXPECT_EQ(kind({8, 4, 3, 3}, {1, 2, 3}, 4), ErrorKind::unsupported);
  EXPECT_EQ(kind({8, 2, 2, 2, 2}, {0, 2, 4}, -1), ErrorKind::unsupported);
  EXPECT_EQ(kind({8, 50}, {1}, 32), ErrorKind::invalid_argument);
  EXPECT_EQ(kind({8, 50}, {1}, 0), ErrorKind::invalid_argument);
}

TEST(Sensitivity, IsThatOfNncf) {
  // Scores of NNCF 3.4.0's weight_quantization_error for these weights.
  nlohmann::json expected = test::read_json("sensitivity.json");
  ThreadPool threads(2);
  for (const auto& [name, score] : expected.items()) {
    Tensor weight = test::fixture_weights().get(name);
    EXPECT_NEAR(weight_sensitivity(weight, {1}, threads), score.get<double>(), score.get<double>() * 1e-5) << name;
    if (weight.type() != ElementType::f32) continue;
    auto lazy = std::make_shared<LazyWeight>(weight, weight.shape()[0]);
    EXPECT_EQ(weight_sensitivity(ConstantValue(lazy, 1), {1}, threads), weight_sensitivity(weight, {1}, threads)) << name;
  }
}

}  // namespace
}  // namespace nibble
