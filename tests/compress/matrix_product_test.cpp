#include "compress/matrix_product.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "compress/principal_directions.hpp"
#include "compress/triangular_factor.hpp"

namespace nibble {
namespace {

std::vector<float> random_floats(size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

double exact(const MatrixView& a, const MatrixView& b, size_t i, size_t j) {
  double sum = 0;
  for (size_t k = 0; k < a.columns; ++k)
    sum += static_cast<double>(a.data[i * a.row_stride + k * a.column_stride]) * b.data[k * b.row_stride + j * b.column_stride];
  return sum;
}

/// Each element of the result against double precision; those that `wanted` excludes may be anything.
template <class Wanted>
void check_product(const MatrixView& a, const MatrixView& b, const ProductPart& part, Wanted&& wanted) {
  ThreadPool threads(2);
  std::vector<float> before = random_floats(a.rows * b.columns, 9), out = before;
  multiply_add(a, b, -0.5f, out.data(), b.columns, threads, part);
  double tolerance = 1e-6 * std::sqrt(static_cast<double>(a.columns)) * 4;
  for (size_t i = 0; i < a.rows; ++i)
    for (size_t j = 0; j < b.columns; ++j)
      if (wanted(i, j)) {
        ASSERT_NEAR(out[i * b.columns + j], before[i * b.columns + j] - 0.5 * exact(a, b, i, j), tolerance) << i << ", " << j;
      }
}

TEST(MatrixProduct, EqualsThePlainSum) {
  for (auto [rows, depth, columns] : {std::array<size_t, 3>{1, 1, 1}, {13, 5, 33}, {250, 300, 520}, {12, 256, 32}}) {
    auto a = random_floats(rows * depth, 1), b = random_floats(depth * columns, 2);
    auto all = [](size_t, size_t) { return true; };
    check_product({a.data(), rows, depth, depth}, {b.data(), depth, columns, columns}, {}, all);
    MatrixView transposed_a{a.data(), depth, rows, rows}, transposed_b{b.data(), columns, depth, depth};
    check_product(transposed_a.transposed(), transposed_b.transposed(), {}, all);
  }
}

TEST(MatrixProduct, MayLeaveOutATriangle) {
  constexpr size_t kSize = 700;
  auto values = random_floats(kSize * 20, 3);
  MatrixView x{values.data(), kSize, 20, 20};
  check_product(x, x.transposed(), {.upper_only = true}, [](size_t i, size_t j) { return i <= j; });
  check_product(x, x.transposed(), {.lower_only = true}, [](size_t i, size_t j) { return i >= j; });
  auto lower = random_floats(kSize * kSize, 4);
  for (size_t i = 0; i < kSize; ++i) std::fill(&lower[i * kSize] + i + 1, &lower[i * kSize] + kSize, 0.0f);
  check_product({lower.data(), kSize, kSize, kSize}, {values.data(), kSize, 20, 20}, {.left_is_lower = true},
                [](size_t, size_t) { return true; });
}

TEST(TriangularFactor, SquaresToTheInverse) {
  ThreadPool threads(2);
  for (size_t size : {1u, 2u, 127u, 128u, 300u}) {
    auto x = random_floats(2 * size * size, 5);
    std::vector<float> matrix(size * size, 0.0f);
    MatrixView view{x.data(), 2 * size, size, size};
    multiply_add(view.transposed(), view, 1.0f / static_cast<float>(size), matrix.data(), size, threads);
    for (size_t i = 0; i < size; ++i) matrix[i * size + i] += 0.1f;
    std::vector<float> factor = matrix;
    ASSERT_TRUE(factorize_inverse(factor, size, threads));
    for (size_t i = 0; i < size; ++i)
      for (size_t j = 0; j < i; ++j) ASSERT_EQ(factor[i * size + j], 0.0f) << i << ", " << j;
    // U matrix U^T = 1
    for (size_t i = 0; i < size; i += 1 + size / 5)
      for (size_t j = 0; j < size; j += 1 + size / 7) {
        double sum = 0;
        for (size_t k = i; k < size; ++k)
          for (size_t l = j; l < size; ++l) sum += static_cast<double>(factor[i * size + k]) * matrix[k * size + l] * factor[j * size + l];
        EXPECT_NEAR(sum, i == j ? 1 : 0, 2e-5) << size << ": " << i << ", " << j;
      }
  }
}

TEST(TriangularFactor, RefusesWhatIsNotPositive) {
  ThreadPool threads(1);
  std::vector<float> matrix{1, 2, 2, 1};
  EXPECT_FALSE(factorize_inverse(matrix, 2, threads));
  std::vector<float> not_a_number{1, 0, 0, std::nanf("")};
  EXPECT_FALSE(factorize_inverse(not_a_number, 2, threads));
}

TEST(PrincipalDirections, AreTheEigenvectorsOfTheLargestEigenvalues) {
  constexpr size_t kSize = 40;
  // G = Q diag(1/1, 1/2, ..) Q^T with a Householder reflection Q.
  std::vector<double> v(kSize);
  double square = 0;
  for (size_t i = 0; i < kSize; ++i) v[i] = std::sin(static_cast<double>(i) + 1), square += v[i] * v[i];
  auto reflect = [&](std::vector<double> x) {
    double along = 0;
    for (size_t i = 0; i < kSize; ++i) along += v[i] * x[i];
    for (size_t i = 0; i < kSize; ++i) x[i] -= 2 * along / square * v[i];
    return x;
  };
  auto product = [&](std::span<const double> x, std::span<double> out) {
    std::vector<double> y = reflect({x.begin(), x.end()});
    for (size_t i = 0; i < kSize; ++i) y[i] /= static_cast<double>(i + 1);
    y = reflect(y);
    std::copy(y.begin(), y.end(), out.begin());
  };
  auto found = principal_directions(product, kSize, 3);
  ASSERT_EQ(found.size(), 3u);
  for (size_t k = 0; k < 3; ++k) {
    std::vector<double> back = reflect(found[k]);
    for (size_t i = 0; i < kSize; ++i) EXPECT_NEAR(std::fabs(back[i]), i == k ? 1 : 0, 1e-10) << k << ", " << i;
  }
}

TEST(PrincipalDirections, AreFewerWhereThereAreNoMore) {
  auto rank_one = [](std::span<const double> x, std::span<double> out) {
    double sum = 0;
    for (double value : x) sum += value;
    std::fill(out.begin(), out.end(), sum);
  };
  EXPECT_EQ(principal_directions(rank_one, 10, 4).size(), 1u);
  auto zero = [](std::span<const double>, std::span<double> out) { std::fill(out.begin(), out.end(), 0.0); };
  EXPECT_TRUE(principal_directions(zero, 10, 4).empty());
}

}  // namespace
}  // namespace nibble
