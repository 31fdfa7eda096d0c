#pragma once

#include <cstddef>
#include <span>

#include "base/thread_pool.hpp"

namespace nibble {

/// Replaces a symmetric positive definite matrix [size, size], of which the upper triangle is read, by the upper triangular U with
/// U^T U = its inverse: the Cholesky factor of the inverse, made without the inverse. What is below the diagonal is zero then. Blocked, in
/// f32 (the blocks on the diagonal in double). Returns false, with the matrix spoilt, when it is not positive definite.
bool factorize_inverse(std::span<float> matrix, size_t size, ThreadPool& threads);

}  // namespace nibble
