#include "compress/principal_directions.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

namespace nibble {

namespace {

constexpr size_t kStepsPerDirection = 20;
constexpr size_t kLeastSteps = 160;
constexpr double kNegligible = 1e-14;

using Vector = std::vector<double>;

double dot(const Vector& a, const Vector& b) { return std::inner_product(a.begin(), a.end(), b.begin(), 0.0); }

void add_scaled(Vector& to, double factor, const Vector& v) {
  for (size_t i = 0; i < to.size(); ++i) to[i] += factor * v[i];
}

/// A symmetric tridiagonal matrix, and what its eigenvectors are made of.
struct Tridiagonal {
  Vector diagonal, beside;
  std::vector<Vector> vectors;  // columns of the rotations so far

  void identity() {
    vectors.assign(diagonal.size(), Vector(diagonal.size(), 0.0));
    for (size_t i = 0; i < diagonal.size(); ++i) vectors[i][i] = 1.0;
  }
  bool is_split(size_t i) const { return std::fabs(beside[i]) <= kNegligible * (std::fabs(diagonal[i]) + std::fabs(diagonal[i + 1])); }
};

/// One implicit QR step with Wilkinson's shift on rows first .. last (Golub and Van Loan, Matrix Computations, 8.3.3).
void qr_step(Tridiagonal& t, size_t first, size_t last) {
  Vector &d = t.diagonal, &e = t.beside;
  double half = (d[last - 1] - d[last]) / 2, square = e[last - 1] * e[last - 1];
  double shift = d[last] - square / (half + std::copysign(std::sqrt(half * half + square), half));
  double x = d[first] - shift, z = e[first];
  for (size_t k = first; k < last; ++k) {
    double r = std::hypot(x, z), c = r == 0 ? 1 : x / r, s = r == 0 ? 0 : z / r;
    if (k > first) e[k - 1] = r;
    double a = d[k], b = d[k + 1], f = e[k];
    d[k] = c * c * a + 2 * c * s * f + s * s * b;
    d[k + 1] = s * s * a - 2 * c * s * f + c * c * b;
    e[k] = c * s * (b - a) + (c * c - s * s) * f;
    x = e[k];
    if (k + 1 < last) z = s * e[k + 1], e[k + 1] *= c;
    for (size_t i = 0; i < d.size(); ++i) {
      double left = t.vectors[k][i], right = t.vectors[k + 1][i];
      t.vectors[k][i] = c * left + s * right;
      t.vectors[k + 1][i] = c * right - s * left;
    }
  }
}

void diagonalize(Tridiagonal& t) {
  t.identity();
  size_t last = t.diagonal.size() - 1;
  for (size_t steps = 0; last > 0 && steps < 60 * t.diagonal.size(); ++steps) {
    for (size_t i = 0; i < last; ++i)
      if (t.is_split(i)) t.beside[i] = 0;
    if (t.beside[last - 1] == 0) {
      --last;
      continue;
    }
    size_t first = last;
    while (first > 0 && t.beside[first - 1] != 0) --first;
    qr_step(t, first, last);
  }
}

Vector random_direction(size_t size, std::mt19937& random) {
  std::normal_distribution<double> normal;
  Vector v(size);
  for (double& x : v) x = normal(random);
  return v;
}

/// Removes what lies in the span of `basis`, twice for the sake of rounding; returns the length that is left and makes it 1.
double orthonormalize(Vector& v, const std::vector<Vector>& basis) {
  for (int pass = 0; pass < 2; ++pass)
    for (const Vector& b : basis) add_scaled(v, -dot(v, b), b);
  double length = std::sqrt(dot(v, v));
  if (length > 0)
    for (double& x : v) x /= length;
  return length;
}

}  // namespace

std::vector<std::vector<double>> principal_directions(const SymmetricProduct& product, size_t size, size_t count) {
  std::mt19937 random(1);
  std::vector<Vector> basis;
  Tridiagonal t;
  size_t steps = std::min(size, std::max(kLeastSteps, count * kStepsPerDirection));
  Vector v = random_direction(size, random), image(size);
  orthonormalize(v, basis);
  double largest = 0;
  while (basis.size() < steps) {
    basis.push_back(v);
    product(v, image);
    t.diagonal.push_back(dot(v, image));
    largest = std::max(largest, t.diagonal.back());
    double beside = orthonormalize(image, basis);
    if (basis.size() == steps) break;
    if (beside <= kNegligible * largest) break;  // the space that the first direction spans is complete
    t.beside.push_back(beside);
    v = image;
  }
  diagonalize(t);
  std::vector<size_t> order(basis.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return t.diagonal[a] > t.diagonal[b]; });
  std::vector<Vector> found;
  for (size_t i = 0; i < std::min(count, order.size()); ++i) {
    if (t.diagonal[order[i]] <= kNegligible * largest || largest == 0) break;
    Vector direction(size, 0.0);
    for (size_t k = 0; k < basis.size(); ++k) add_scaled(direction, t.vectors[order[i]][k], basis[k]);
    found.push_back(std::move(direction));
  }
  return found;
}

}  // namespace nibble
