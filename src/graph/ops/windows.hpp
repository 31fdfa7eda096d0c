#pragma once

#include <array>
#include <vector>

#include "graph/node.hpp"

namespace nibble {

/// How a window moves over the spatial axes of a tensor [N, C, D1..Dk]: what convolutions and pooling have in common. Vectors
/// have one entry per spatial axis. Checked: strides and dilations in [1, 2^31), pads in [0, 2^31).
struct Windows {
  std::vector<int64_t> strides, dilations, pads_begin, pads_end, kernel;
  enum class AutoPad { given, same_upper, same_lower, valid } auto_pad = AutoPad::given;
  enum class Rounding { floor, ceil, ceil_torch } rounding = Rounding::floor;

  size_t rank() const { return strides.size(); }
  /// Elements of the axis that a window spans.
  int64_t extent(size_t axis) const { return dilations[axis] * (kernel[axis] - 1) + 1; }
  /// Number of windows along an axis of `length` elements; kDynamic where length or kernel is.
  int64_t count(size_t axis, int64_t length) const;
  /// Replaces automatic pads by their values for these lengths.
  void resolve_pads(const std::vector<int64_t>& lengths);
};

/// From the attributes strides, dilations, pads_begin, pads_end, auto_pad and rounding_type; missing ones mean 1 and 0.
/// Throws Error{corrupt} where they contradict each other.
Windows read_windows(const Node& node, std::vector<int64_t> kernel);

/// Number of spatial axes of data and kernel, checked to be 1, 2 or 3.
size_t spatial_rank(size_t rank, size_t leading);

}  // namespace nibble
