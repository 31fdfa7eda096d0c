#include "device/cpu/attention.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <random>

#include "expect_error.hpp"
#include "tensor/float_types.hpp"

namespace nibble::cpu {
namespace {

using Row = std::vector<float>;

struct Shape {
  size_t heads = 4, key_heads = 2, key_dim = 16, value_dim = 16;
};

std::ostream& operator<<(std::ostream& out, const Shape& s) {
  return out << s.heads << "/" << s.key_heads << " heads, " << s.key_dim << "/" << s.value_dim;
}

struct Options {
  size_t window = 0;
  float softcap = 0;
  std::vector<float> slopes, sinks;
  float slope_unit = 0;
};

double alibi(const Options& options, size_t head, size_t key, size_t query) {
  if (options.slope_unit == 0) return double(options.slopes[head]) * (double(key) - double(query));
  auto rounded = [](float x) { return to_float(to_bfloat16(x)); };
  return double(options.slope_unit) * double(rounded(options.slopes[head] * rounded(float(key))));
}

/// Attention of one query head over keys [0, count), in double precision.
std::vector<double> plain_attention(const float* query, const std::vector<Row>& keys, const std::vector<Row>& values, size_t count,
                                    size_t key_head, size_t head, const Shape& shape, const Options& options, double scale) {
  size_t begin = options.window && count > options.window ? count - options.window : 0;
  std::vector<double> scores;
  for (size_t t = begin; t < count; ++t) {
    double s = 0;
    for (size_t d = 0; d < shape.key_dim; ++d) s += double(query[d]) * double(keys[t][key_head * shape.key_dim + d]);
    s *= scale;
    if (options.softcap != 0) s = double(options.softcap) * std::tanh(s / double(options.softcap));
    if (!options.slopes.empty()) s += alibi(options, head, t, count - 1);
    scores.push_back(s);
  }
  double top = *std::max_element(scores.begin(), scores.end()), total = 0;
  if (!options.sinks.empty()) total = std::exp(double(options.sinks[head]) - top);
  std::vector<double> out(shape.value_dim);
  for (double& s : scores) total += s = std::exp(s - top);
  for (size_t t = begin; t < count; ++t)
    for (size_t d = 0; d < shape.value_dim; ++d) out[d] += scores[t - begin] / total * double(values[t][key_head * shape.value_dim + d]);
  return out;
}

/// Error of a result from rounding keys and values of size up to about 4 and, for bf16, products; a few units of the type.
double tolerance(KvPrecision precision, bool bf16) {
  double rounding = precision == KvPrecision::f32    ? 1e-6
                    : precision == KvPrecision::f16  ? 0x1p-11
                    : precision == KvPrecision::bf16 ? 0x1p-8
                                                     : 8.0 / 255 / 2;
  return 4 * rounding + (bf16 ? 0x1p-5 : 0) + 2e-5;
}

struct NewTokens {
  SequenceId sequence;
  size_t count;
};

using Change = std::function<void(std::vector<Row>& q, std::vector<Row>& k, std::vector<Row>& v)>;

/// A cache with one interesting layer, and what was written to it.
class Model {
 public:
  Model(Isa isa, KvPrecision precision, Shape shape, Options options = {}, int threads = 1, bool bf16 = false)
      : shape_(shape),
        options_(std::move(options)),
        cache_({{1, 8, 8}, {shape.key_heads, shape.key_dim, shape.value_dim}}, precision),
        attention_(isa, bf16),
        threads_(threads),
        tolerance_(tolerance(precision, bf16)) {}

  KvCache& cache() { return cache_; }
  Shape shape() const { return shape_; }
  std::vector<Row>& keys(SequenceId id) { return keys_[id]; }
  std::vector<Row>& values(SequenceId id) { return values_[id]; }
  double tolerance_of_type() const { return tolerance_; }

  void fork(SequenceId from, SequenceId to) {
    cache_.fork(from, to);
    keys_[to] = keys_[from];
    values_[to] = values_[from];
  }
  void truncate(SequenceId id, size_t length) {
    cache_.truncate(id, length);
    keys_[id].resize(length);
    values_[id].resize(length);
  }

  /// Numbers of about -3 .. 3 that depend on the sequence and the position only.
  static Row random_row(SequenceId id, size_t position, unsigned kind, size_t count) {
    std::minstd_rand random(static_cast<unsigned>(id * 1000003 + position * 31 + kind));
    random.discard(5);
    Row row(count);
    for (float& x : row) x = static_cast<float>(random() % 1000 + random() % 1000 + random() % 1000) * 0.002f - 3;
    return row;
  }

  /// Runs the new tokens; `change` may touch q, k and v before. Results row by row.
  std::vector<Row> step(const std::vector<NewTokens>& batch, const Change& change = {}) {
    std::vector<AttentionSpan> spans;
    std::vector<Row> q, k, v;
    for (const NewTokens& tokens : batch) {
      spans.push_back({tokens.sequence, q.size(), tokens.count});
      for (size_t i = 0, position = cache_.length(tokens.sequence); i < tokens.count; ++i, ++position) {
        q.push_back(random_row(tokens.sequence, position, 1, shape_.heads * shape_.key_dim));
        k.push_back(random_row(tokens.sequence, position, 2, shape_.key_heads * shape_.key_dim));
        v.push_back(random_row(tokens.sequence, position, 3, shape_.key_heads * shape_.value_dim));
      }
    }
    if (change) change(q, k, v);
    queries_ = q;
    for (const auto& span : spans) cache_.prepare(span.sequence, span.count);
    std::vector<Row> result = run(spans, q, k, v);
    for (const auto& span : spans) {
      cache_.commit(span.sequence, span.count);
      for (size_t i = 0; i < span.count; ++i) {
        keys_[span.sequence].push_back(k[span.first_row + i]);
        values_[span.sequence].push_back(v[span.first_row + i]);
      }
    }
    return result;
  }

  /// Runs the new tokens and compares with the plain computation.
  void check(const std::vector<NewTokens>& batch) {
    auto result = step(batch);
    size_t row = 0;
    for (const NewTokens& tokens : batch)
      for (size_t i = 0; i < tokens.count; ++i, ++row)
        expect_row(result[row], row, tokens.sequence, cache_.length(tokens.sequence) - tokens.count + i + 1);
  }

  void expect_row(const Row& result, size_t row, SequenceId id, size_t count) {
    double worst = 0;
    for (size_t h = 0; h < shape_.heads; ++h) {
      size_t key_head = h / (shape_.heads / shape_.key_heads);
      auto expected =
          plain_attention(&queries_[row][h * shape_.key_dim], keys_[id], values_[id], count, key_head, h, shape_, options_, scale());
      for (size_t d = 0; d < shape_.value_dim; ++d) {
        double error = std::abs(double(result[h * shape_.value_dim + d]) - expected[d]);
        worst = std::isnan(error) ? HUGE_VAL : std::max(worst, error);
      }
    }
    EXPECT_LE(worst, tolerance_) << "row " << row << ", " << count << " tokens";
  }

 private:
  double scale() const { return 1 / std::sqrt(double(shape_.key_dim)); }

  static std::vector<float> flat(const std::vector<Row>& rows, size_t stride) {
    std::vector<float> out(rows.size() * stride, NAN);
    for (size_t i = 0; i < rows.size(); ++i) std::copy(rows[i].begin(), rows[i].end(), out.begin() + static_cast<ptrdiff_t>(i * stride));
    return out;
  }

  std::vector<Row> run(const std::vector<AttentionSpan>& spans, const std::vector<Row>& q, const std::vector<Row>& k,
                       const std::vector<Row>& v) {
    // Strides beyond the rows: what lies between them must not be touched.
    size_t q_stride = shape_.heads * shape_.key_dim + 3, k_stride = shape_.key_heads * shape_.key_dim + 5,
           v_stride = shape_.key_heads * shape_.value_dim + 1;
    size_t width = shape_.heads * shape_.value_dim, out_stride = width + 2;
    auto flat_q = flat(q, q_stride), flat_k = flat(k, k_stride), flat_v = flat(v, v_stride);
    std::vector<float> out(q.size() * out_stride, 77.0f);
    AttentionParameters parameters;
    parameters.layer = 1;
    parameters.heads = shape_.heads;
    parameters.scale = static_cast<float>(scale());
    parameters.window = options_.window;
    parameters.softcap = options_.softcap;
    parameters.slopes = options_.slopes;
    parameters.slope_unit = options_.slope_unit;
    parameters.sinks = options_.sinks;
    attention_.write(cache_, 1, spans, {flat_k.data(), k_stride}, {flat_v.data(), v_stride}, threads_);
    attention_.attend(cache_, parameters, spans, {flat_q.data(), q_stride}, out.data(), out_stride, threads_);
    std::vector<Row> result;
    for (size_t i = 0; i < q.size(); ++i) {
      auto first = out.begin() + static_cast<ptrdiff_t>(i * out_stride);
      result.emplace_back(first, first + static_cast<ptrdiff_t>(width));
      EXPECT_EQ(out[i * out_stride + width], 77.0f);
    }
    return result;
  }

  Shape shape_;
  Options options_;
  KvCache cache_;
  PagedAttention attention_;
  ThreadPool threads_;
  double tolerance_;
  std::map<SequenceId, std::vector<Row>> keys_, values_;
  std::vector<Row> queries_;
};

constexpr KvPrecision kPrecisions[]{KvPrecision::f32, KvPrecision::f16, KvPrecision::bf16, KvPrecision::u8};

struct Variant {
  Isa isa;
  KvPrecision precision;
  bool bf16;
};

std::vector<Variant> variants() {
  std::vector<Variant> result;
  for (Isa isa : available_isas())
    for (KvPrecision precision : kPrecisions)
      for (bool bf16 : {false, true})
        if (bf16 == (isa == Isa::avx512bf16)) result.push_back({isa, precision, bf16});  // in f32, avx512bf16 is avx512vnni
  return result;
}

class AttentionVariant : public testing::TestWithParam<Variant> {
 protected:
  Model model(Shape shape, Options options = {}, int threads = 2) const {
    return Model(GetParam().isa, GetParam().precision, shape, std::move(options), threads, GetParam().bf16);
  }
};

/// "avx2_u8", "avx512bf16_f16_bf16": instruction set, cache, arithmetic where it is not f32.
std::string variant_name(const testing::TestParamInfo<Variant>& info) {
  constexpr const char* kNames[]{"f32", "f16", "bf16", "u8"};
  return std::string(to_string(info.param.isa)) + "_" + kNames[static_cast<int>(info.param.precision)] + (info.param.bf16 ? "_bf16" : "");
}

INSTANTIATE_TEST_SUITE_P(All, AttentionVariant, testing::ValuesIn(variants()), variant_name);

TEST_P(AttentionVariant, PromptThenTokens) {
  for (Shape shape :
       {Shape{4, 2, 16, 16}, Shape{8, 1, 64, 64}, Shape{3, 3, 80, 80}, Shape{4, 1, 24, 40}, Shape{2, 1, 128, 96}, Shape{7, 1, 33, 17}}) {
    SCOPED_TRACE(shape);
    Model m = model(shape);
    m.check({{1, 70}});
    m.check({{1, 1}});
    m.check({{1, 1}});
    m.check({{1, 3}});
  }
}

TEST_P(AttentionVariant, BlockEdges) {
  for (size_t prompt : {1, 31, 32, 33, 64}) {
    SCOPED_TRACE(prompt);
    Model m = model({8, 2, 32, 32});
    m.check({{1, prompt}});
    m.check({{1, 1}});
    m.check({{1, 31}});
    m.check({{1, 1}});
  }
}

TEST_P(AttentionVariant, ShortSpansAcrossPartitions) {
  Model m = model({4, 2, 16, 16});
  m.step({{1, 1020}});
  for (int i = 0; i < 3; ++i) m.check({{1, 1}});
  m.check({{1, 8}});  // across the third partition's start
  m.check({{1, 5}});
}

TEST_P(AttentionVariant, ManyQueryHeadsToAKeyHead) {
  Model m = model({40, 1, 16, 16});
  m.check({{1, 20}});
  m.check({{1, 1}});
  m.check({{1, 8}});
}

TEST_P(AttentionVariant, Windows) {
  for (size_t window : {1, 7, 32, 40, 600}) {
    SCOPED_TRACE(window);
    Options options;
    options.window = window;
    Model m = model({8, 2, 16, 16}, options);
    m.check({{1, 150}});
    m.check({{1, 1}});
    m.check({{1, 7}});
    if (window < 600) continue;
    m.step({{1, 900}});
    m.check({{1, 1}});
    m.check({{1, 10}});
  }
}

TEST_P(AttentionVariant, SoftcapSlopesAndSinks) {
  Options options;
  options.softcap = 1.5f;
  options.slopes = {0.5f, 0.25f, 0.125f, 0.0625f};
  options.sinks = {-1, 0, 2, 5};
  options.window = 50;
  Model m = model({4, 2, 16, 16}, options);
  m.check({{1, 100}});
  m.check({{1, 1}});
  m.check({{1, 4}});
}

TEST_P(AttentionVariant, SlopesReachFarPartitions) {
  Options options;
  options.slopes = {0.5f, 0.001f};
  Model m = model({2, 1, 16, 16}, options);
  m.step({{1, 1100}});
  m.check({{1, 1}});
}

TEST_P(AttentionVariant, RoundedSlopes) {
  Options options;
  options.slopes = {0.890625f, 0.0098876953125f};
  options.slope_unit = 0.19f;
  Model m = model({2, 1, 16, 16}, options);
  m.check({{1, 700}});
  m.check({{1, 1}});
  m.check({{1, 3}});
}

TEST_P(AttentionVariant, MixedBatches) {
  Model m = model({4, 2, 32, 32});
  m.check({{1, 40}, {2, 1}, {3, 9}});
  m.check({{3, 1}, {1, 1}, {4, 33}, {2, 5}});
}

TEST_P(AttentionVariant, ASpanAloneGivesTheSameBits) {
  std::vector<Row> alone, together;
  for (bool others : {false, true}) {
    Model m = model({4, 2, 16, 16}, {}, 3);
    auto keep = [&](std::vector<NewTokens> batch) {
      if (others) batch.insert(batch.begin(), {5, 11}), batch.push_back({6, 40});
      auto rows = m.step(batch);
      for (size_t i = 0, first = others ? 11 : 0; i < batch[others ? 1 : 0].count; ++i)
        (others ? together : alone).push_back(rows[first + i]);
    };
    keep({{1, 1050}});
    keep({{1, 1}});
    keep({{1, 6}});
  }
  EXPECT_EQ(alone, together);
}

TEST_P(AttentionVariant, AnyNumberOfThreadsGivesTheSameBits) {
  std::vector<std::vector<Row>> results;
  for (int threads : {1, 2, 3, 8}) {
    Model m = model({4, 2, 16, 16}, {}, threads);
    auto rows = m.step({{1, 1040}, {2, 3}});
    for (auto& row : m.step({{1, 1}, {2, 70}, {3, 4}})) rows.push_back(row);
    results.push_back(rows);
  }
  for (size_t i = 1; i < results.size(); ++i) EXPECT_EQ(results[i], results[0]);
}

TEST_P(AttentionVariant, PromptsInChunks) {
  Shape shape{4, 2, 64, 64};
  Model whole = model(shape), chunks = model(shape);
  auto expected = whole.step({{1, 24}});
  std::vector<Row> rows;
  for (size_t count : {10, 1, 13})
    for (auto& row : chunks.step({{1, count}})) rows.push_back(row);
  ASSERT_EQ(rows.size(), expected.size());
  bool rounds_to_bytes = GetParam().precision == KvPrecision::u8 && GetParam().isa >= Isa::avx512vnni;
  double tolerance = GetParam().bf16 ? 0x1p-5 : rounds_to_bytes ? 0x1p-7 : 2e-4;
  for (size_t i = 0; i < rows.size(); ++i)
    for (size_t d = 0; d < rows[i].size(); ++d) EXPECT_NEAR(rows[i][d], expected[i][d], tolerance);
}

TEST_P(AttentionVariant, ForksGoTheirOwnWay) {
  Model m = model({4, 2, 16, 16});
  m.check({{1, 40}});
  m.fork(1, 2);
  m.check({{2, 3}});
  m.check({{1, 1}, {2, 1}});
  m.truncate(2, 35);
  m.check({{2, 2}});
  m.check({{1, 20}});
}

TEST_P(AttentionVariant, ReusedBlocksForgetWhatTheyHeld) {
  Model m = model({4, 2, 24, 24});
  auto poison = [](auto&, auto& k, auto& v) {
    for (auto* rows : {&k, &v})
      for (Row& row : *rows) std::fill(row.begin(), row.end(), NAN);
  };
  m.step({{1, 200}}, poison);
  m.cache().release(1);
  m.check({{2, 50}});
  m.check({{2, 1}});
  m.check({{2, 3}});
}

constexpr Shape kPoisoned{4, 2, 16, 24};

/// Runs `count` tokens with and without a change. Wherever affected(row, head) says so, the first number must not be finite; all else must
/// be the same bits.
void expect_affected(Model&& clean, Model&& changed, size_t count, const Change& change,
                     const std::function<bool(size_t row, size_t head)>& affected) {
  clean.step({{1, 3}}), changed.step({{1, 3}});
  auto expected = clean.step({{1, count}}), rows = changed.step({{1, count}}, change);
  for (size_t i = 0; i < count; ++i)
    for (size_t h = 0; h < kPoisoned.heads; ++h) {
      auto first = static_cast<ptrdiff_t>(h * kPoisoned.value_dim), last = first + static_cast<ptrdiff_t>(kPoisoned.value_dim);
      Row a(rows[i].begin() + first, rows[i].begin() + last), b(expected[i].begin() + first, expected[i].begin() + last);
      if (affected(i, h)) {
        EXPECT_FALSE(std::isfinite(a[0])) << "row " << i << " head " << h;
      } else {
        EXPECT_EQ(a, b) << "row " << i << " head " << h;
      }
    }
}

TEST_P(AttentionVariant, NotANumberInAQueryStaysInItsRow) {
  for (size_t count : {6, 45})
    expect_affected(
        model(kPoisoned), model(kPoisoned), count, [](auto& q, auto&, auto&) { q[2][16 + 3] = NAN; },
        [](size_t row, size_t head) { return row == 2 && head == 1; });
}

TEST_P(AttentionVariant, NotANumberInAKeyStaysInTheRowsThatSeeIt) {
  for (size_t count : {6, 45})
    expect_affected(
        model(kPoisoned), model(kPoisoned), count, [](auto&, auto& k, auto&) { k[2][16 + 3] = NAN; },
        [](size_t row, size_t head) { return row >= 2 && head >= 2; });
}

TEST_P(AttentionVariant, AnInfiniteValueStaysInTheRowsThatSeeIt) {
  Options options;
  options.window = 10;
  for (size_t count : {6, 45})
    expect_affected(
        model(kPoisoned, options), model(kPoisoned, options), count, [](auto&, auto&, auto& v) { v[2][24] = INFINITY; },
        [](size_t row, size_t head) { return row >= 2 && row < 12 && head >= 2; });
}

TEST_P(AttentionVariant, GreatScoresDoNotOverflow) {
  Model m = model({2, 1, 16, 16});
  auto rows = m.step({{1, 40}}, [](auto& q, auto& k, auto&) {
    for (Row& row : q)
      for (float& x : row) x *= 1e4f;
    for (Row& row : k)
      for (float& x : row) x *= 1e3f;
  });
  // All weight is on the best key: the result is one of the values seen.
  for (size_t i = 0; i < rows.size(); ++i) {
    double nearest = HUGE_VAL;
    for (size_t t = 0; t <= i; ++t) {
      double distance = 0;
      for (size_t d = 0; d < 16; ++d) distance = std::max(distance, std::abs(double(rows[i][d]) - double(m.values(1)[t][d])));
      nearest = std::min(nearest, distance);
    }
    EXPECT_LE(nearest, m.tolerance_of_type()) << i;
  }
}

TEST(Attention, RefusesWhatDoesNotFit) {
  KvCache cache({{2, 8, 8}}, KvPrecision::f32);
  PagedAttention attention(Isa::scalar, false);
  ThreadPool threads(1);
  std::vector<float> rows(1000);
  std::vector<AttentionSpan> spans{{1, 0, 2}};
  AttentionParameters parameters;
  parameters.heads = 4;
  RowsView view{rows.data(), 32};
  auto attend = [&] { attention.attend(cache, parameters, spans, view, rows.data(), 32, threads); };
  EXPECT_TRUE(test::fails(ErrorKind::invalid_argument, {"2 new tokens of sequence 1", "0 were prepared"}, attend));
  EXPECT_TRUE(test::fails(ErrorKind::invalid_argument, {"2 new tokens"}, [&] { attention.write(cache, 0, spans, view, view, threads); }));
  cache.prepare(1, 2);
  parameters.heads = 3;
  EXPECT_TRUE(test::fails(ErrorKind::invalid_argument, {"3 query heads", "2 key heads"}, attend));
  parameters.heads = 4;
  parameters.sinks = std::span<const float>(rows).first(3);
  EXPECT_TRUE(test::fails(ErrorKind::invalid_argument, {"3 sinks for 4 heads"}, attend));
  parameters.sinks = {};
  parameters.layer = 1;
  EXPECT_TRUE(test::fails(ErrorKind::invalid_argument, {"layer 1"}, attend));
}

}  // namespace
}  // namespace nibble::cpu
