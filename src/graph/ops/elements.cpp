#include "graph/ops/elements.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <optional>

#include "base/fail.hpp"
#include "tensor/convert.hpp"

namespace nibble {

namespace {

constexpr size_t kMaxBytes = size_t{1} << 34;
constexpr int64_t kMaxMap = int64_t{1} << 28;

bool is_sub_byte(ElementType type) { return bit_width(type) > 0 && bit_width(type) < 8; }

/// The unsigned type whose values are the codes of `type`.
ElementType code_type(ElementType type) { return bit_width(type) == 4 ? ElementType::u4 : type; }

Tensor retyped(const Tensor& tensor, ElementType type) {
  auto owner = std::make_shared<Tensor>(tensor);
  return Tensor::view(type, tensor.shape(), tensor.bytes(), owner);
}

void check_size(ElementType type, const Shape& shape) {
  if (packed_bytes(type, element_count(shape)) > kMaxBytes)
    fail(ErrorKind::exhausted, "a result of shape {} and type {} is larger than 16 GiB", to_string(shape), to_string(type));
}

}  // namespace

Tensor make_output(ElementType type, Shape shape) {
  check_size(type, shape);
  return Tensor(type, std::move(shape));
}

Tensor make_unset_output(ElementType type, Shape shape) {
  check_size(type, shape);
  return Tensor::uninitialized(type, std::move(shape));
}

size_t element_bytes(const Tensor& tensor) {
  size_t bits = bit_width(tensor.type());
  if (bits < 8) fail(ErrorKind::unsupported, "elements of type {} cannot be moved one by one", to_string(tensor.type()));
  return bits / 8;
}

size_t run_bytes(ElementType type, size_t count) {
  if (type == ElementType::u3) return count % 8 == 0 ? count / 8 * 3 : 0;
  if (type == ElementType::u6) return count % 4 == 0 ? count / 4 * 3 : 0;
  size_t bits = count * bit_width(type);
  return bits % 8 == 0 ? bits / 8 : 0;
}

Tensor whole_bytes(const Tensor& tensor) {
  if (tensor.type() == ElementType::string) fail(ErrorKind::unsupported, "string tensors cannot be rearranged");
  if (!is_sub_byte(tensor.type())) return tensor;
  return convert(retyped(tensor, code_type(tensor.type())), ElementType::u8);
}

Tensor packed_as(const Tensor& codes, ElementType type) {
  if (codes.type() == type) return codes;
  return retyped(convert(codes, code_type(type)), type);
}

std::vector<int64_t> integers(const EvalContext& context, size_t input) { return to_int64s(context.inputs[input]); }

int64_t scalar_integer(const EvalContext& context, size_t input) {
  const Tensor& tensor = context.inputs[input];
  if (tensor.size() != 1) fail(ErrorKind::corrupt, "input {} should be one integer, not of shape {}", input, to_string(tensor.shape()));
  return to_int64s(tensor).front();
}

int64_t normalize_index(int64_t index, int64_t length) {
  if (index < -length || index >= length)
    fail(ErrorKind::invalid_argument, "index {} is out of range: the axis has {} elements", index, length);
  return index < 0 ? index + length : index;
}

std::vector<size_t> dense_strides(const Shape& shape) {
  std::vector<size_t> strides(shape.size(), 1);
  for (size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * static_cast<size_t>(shape[i]);
  return strides;
}

bool Odometer::next() {
  for (size_t i = shape_.size(); i-- > 0;) {
    if (++index_[i] < shape_[i]) return true;
    index_[i] = 0;
  }
  return false;
}

AxisMap make_map(int64_t length) {
  if (length < 0) fail(ErrorKind::corrupt, "{} is no dimension", length);
  if (length > kMaxMap) fail(ErrorKind::exhausted, "an axis of {} elements is too long", length);
  return AxisMap(static_cast<size_t>(length));
}

AxisMap identity_map(int64_t length) {
  AxisMap map = make_map(length);
  std::iota(map.begin(), map.end(), 0);
  return map;
}

std::vector<AxisMap> identity_maps(const Shape& shape) {
  std::vector<AxisMap> maps;
  for (int64_t dim : shape) maps.push_back(identity_map(dim));
  return maps;
}

void copy_element(std::byte* to, const std::byte* from, size_t size) {
  switch (size) {  // constant sizes become single moves
    case 1: *to = *from; return;
    case 2: std::memcpy(to, from, 2); return;
    case 4: std::memcpy(to, from, 4); return;
    case 8: std::memcpy(to, from, 8); return;
    default: std::memcpy(to, from, size);
  }
}

namespace {

bool is_identity(const AxisMap& map, int64_t length) {
  if (static_cast<int64_t>(map.size()) != length) return false;
  for (int64_t i = 0; i < length; ++i)
    if (map[static_cast<size_t>(i)] != i) return false;
  return true;
}

/// Neighbours of the result that are neighbours in the data, or all filled.
struct Run {
  int64_t from;
  size_t length;
};

std::vector<Run> find_runs(const AxisMap& map) {
  std::vector<Run> runs;
  for (int64_t from : map) {
    bool extends =
        !runs.empty() && (from == kFill ? runs.back().from == kFill
                                        : runs.back().from != kFill && from == runs.back().from + static_cast<int64_t>(runs.back().length));
    if (extends)
      ++runs.back().length;
    else
      runs.push_back({from, 1});
  }
  return runs;
}

Shape mapped_shape(const Tensor& data, const std::vector<AxisMap>& maps) {
  Shape shape;
  for (size_t axis = 0; axis < maps.size(); ++axis) {
    shape.push_back(static_cast<int64_t>(maps[axis].size()));
    for (int64_t from : maps[axis])
      if (from >= data.shape()[axis]) fail(ErrorKind::invalid_argument, "index {} of an axis of {} elements", from, data.shape()[axis]);
  }
  return shape;
}

/// Copies the runs of the last mapped axis; a unit is one index of that axis.
std::byte* copy_runs(std::byte* to, const std::byte* from, const std::vector<Run>& runs, size_t unit) {
  for (const Run& run : runs) {
    if (run.from == kFill) {
      to += run.length * unit;
      continue;
    }
    const std::byte* begin = from + static_cast<size_t>(run.from) * unit;
    if (run.length == 1)
      copy_element(to, begin, unit);
    else
      std::memcpy(to, begin, run.length * unit);
    to += run.length * unit;
  }
  return to;
}

void fill_with(Tensor& out, std::span<const std::byte> fill) {
  if (std::all_of(fill.begin(), fill.end(), [](std::byte b) { return b == std::byte{0}; })) return;
  std::byte* end = out.mutable_data() + out.byte_size();
  for (std::byte* p = out.mutable_data(); p < end; p += fill.size()) copy_element(p, fill.data(), fill.size());
}

bool has_fill(const std::vector<AxisMap>& maps) {
  return std::any_of(maps.begin(), maps.end(), [](const AxisMap& map) { return std::find(map.begin(), map.end(), kFill) != map.end(); });
}

/// Byte offset of the data for the outer axes, or nothing when one of them is filled.
std::optional<size_t> outer_offset(const Odometer& at, const std::vector<AxisMap>& maps, const std::vector<size_t>& strides, size_t axes) {
  size_t offset = 0;
  for (size_t axis = 0; axis < axes; ++axis) {
    int64_t from = maps[axis][static_cast<size_t>(at[axis])];
    if (from == kFill) return std::nullopt;
    offset += static_cast<size_t>(from) * strides[axis];
  }
  return offset;
}

}  // namespace

Tensor remap_axes(const Tensor& data, const std::vector<AxisMap>& maps, std::span<const std::byte> fill) {
  size_t bytes = element_bytes(data);
  bool is_filled = has_fill(maps);
  Tensor out = (is_filled ? make_output : make_unset_output)(data.type(), mapped_shape(data, maps));
  if (out.size() == 0) return out;
  if (!fill.empty() && is_filled) fill_with(out, fill);
  size_t axes = maps.size();  // leading axes that are not simply copied whole
  while (axes > 0 && is_identity(maps[axes - 1], data.shape()[axes - 1])) --axes;
  if (axes == 0) {
    std::memcpy(out.mutable_data(), data.data(), data.byte_size());
    return out;
  }
  std::vector<size_t> strides = dense_strides(data.shape());
  size_t unit = strides[axes - 1] * bytes;
  std::vector<Run> runs = find_runs(maps[axes - 1]);
  Odometer at(std::span(out.shape()).first(axes - 1));
  std::byte* to = out.mutable_data();
  do {
    auto offset = outer_offset(at, maps, strides, axes - 1);
    if (offset)
      to = copy_runs(to, data.data() + *offset * bytes, runs, unit);
    else
      to += maps[axes - 1].size() * unit;
  } while (at.next());
  return out;
}

Tensor permute_axes(const Tensor& data, std::span<const size_t> order) {
  size_t bytes = element_bytes(data);
  std::vector<size_t> strides = dense_strides(data.shape());
  Shape shape;
  for (size_t axis : order) shape.push_back(data.shape()[axis]);
  Tensor out = make_unset_output(data.type(), shape);
  if (out.size() == 0) return out;
  size_t moved = order.size();  // axes behind these stay where they are and are copied whole
  while (moved > 0 && order[moved - 1] == moved - 1) --moved;
  size_t unit = moved == 0 ? data.byte_size() : strides[moved - 1] * bytes;
  if (moved == 0) {
    std::memcpy(out.mutable_data(), data.data(), unit);
    return out;
  }
  size_t step = strides[order[moved - 1]] * bytes;
  Odometer at(std::span(out.shape()).first(moved - 1));
  std::byte* to = out.mutable_data();
  do {
    const std::byte* from = data.data();
    for (size_t axis = 0; axis + 1 < moved; ++axis) from += static_cast<size_t>(at[axis]) * strides[order[axis]] * bytes;
    for (int64_t i = 0; i < shape[moved - 1]; ++i, from += step, to += unit) copy_element(to, from, unit);
  } while (at.next());
  return out;
}

}  // namespace nibble
