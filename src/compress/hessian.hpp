#pragma once

#include <string>
#include <vector>

#include "base/thread_pool.hpp"
#include "compress/calibration.hpp"

namespace nibble {

/// The second derivative of a layer's squared output error by one row of its weight: 2/n times the sum of x x^T over all tokens of the
/// first `limit` samples, n being their number: [columns, columns], of which the upper triangle is filled. Of stacked inputs the matrix
/// number `matrix` is taken; with `stacked` false all leading axes are tokens. f32 accumulates, as in NNCF. Zeros when no sample has
/// tokens.
/// Throws Error{corrupt} for inputs that are not finite or not [.., tokens, columns]; `layer` is for messages.
std::vector<float> input_hessian(const LayerInputs& inputs, size_t limit, size_t columns, bool stacked, size_t matrix,
                                 const std::string& layer, ThreadPool& threads);

}  // namespace nibble
