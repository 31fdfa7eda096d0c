#include "device/cpu/kernels/attention.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "kv_keys.hpp"
#include "tensor/float_types.hpp"

namespace nibble::cpu {
namespace {

using namespace kv_tests;

/// Scores of queries times keys are in bits.
constexpr float kUnitScale = 0.69314718f;
static_assert(kUnitScale * kLog2E == 1.0f);

/// A task with its memory, which is exactly as large as the contract says.
struct Attend {
  Attend(const Keys& keys, size_t tokens, size_t heads, size_t position, std::vector<float> q)
      : queries(std::move(q)),
        values(tokens * heads * keys.layout.value_lanes, kNan),
        maxima(tokens * heads, kNan),
        sums(tokens * heads, kNan),
        scratch(attention_scratch_bytes(keys.layout, tokens * heads)) {
    task.layout = &keys.layout;
    task.blocks = keys.blocks.data();
    task.key_end = position + tokens;
    task.tokens = tokens;
    task.heads = heads;
    task.position = position;
    task.queries = queries.data();
    task.query_stride = heads * keys.layout.key_dim;
    task.scale = 1 / std::sqrt(static_cast<float>(keys.layout.key_dim));
    task.values = values.data();
    task.maxima = maxima.data();
    task.sums = sums.data();
    task.scratch = scratch.data();
  }
  Attend(const Keys& keys, size_t tokens, size_t heads, size_t position)
      : Attend(keys, tokens, heads, position, random_floats(3, tokens * heads * keys.layout.key_dim)) {}
  std::vector<float> row(size_t r) const {
    std::vector<float> x(task.layout->value_dim);
    for (size_t d = 0; d < x.size(); ++d) x[d] = values[r * task.layout->value_lanes + d] / sums[r];
    return x;
  }
  std::vector<float> queries, values, maxima, sums;
  Bytes scratch;
  AttentionTask task;
};

double alibi(const AttentionTask& task, size_t head, size_t key, size_t query) {
  if (task.slope_unit == 0) return double(task.slopes[head]) * (double(key) - double(query));
  auto rounded = [](float x) { return to_float(to_bfloat16(x)); };
  return double(task.slope_unit) * double(rounded(task.slopes[head] * rounded(float(key))));
}

/// What a row should give, from the keys and values as they are stored.
std::vector<double> expected_row(const Keys& keys, const AttentionTask& task, size_t row) {
  size_t position = task.position + row / task.heads, end = std::min(position + 1, task.key_end);
  size_t begin = std::max(task.key_begin, task.window != 0 && position + 1 > task.window ? position + 1 - task.window : 0);
  std::vector<double> scores;
  for (size_t t = begin; t < end; ++t) {
    const float* query = task.queries + row / task.heads * task.query_stride + row % task.heads * task.layout->key_dim;
    auto key = keys.key(t);
    double score = 0;
    for (size_t d = 0; d < key.size(); ++d) score += double(query[d]) * double(key[d]);
    score *= double(task.scale);
    if (task.softcap != 0) score = double(task.softcap) * std::tanh(score / double(task.softcap));
    if (task.slopes) score += alibi(task, row % task.heads, t, position);
    scores.push_back(score);
  }
  double top = *std::max_element(scores.begin(), scores.end()), total = 0;
  for (double& s : scores) total += s = std::exp(s - top);
  std::vector<double> out(task.layout->value_dim);
  for (size_t t = begin; t < end; ++t) {
    auto value = keys.value(t);
    for (size_t d = 0; d < out.size(); ++d) out[d] += scores[t - begin] / total * double(value[d]);
  }
  return out;
}

void expect_as_computed(const Keys& keys, const Attend& run, double tolerance) {
  double worst = 0;
  for (size_t r = 0; r < run.task.tokens * run.task.heads; ++r) {
    auto row = run.row(r);
    auto expected = expected_row(keys, run.task, r);
    for (size_t d = 0; d < row.size(); ++d) {
      double error = std::abs(double(row[d]) - expected[d]);
      worst = std::isnan(error) ? HUGE_VAL : std::max(worst, error);
    }
  }
  EXPECT_LE(worst, tolerance);
}

struct Variant {
  Isa isa;
  bool bf16, few;
};

class AttentionKernel : public testing::TestWithParam<Variant> {
 protected:
  void attend(const AttentionTask& task) const {
    const AttentionKernels& kernels = attention_kernels(GetParam().isa, GetParam().bf16);
    (GetParam().few ? kernels.few : kernels.many)(task);
  }
  /// Queries and values of size up to about 4. f32 sums of some hundred numbers; u8: queries, keys and weights in products of 16-bit
  /// integers, whose errors of 2^-16 to 2^-12 of the greatest add up over 256 dimensions, or in `few` of 8 bits; bf16: the same, rounded.
  double tolerance(KvPrecision precision) const {
    if (GetParam().bf16) return 0x1p-5;
    if (precision != KvPrecision::u8 || GetParam().isa == Isa::scalar) return 1e-5;
    return GetParam().few && GetParam().isa == Isa::avx512vnni ? 0x1p-7 : 5e-4;
  }
  size_t most_tokens(size_t heads) const { return GetParam().few ? kFewRows / heads : 40; }
};

std::vector<Variant> variants() {
  std::vector<Variant> result;
  for (Isa isa : available_isas()) {
    if (isa != Isa::avx512bf16) result.push_back({isa, false, true});
    if (isa != Isa::scalar) result.push_back({isa, isa == Isa::avx512bf16, false});
  }
  return result;
}

std::string variant_name(const testing::TestParamInfo<Variant>& info) {
  return std::string(to_string(info.param.isa)) + (info.param.few ? "_few" : "_many");
}

INSTANTIATE_TEST_SUITE_P(All, AttentionKernel, testing::ValuesIn(variants()), variant_name);

TEST_P(AttentionKernel, EveryShape) {
  struct {
    size_t key_dim, value_dim, heads;
  } shapes[]{{16, 16, 1},   {24, 24, 2},  {64, 64, 8}, {80, 80, 3},  {96, 96, 5}, {128, 128, 4}, {192, 128, 1},
             {256, 256, 2}, {264, 64, 3}, {1, 1, 1},   {33, 17, 16}, {65, 31, 7}, {40, 100, 13}};
  for (KvPrecision precision : kPrecisions)
    for (const auto& shape : shapes) {
      SCOPED_TRACE(testing::Message() << kNames[static_cast<int>(precision)] << " " << shape.key_dim << "/" << shape.value_dim << " x "
                                      << shape.heads);
      Keys keys = random_keys(precision, shape.key_dim, shape.value_dim, 100);
      Attend run(keys, 1, shape.heads, 99);
      attend(run.task);
      expect_as_computed(keys, run, tolerance(precision));
    }
}

TEST_P(AttentionKernel, EveryNumberOfRows) {
  for (KvPrecision precision : kPrecisions) {
    Keys keys = random_keys(precision, 32, 48, 72);
    for (size_t heads : {1, 3})
      for (size_t tokens = 1; tokens <= std::min<size_t>(14, most_tokens(heads)); ++tokens) {
        SCOPED_TRACE(testing::Message() << kNames[static_cast<int>(precision)] << " " << tokens << " tokens of " << heads << " heads");
        Attend run(keys, tokens, heads, 72 - tokens);
        attend(run.task);
        expect_as_computed(keys, run, tolerance(precision));
      }
  }
}

TEST_P(AttentionKernel, WindowSoftcapAndSlopes) {
  std::vector<float> slopes{1, 0.1f};
  for (KvPrecision precision : kPrecisions)
    for (size_t window : {0, 1, 5, 33, 64}) {
      SCOPED_TRACE(testing::Message() << kNames[static_cast<int>(precision)] << " window " << window);
      Keys keys = random_keys(precision, 16, 16, 120);
      size_t tokens = most_tokens(2);
      Attend run(keys, tokens, 2, 120 - tokens);
      run.task.window = window;
      run.task.softcap = 0.7f;
      run.task.slopes = slopes.data();
      attend(run.task);
      expect_as_computed(keys, run, tolerance(precision));
    }
}

/// Places beyond 256 are rounded too.
TEST_P(AttentionKernel, RoundedSlopes) {
  std::vector<float> slopes{0.890625f, 0.0098876953125f};
  for (KvPrecision precision : kPrecisions) {
    SCOPED_TRACE(kNames[static_cast<int>(precision)]);
    Keys keys = random_keys(precision, 16, 16, 700);
    size_t tokens = most_tokens(2);
    Attend run(keys, tokens, 2, 700 - tokens);
    run.task.slopes = slopes.data();
    run.task.slope_unit = 0.19f;
    attend(run.task);
    expect_as_computed(keys, run, tolerance(precision));
  }
}

TEST_P(AttentionKernel, PartsOfTheKeysAddUp) {
  for (KvPrecision precision : kPrecisions) {
    SCOPED_TRACE(kNames[static_cast<int>(precision)]);
    Keys keys = random_keys(precision, 32, 32, 150);
    Attend first(keys, 1, 4, 149), second(keys, 1, 4, 149);
    first.task.key_end = 96;
    second.task.key_begin = 96;
    attend(first.task);
    attend(second.task);
    for (size_t r = 0; r < 4; ++r) {
      double top = std::max(double(first.maxima[r]), double(second.maxima[r])), a = std::exp2(double(first.maxima[r]) - top),
             b = std::exp2(double(second.maxima[r]) - top);
      auto expected = expected_row(keys, Attend(keys, 1, 4, 149).task, r);
      for (size_t d = 0; d < 32; ++d)
        EXPECT_NEAR((a * double(first.values[r * 32 + d]) + b * double(second.values[r * 32 + d])) /
                        (a * double(first.sums[r]) + b * double(second.sums[r])),
                    expected[d], tolerance(precision));
    }
  }
}

TEST_P(AttentionKernel, APartWithNothingSeenIsEmpty) {
  Keys keys = random_keys(KvPrecision::f32, 16, 16, 100);
  Attend run(keys, 1, 2, 99);
  run.task.window = 10;
  run.task.key_end = 64;
  attend(run.task);
  EXPECT_EQ(run.sums, std::vector<float>(2, 0.0f));
  EXPECT_EQ(run.maxima, std::vector<float>(2, std::numeric_limits<float>::lowest()));
  EXPECT_EQ(run.values, std::vector<float>(32, 0.0f));
}

/// With one dimension and a factor of 1 the scores are known in bits, and with one-hot values the results are the probabilities.
TEST_P(AttentionKernel, ExponentialsAreAccurate) {
  for (float step : {0x1p-9f, 0.3125f, 1.0f, 3.5f}) {  // multiples are exact in bf16
    Keys keys(KvPrecision::f32, 1, 32, 32);
    for (size_t t = 0; t < 32; ++t) {
      float key = -step * static_cast<float>(t);
      std::vector<float> value(32);
      value[t] = 1;
      keys.write(t, &key, value.data());
    }
    Attend run(keys, 1, 1, 31, {1});
    run.task.scale = kUnitScale;
    attend(run.task);
    double sum = 0;
    for (size_t t = 0; t < 32; ++t) {
      double expected = std::exp2(double(-step * static_cast<float>(t)));
      EXPECT_NEAR(double(run.values[t]) / expected, 1, GetParam().bf16 ? 0x1p-8 : 1.5e-7) << step << " x " << t;
      sum += expected;
    }
    EXPECT_NEAR(double(run.sums[0]) / sum, 1, GetParam().bf16 ? 1e-4 : 5e-7);
  }
}

TEST_P(AttentionKernel, FarLowerScoresCountNothing) {
  Keys keys(KvPrecision::f32, 1, 1, 4);
  float score[]{0, -100, -1000, -std::numeric_limits<float>::infinity()}, value[]{1, 1e30f, 1e30f, 1e30f};
  for (size_t t = 0; t < 4; ++t) keys.write(t, &score[t], &value[t]);
  Attend run(keys, 1, 1, 3, {1});
  attend(run.task);
  EXPECT_NEAR(run.sums[0], 1.0f, 1e-4f);
  EXPECT_NEAR(run.values[0], 1.0f, 1e-4f);
}

/// The maximum grows with every token: by little, within the slack, and by much.
TEST_P(AttentionKernel, RisingScores) {
  for (KvPrecision precision : kPrecisions)
    for (float step : {0x1p-7f, 0.5f, 32.0f}) {  // multiples are exact in bf16
      SCOPED_TRACE(testing::Message() << kNames[static_cast<int>(precision)] << " step " << step);
      Keys keys(precision, 2, 16, 100);
      auto values = random_floats(5, 1600);
      for (size_t t = 0; t < 100; ++t) {
        float key[2] = {step * static_cast<float>(t), 0};
        keys.write(t, key, &values[t * 16]);
      }
      Attend run(keys, 1, 2, 99, {1, 0, -1, 0});
      run.task.scale = kUnitScale;
      attend(run.task);
      expect_as_computed(keys, run, tolerance(precision));
    }
}

TEST_P(AttentionKernel, HeadsDoNotDependOnTheirNeighbours) {
  for (KvPrecision precision : kPrecisions) {
    SCOPED_TRACE(kNames[static_cast<int>(precision)]);
    Keys keys = random_keys(precision, 24, 40, 100);
    Attend all(keys, 1, 15, 99);
    attend(all.task);
    for (size_t h = 0; h < 15; ++h) {
      auto query = all.queries.begin() + static_cast<ptrdiff_t>(h * 24);
      Attend one(keys, 1, 1, 99, {query, query + 24});
      attend(one.task);
      EXPECT_EQ(one.row(0), all.row(h)) << h;
    }
  }
}

TEST_P(AttentionKernel, TokensOfAPromptDoNotDependOnTheirTile) {
  if (GetParam().few) return;  // always the whole span
  for (KvPrecision precision : kPrecisions) {
    SCOPED_TRACE(kNames[static_cast<int>(precision)]);
    Keys keys = random_keys(precision, 24, 40, 100);
    for (size_t window : {0, 35}) {
      Attend all(keys, 40, 2, 60);
      all.task.window = window;
      attend(all.task);
      for (size_t t = 0; t < 40; ++t) {
        auto query = all.queries.begin() + static_cast<ptrdiff_t>(t * 48);
        Attend one(keys, 1, 2, 60 + t, {query, query + 48});
        one.task.window = window;
        attend(one.task);
        for (size_t h = 0; h < 2; ++h) EXPECT_EQ(one.row(h), all.row(2 * t + h)) << t;
      }
    }
  }
}

TEST_P(AttentionKernel, TokensNotSeenMayHoldAnything) {
  for (KvPrecision precision : kPrecisions) {
    SCOPED_TRACE(kNames[static_cast<int>(precision)]);
    Keys clean = random_keys(precision, 16, 16, 64), dirty = random_keys(precision, 16, 16, 64);
    std::vector<float> nothing(16, kNan);
    for (size_t t : {0, 40, 63}) dirty.write(t, nothing.data(), nothing.data());
    Attend a(clean, 2, 2, 38), b(dirty, 2, 2, 38);
    a.task.window = b.task.window = 20;
    attend(a.task);
    attend(b.task);
    for (size_t r = 0; r < 4; ++r) EXPECT_EQ(a.row(r), b.row(r));
  }
}

TEST_P(AttentionKernel, NanReachesWhoSeesIt) {
  for (KvPrecision precision : kPrecisions)
    for (bool in_key : {false, true}) {
      SCOPED_TRACE(testing::Message() << kNames[static_cast<int>(precision)] << (in_key ? " key" : " value"));
      Keys clean = random_keys(precision, 16, 16, 64), dirty = random_keys(precision, 16, 16, 64);
      auto key = clean.key(40), value = clean.value(40);
      (in_key ? key : value)[3] = kNan;
      dirty.write(40, key.data(), value.data());
      Attend a(clean, 4, 2, 38), b(dirty, 4, 2, 38);
      attend(a.task);
      attend(b.task);
      for (size_t r = 0; r < 4; ++r) EXPECT_EQ(a.row(r), b.row(r));
      for (size_t r = 4; r < 8; ++r) EXPECT_TRUE(std::isnan(b.row(r)[3]));
    }
}

TEST_P(AttentionKernel, QueriesThatAreNotFinite) {
  for (KvPrecision precision : kPrecisions) {
    SCOPED_TRACE(kNames[static_cast<int>(precision)]);
    Keys keys = random_keys(precision, 24, 16, 64);
    Attend clean(keys, 1, 3, 63), dirty(keys, 1, 3, 63);
    dirty.queries[24 + 5] = kNan;
    attend(clean.task);
    attend(dirty.task);
    EXPECT_EQ(clean.row(0), dirty.row(0));
    for (float x : dirty.row(1)) EXPECT_TRUE(std::isnan(x));
    EXPECT_EQ(clean.row(2), dirty.row(2));
  }
}

TEST_P(AttentionKernel, GreatQueriesOfTinyKeys) {
  for (KvPrecision precision : {KvPrecision::f32, KvPrecision::bf16, KvPrecision::u8})
    for (float size : {1e-30f, 1e-10f, 1e10f, 1e30f}) {
      SCOPED_TRACE(testing::Message() << kNames[static_cast<int>(precision)] << " keys of " << size);
      Keys keys(precision, 16, 32, 40);
      auto k = random_floats(1, 640), v = random_floats(2, 1280), queries = random_floats(3, 32);
      for (float& x : k) x *= size;
      for (float& x : queries) x /= size;
      for (size_t t = 0; t < 40; ++t) keys.write(t, &k[t * 16], &v[t * 32]);
      Attend run(keys, 1, 2, 39, queries);
      attend(run.task);
      expect_as_computed(keys, run, tolerance(precision));
    }
}

TEST_P(AttentionKernel, GreatAndTinyNumbers) {
  for (KvPrecision precision : {KvPrecision::f32, KvPrecision::bf16, KvPrecision::u8})
    for (float size : {1e-40f, 1e-20f, 1e20f, 1e37f}) {
      SCOPED_TRACE(testing::Message() << kNames[static_cast<int>(precision)] << " values of " << size);
      Keys keys(precision, 16, 32, 40);
      auto k = random_floats(1, 640), v = random_floats(2, 1280);
      for (float& x : v) x *= size;
      for (size_t t = 0; t < 40; ++t) keys.write(t, &k[t * 16], &v[t * 32]);
      Attend run(keys, 1, 2, 39);
      attend(run.task);
      expect_as_computed(keys, run, tolerance(precision) * double(size) + 2e-35);
    }
}

}  // namespace
}  // namespace nibble::cpu
