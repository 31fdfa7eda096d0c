#include "device/cpu/gather_rows.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <bit>
#include <cmath>
#include <cstring>
#include <optional>
#include <random>
#include <string>
#include <thread>

#include "expect_error.hpp"
#include "tensor/convert.hpp"

namespace nibble::cpu {
namespace {

using enum ElementType;
using test::fails;

/// Random bytes as a constant of this type, starting at an odd address.
ConstantValue random_constant(ElementType type, Shape shape, uint32_t seed) {
  size_t bytes = packed_bytes(type, element_count(shape));
  auto memory = std::make_shared<std::vector<std::byte>>(bytes + 1);
  std::mt19937 random(seed);
  for (std::byte& b : *memory) b = static_cast<std::byte>(random());
  return Tensor::view(type, std::move(shape), std::span(*memory).subspan(1), memory);
}

struct TableSpec {
  size_t rows = 5, columns = 32, group_size = 32;
  ElementType codes = u8;
  std::optional<ElementType> scales = f32, zero_points = std::nullopt;
  size_t first_row = 0;
};

WeightMatrix random_table(const TableSpec& spec, uint32_t seed = 1) {
  auto rows = static_cast<int64_t>(spec.first_row + spec.rows), columns = static_cast<int64_t>(spec.columns);
  auto groups = static_cast<int64_t>((spec.columns + spec.group_size - 1) / spec.group_size);
  WeightMatrix table;
  table.name = "table";
  table.rows = spec.rows, table.columns = spec.columns, table.group_size = spec.group_size, table.first_row = spec.first_row;
  table.codes = random_constant(spec.codes, {rows, columns}, seed);
  if (spec.scales) table.scales = random_constant(*spec.scales, {rows, groups}, seed + 1);
  if (spec.zero_points) table.zero_points = random_constant(*spec.zero_points, {rows, groups}, seed + 2);
  return table;
}

float element(const ConstantValue& constant, size_t index) {
  float value;
  Tensor tensor = constant.tensor();
  unpack_to_float(tensor.type(), tensor.data(), tensor.size() == 1 ? 0 : index, {&value, 1});
  return value;
}

/// One weight, by the definition of WeightMatrix.
float weight(const WeightMatrix& table, size_t row, size_t column) {
  size_t all_row = table.first_row + row, groups = (table.columns + table.group_size - 1) / table.group_size;
  size_t group = all_row * groups + column / table.group_size;
  float value = element(table.codes, table.transposed ? column * table.rows + row : all_row * table.columns + column);
  if (!table.levels.empty()) value = table.levels[static_cast<size_t>(value)];
  if (table.zero_points.type() != dynamic) value -= element(table.zero_points, group);
  float scale = table.scales.type() == dynamic ? 1.0f : element(table.scales, group);
  return value * scale;
}

constexpr float kUntouched = 12345;

std::vector<float> look_up(const Embedding& embedding, int64_t row) {
  std::vector<float> out(embedding.columns() + 1, kUntouched);
  embedding.lookup(row, out.data());
  EXPECT_EQ(out.back(), kUntouched) << "written behind the row";
  out.pop_back();
  return out;
}

void expect_rows_of(const WeightMatrix& table, const Embedding& embedding) {
  for (size_t row = 0; row < table.rows; ++row) {
    const std::vector<float> out = look_up(embedding, static_cast<int64_t>(row));
    for (size_t c = 0; c < out.size(); ++c) {
      const float expected = weight(table, row, c);
      if (std::isnan(expected))
        ASSERT_TRUE(std::isnan(out[c])) << "row " << row << ", column " << c;
      else
        ASSERT_EQ(std::bit_cast<uint32_t>(out[c]), std::bit_cast<uint32_t>(expected)) << "row " << row << ", column " << c;
    }
  }
}

void expect_rows_of(const WeightMatrix& table) { expect_rows_of(table, Embedding(table)); }

std::string describe(const TableSpec& spec) {
  auto name = [](std::optional<ElementType> type) { return type ? std::string(to_string(*type)) : "none"; };
  return name(spec.codes) + " [" + std::to_string(spec.rows) + ", " + std::to_string(spec.columns) + "] group " +
         std::to_string(spec.group_size) + ", scales " + name(spec.scales) + ", zero points " + name(spec.zero_points);
}

constexpr ElementType kCodes[]{u4, i4, u8, i8, nf4, f4e2m1, f8e4m3, f16, bf16, f32};
constexpr ElementType kIntegers[]{u4, i4, u8, i8};
constexpr ElementType kScales[]{f16, f32, bf16, f8e8m0, f8e4m3};

TEST(GatherRowsTest, EveryTypeOfCodesWithEveryTypeOfScales) {
  for (ElementType codes : kCodes)
    for (ElementType scales : kScales) {
      TableSpec spec{.rows = 9, .columns = 64, .group_size = 16, .codes = codes, .scales = scales};
      SCOPED_TRACE(describe(spec));
      expect_rows_of(random_table(spec));
    }
}

TEST(GatherRowsTest, EveryTypeOfIntegersWithEveryTypeOfZeroPoints) {
  for (ElementType codes : kIntegers)
    for (ElementType zero_points : kIntegers) {
      TableSpec spec{.rows = 9, .columns = 64, .group_size = 16, .codes = codes, .scales = f16, .zero_points = zero_points};
      SCOPED_TRACE(describe(spec));
      expect_rows_of(random_table(spec));
    }
}

TEST(GatherRowsTest, CodesWithoutScales) {
  for (ElementType codes : kCodes) {
    TableSpec spec{.columns = 33, .group_size = 33, .codes = codes, .scales = {}};
    SCOPED_TRACE(describe(spec));
    expect_rows_of(random_table(spec));
  }
}

TEST(GatherRowsTest, OddColumnsStartRowsInTheMiddleOfAByte) {
  for (ElementType codes : {u4, i4, nf4, f4e2m1})
    for (size_t columns : {1, 2, 3, 31, 33, 77}) {
      TableSpec spec{.columns = columns, .group_size = columns, .codes = codes};
      if (codes == u4) spec.zero_points = u4;
      SCOPED_TRACE(describe(spec));
      expect_rows_of(random_table(spec));
    }
}

TEST(GatherRowsTest, MoreGroupsThanAreReadAtATime) {
  for (size_t groups : {63, 64, 65, 200}) {
    TableSpec spec{.columns = groups * 16, .group_size = 16, .codes = u4, .scales = f16, .zero_points = u4};
    SCOPED_TRACE(describe(spec));
    expect_rows_of(random_table(spec));
  }
}

TEST(GatherRowsTest, TheLastGroupMayBeShort) {
  expect_rows_of(random_table({.columns = 40, .group_size = 16, .codes = u4, .scales = f16, .zero_points = u4}));
}

TEST(GatherRowsTest, OneScaleAndOneZeroPointForAll) {
  WeightMatrix table = random_table({.codes = i8, .scales = {}});
  table.scales = Tensor::scalar(0.37f);
  table.zero_points = Tensor::scalar(int8_t{-3});
  expect_rows_of(table);
}

TEST(GatherRowsTest, CodesMayBeIndicesOfLevels) {
  WeightMatrix table = random_table({.columns = 35, .group_size = 35, .codes = u4, .scales = f16});
  for (int i = 0; i < 16; ++i) table.levels.push_back(static_cast<float>(i * i) / 7 - 3);
  expect_rows_of(table);
}

TEST(GatherRowsTest, ATableMayBeAPartOfItsConstants) {
  expect_rows_of(random_table({.columns = 31, .group_size = 31, .codes = i4, .scales = f16, .first_row = 3}));
  expect_rows_of(random_table({.columns = 32, .group_size = 16, .codes = u8, .scales = f16, .zero_points = u8, .first_row = 7}));
}

TEST(GatherRowsTest, ATransposedTable) {
  for (ElementType codes : {f16, bf16, f32}) {
    WeightMatrix table = random_table({.rows = 6, .columns = 33, .group_size = 33, .codes = codes, .scales = {}});
    table.transposed = true;
    expect_rows_of(table);
  }
}

TEST(GatherRowsTest, TheProductIsRoundedOnceInFloat) {
  WeightMatrix table = random_table({.rows = 1, .columns = 1, .group_size = 1, .scales = {}});
  table.codes = Tensor::from<uint8_t>({1, 1}, std::vector<uint8_t>{255});
  table.zero_points = Tensor::scalar(uint8_t{2});
  table.scales = Tensor::scalar(float16{0x3555});  // 0.33325195...: in half precision the product would be 84.3125
  EXPECT_EQ(look_up(Embedding(table), 0)[0], 253 * 0.333251953125f);
}

TEST(GatherRowsTest, NegativeRowsCountFromTheEnd) {
  const Embedding embedding(random_table({}));
  EXPECT_EQ(look_up(embedding, -1), look_up(embedding, 4));
  EXPECT_EQ(look_up(embedding, -5), look_up(embedding, 0));
}

TEST(GatherRowsTest, RowsThatAreNotThereAreRefused) {
  const Embedding embedding(random_table({}));
  std::vector<float> out(32);
  for (int64_t row : {int64_t{5}, int64_t{-6}, INT64_MAX, INT64_MIN})
    EXPECT_TRUE(fails(ErrorKind::invalid_argument, {std::to_string(row), "table 'table'"}, [&] { embedding.lookup(row, out.data()); }));
}

TEST(GatherRowsTest, ConstantsThatAreTooShortAreRefused) {
  for (ConstantValue WeightMatrix::*constant : {&WeightMatrix::codes, &WeightMatrix::scales, &WeightMatrix::zero_points}) {
    WeightMatrix table = random_table({.codes = u4, .zero_points = u4});
    ++table.rows;
    table.*constant = random_constant((table.*constant).type(), {2, 2}, 1);
    EXPECT_TRUE(fails(ErrorKind::corrupt, {"table 'table'"}, [&] { Embedding{table}; }));
  }
}

TEST(GatherRowsTest, OtherTypesAreRefused) {
  EXPECT_TRUE(fails(ErrorKind::unsupported, {"u2"}, [] { Embedding{random_table({.codes = u2})}; }));
  EXPECT_TRUE(fails(ErrorKind::unsupported, {"zero points"}, [] { Embedding{random_table({.codes = nf4, .zero_points = u4})}; }));
}

/// Codes, scales and zero points that are made together; counts how often.
class CountingSource : public ConstantSource {
 public:
  explicit CountingSource(WeightMatrix table) : values_{table.codes.view(), table.scales.view(), table.zero_points.view()} {}
  size_t output_count() const override { return values_.size(); }
  ElementType type(size_t output) const override { return values_[output].type(); }
  const Shape& shape(size_t output) const override { return values_[output].shape(); }
  int64_t rows() const override { return values_[0].shape()[0]; }
  void produce(int64_t begin, int64_t, std::span<const std::span<std::byte>> out) const override {
    ++times;
    for (size_t i = 0; i < values_.size(); ++i) {
      size_t skipped = row_slice_bytes(*this, i, 0, begin);
      std::memcpy(out[i].data(), values_[i].data() + skipped, out[i].size());
    }
  }

  mutable int times = 0;

 private:
  std::vector<Tensor> values_;
};

TEST(GatherRowsTest, LazyConstantsAreMadeOnce) {
  WeightMatrix table = random_table({.rows = 21, .columns = 33, .group_size = 33, .codes = u4, .scales = f16, .zero_points = u4});
  const auto source = std::make_shared<CountingSource>(table);
  WeightMatrix lazy = table;
  lazy.codes = {source, 0}, lazy.scales = {source, 1}, lazy.zero_points = {source, 2};
  expect_rows_of(table, Embedding(lazy));
  EXPECT_EQ(source->times, 1);
}

TEST(GatherRowsTest, ThreadsMayShareATable) {
  const WeightMatrix table = random_table({.rows = 50, .columns = 64, .group_size = 16, .codes = u4, .scales = f8e8m0, .zero_points = u4});
  const Embedding embedding(table);
  std::atomic<int> different = 0;
  auto work = [&](int64_t first) {
    std::vector<float> out(64);
    for (int64_t i = 0; i < 500; ++i) {
      const auto row = static_cast<size_t>((first + i) % 50);
      embedding.lookup(static_cast<int64_t>(row), out.data());
      const float expected = weight(table, row, 63);
      if (std::memcmp(&out[63], &expected, 4) != 0 && !std::isnan(expected)) ++different;
    }
  };
  std::thread other(work, 25);
  work(0);
  other.join();
  EXPECT_EQ(different, 0);
}

}  // namespace
}  // namespace nibble::cpu
