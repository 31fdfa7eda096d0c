#include "compress/weight_layout.hpp"

#include <algorithm>
#include <array>

#include "base/fail.hpp"

namespace nibble {

namespace {

void check_group_size(const Shape& shape, const std::vector<size_t>& axes, int64_t group_size, std::string_view name) {
  if (axes.size() != 1)
    fail(ErrorKind::unsupported, "weight '{}' {}: groups need a single reduction axis, it has {}; use group size -1 or leave it out", name,
         to_string(shape), axes.size());
  int64_t width = shape[axes[0]];
  if (group_size < 1 || width % group_size)
    fail(ErrorKind::invalid_argument, "weight '{}': its {} channels are not a multiple of the group size {}; choose a divisor or -1", name,
         width, group_size);
}

/// Splits the axes into blocks, reduced, columns, inner: runs of axes that are kept, reduced, kept, reduced.
std::array<size_t, 4> runs_of(const Shape& shape, const std::vector<size_t>& axes, std::string_view name) {
  std::array<size_t, 4> runs{1, 1, 1, 1};
  size_t run = 0;
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    bool reduced = std::find(axes.begin(), axes.end(), axis) != axes.end();
    if (reduced != (run % 2 == 1)) ++run;
    if (run == runs.size()) fail(ErrorKind::unsupported, "weight '{}' {}: its reduction axes lie too scattered", name, to_string(shape));
    runs[run] *= static_cast<size_t>(shape[axis]);
  }
  return runs;
}

Shape with_ones(Shape shape, const std::vector<size_t>& axes) {
  for (size_t axis : axes) shape[axis] = 1;
  return shape;
}

}  // namespace

WeightLayout weight_layout(const Shape& shape, const std::vector<size_t>& reduction_axes, int64_t group_size, std::string_view name) {
  WeightLayout layout;
  auto [blocks, reduced, columns, inner] = runs_of(shape, reduction_axes, name);
  layout.codes = shape;
  std::vector<size_t> shared = reduction_axes;
  layout.rows = blocks;
  if (group_size != -1) {
    check_group_size(shape, reduction_axes, group_size, name);
    size_t axis = reduction_axes[0], size = static_cast<size_t>(group_size), groups = reduced / size;
    layout.codes[axis] = static_cast<int64_t>(groups);
    layout.codes.insert(layout.codes.begin() + static_cast<int64_t>(axis) + 1, group_size);
    shared = {axis + 1};
    blocks *= groups;
    reduced = size;
    if (columns > 1) layout.rows = blocks;
  }
  layout.scales = with_ones(layout.codes, shared);
  layout.blocks = blocks, layout.reduced = reduced, layout.columns = columns, layout.inner = inner;
  return layout;
}

}  // namespace nibble
