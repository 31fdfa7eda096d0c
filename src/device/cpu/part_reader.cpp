#include "device/cpu/part_reader.hpp"

#include <algorithm>
#include <array>
#include <span>

#include "device/cpu/packed_format.hpp"
#include "tensor/convert.hpp"

namespace nibble::cpu {

namespace {

/// A slice of a source starts at a multiple of this, so that it starts on a byte (ConstantSource::produce).
constexpr size_t kSourceRows = 8;

constexpr size_t kByteValues = 256;

/// Many elements of a byte each are converted by a table: a small float takes its time.
void look_up_bytes(const Elements& elements, std::span<float> values) {
  std::array<std::byte, kByteValues> codes;
  std::array<float, kByteValues> table;
  for (size_t i = 0; i < kByteValues; ++i) codes[i] = static_cast<std::byte>(i);
  unpack_to_float(elements.type, codes.data(), 0, table);
  for (size_t i = 0; i < values.size(); ++i) values[i] = table[std::to_integer<size_t>(elements.data[elements.first + i])];
}

size_t elements_per_row(const ConstantSource& source, size_t output) {
  return element_count(source.shape(output)) / static_cast<size_t>(std::max<int64_t>(source.rows(), 1));
}

}  // namespace

PartReader::PartReader(const WeightMatrix& part, Range rows) : part_(part), rows_(part.transposed ? Range{0, part.rows} : rows) {}

Elements PartReader::codes() {
  return read(part_.codes, (part_.first_row + rows_.begin) * part_.columns, (rows_.end - rows_.begin) * part_.columns);
}

Elements PartReader::per_group(const ConstantValue& value) {
  if (!is_present(value)) return {};
  if (element_count(value.shape()) == 1) return read(value, 0, 1);
  size_t groups = model_groups(part_);
  return read(value, (part_.first_row + rows_.begin) * groups, (rows_.end - rows_.begin) * groups);
}

Elements PartReader::read(const ConstantValue& value, size_t first, size_t count) {
  if (!value.is_lazy()) return {value.type(), value.view().data(), first, count};
  size_t per_row = std::max<size_t>(elements_per_row(*value.source(), value.output()), 1);
  const Produced& made = produce(value.source(), first / per_row, (first + count + per_row - 1) / per_row);
  return {value.type(), made.outputs[value.output()].get(), first - made.begin * per_row, count};
}

const PartReader::Produced& PartReader::produce(const std::shared_ptr<const ConstantSource>& source, size_t begin, size_t end) {
  for (const auto& made : produced_)
    if (made->source == source && made->begin <= begin && end <= made->end) return *made;
  auto made = std::make_unique<Produced>();
  made->source = source;
  made->begin = begin / kSourceRows * kSourceRows;
  made->end = std::min((end + kSourceRows - 1) / kSourceRows * kSourceRows, static_cast<size_t>(source->rows()));
  auto first = static_cast<int64_t>(made->begin), last = static_cast<int64_t>(made->end);
  std::vector<std::span<std::byte>> spans;
  for (size_t i = 0; i < source->output_count(); ++i) {
    size_t bytes = row_slice_bytes(*source, i, first, last);
    made->outputs.push_back(std::make_unique_for_overwrite<std::byte[]>(bytes));
    spans.push_back({made->outputs.back().get(), bytes});
  }
  source->produce(first, last, spans);
  produced_.push_back(std::move(made));
  return *produced_.back();
}

std::span<const std::byte> bytes_of(const Elements& elements) {
  size_t bits = bit_width(elements.type);
  size_t begin = elements.first * bits / 8, end = ((elements.first + elements.count) * bits + 7) / 8;
  return {elements.data + begin, end - begin};
}

std::vector<float> to_floats(const Elements& elements) {
  std::vector<float> values(elements.count);
  if (bit_width(elements.type) == 8 && elements.count > kByteValues) {
    look_up_bytes(elements, values);
    return values;
  }
  unpack_to_float(elements.type, elements.data, elements.first, values);
  return values;
}

}  // namespace nibble::cpu
