#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

namespace nibble {

/// out = G v for a symmetric positive semidefinite G.
using SymmetricProduct = std::function<void(std::span<const double> v, std::span<double> out)>;

/// Orthonormal eigenvectors of the `count` largest eigenvalues of G [size, size], one after the other; fewer where G's rank is lower.
/// Lanczos' method with full orthogonalisation; exact, but for rounding, for sizes up to a few hundred, and close to the best subspace
/// beyond.
std::vector<std::vector<double>> principal_directions(const SymmetricProduct& product, size_t size, size_t count);

}  // namespace nibble
