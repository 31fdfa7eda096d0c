#include "graph/ops/windows.hpp"

#include <algorithm>

#include "base/fail.hpp"

namespace nibble {

namespace {

constexpr int64_t kLimit = int64_t{1} << 31;

std::vector<int64_t> read_list(const Node& node, std::string_view name, size_t size, int64_t least) {
  std::vector<int64_t> values = node.attributes().get_ints(name);
  if (values.empty()) values.assign(size, least);
  if (values.size() != size) fail(ErrorKind::corrupt, "{} has {} entries for {} spatial dimensions", name, values.size(), size);
  for (int64_t value : values)
    if (value < least || value >= kLimit) fail(ErrorKind::corrupt, "{} should be in [{}, 2^31), not {}", name, least, value);
  return values;
}

Windows::AutoPad read_auto_pad(const Attributes& attributes) {
  using AutoPad = Windows::AutoPad;
  for (std::string_view name : {"explicit", "notset"})
    if (attributes.equals("auto_pad", name, "explicit")) return AutoPad::given;
  if (attributes.equals("auto_pad", "same_upper", "")) return AutoPad::same_upper;
  if (attributes.equals("auto_pad", "same_lower", "")) return AutoPad::same_lower;
  if (attributes.equals("auto_pad", "valid", "")) return AutoPad::valid;
  fail(ErrorKind::corrupt, "auto_pad '{}' is not known", attributes.get_string("auto_pad"));
}

Windows::Rounding read_rounding(const Attributes& attributes) {
  using Rounding = Windows::Rounding;
  if (attributes.equals("rounding_type", "floor", "floor")) return Rounding::floor;
  if (attributes.equals("rounding_type", "ceil", "floor")) return Rounding::ceil;
  if (attributes.equals("rounding_type", "ceil_torch", "floor")) return Rounding::ceil_torch;
  fail(ErrorKind::corrupt, "rounding_type '{}' is not known", attributes.get_string("rounding_type"));
}

}  // namespace

Windows read_windows(const Node& node, std::vector<int64_t> kernel) {
  size_t rank = kernel.size();
  for (int64_t size : kernel)
    if (size != kDynamic && (size < 1 || size >= kLimit)) fail(ErrorKind::corrupt, "a kernel of {} elements", size);
  Windows windows{read_list(node, "strides", rank, 1),
                  read_list(node, "dilations", rank, 1),
                  read_list(node, "pads_begin", rank, 0),
                  read_list(node, "pads_end", rank, 0),
                  std::move(kernel),
                  read_auto_pad(node.attributes()),
                  read_rounding(node.attributes())};
  if (windows.auto_pad == Windows::AutoPad::valid) {
    windows.pads_begin.assign(rank, 0);
    windows.pads_end.assign(rank, 0);
  }
  return windows;
}

int64_t Windows::count(size_t axis, int64_t length) const {
  if (length == kDynamic || kernel[axis] == kDynamic) return kDynamic;
  if (length > int64_t{1} << 60) fail(ErrorKind::corrupt, "a spatial dimension of {} is too long", length);
  int64_t stride = strides[axis];
  if (auto_pad == AutoPad::same_upper || auto_pad == AutoPad::same_lower) return (length + stride - 1) / stride;
  int64_t room = length + pads_begin[axis] + pads_end[axis] - extent(axis);
  if (room < 0) fail(ErrorKind::corrupt, "a window of {} elements does not fit a padded axis of {}", extent(axis), room + extent(axis));
  if (rounding == Rounding::floor) return room / stride + 1;
  int64_t windows = (room + stride - 1) / stride + 1;
  // PyTorch drops a last window that would start behind the data and its front padding.
  bool starts_outside = (windows - 1) * stride >= length + pads_begin[axis];
  return rounding == Rounding::ceil_torch && starts_outside ? windows - 1 : windows;
}

void Windows::resolve_pads(const std::vector<int64_t>& lengths) {
  if (auto_pad != AutoPad::same_upper && auto_pad != AutoPad::same_lower) return;
  for (size_t axis = 0; axis < rank(); ++axis) {
    int64_t total = std::max<int64_t>(0, (count(axis, lengths[axis]) - 1) * strides[axis] + extent(axis) - lengths[axis]);
    pads_begin[axis] = auto_pad == AutoPad::same_upper ? total / 2 : total - total / 2;
    pads_end[axis] = total - pads_begin[axis];
  }
}

size_t spatial_rank(size_t rank, size_t leading) {
  if (rank < leading + 1 || rank > leading + 3)
    fail(ErrorKind::unsupported, "a tensor of rank {} has {} spatial dimensions: 1, 2 or 3 are supported", rank,
         static_cast<int64_t>(rank) - static_cast<int64_t>(leading));
  return rank - leading;
}

}  // namespace nibble
