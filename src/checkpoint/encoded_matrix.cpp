#include "checkpoint/encoded_matrix.hpp"

#include "base/fail.hpp"
#include "checkpoint/weight_source.hpp"

namespace nibble {

namespace {

/// Part `i` of `count` equal ones.
template <class T>
std::span<T> part(std::span<T> all, int64_t i, int64_t count) {
  size_t size = all.size() / static_cast<size_t>(count);
  return all.subspan(static_cast<size_t>(i) * size, size);
}

}  // namespace

void EncodedMatrix::read_rows(int64_t first, int64_t count, std::span<float> out) const {
  for (int64_t i = 0; i < count; ++i) read(first + i, 0, part(out, i, count));
}

void EncodedMatrix::read_code_rows(int64_t first, int64_t count, std::span<uint8_t> codes, std::span<float> scales,
                                   std::span<uint8_t> zero_points) const {
  for (int64_t i = 0; i < count; ++i) read_codes(first + i, part(codes, i, count), part(scales, i, count), part(zero_points, i, count));
}

void EncodedMatrix::read_codes(int64_t, std::span<uint8_t>, std::span<float>, std::span<uint8_t>) const {
  fail(ErrorKind::unsupported, "a matrix without codes was asked for them");
}

std::shared_ptr<const EncodedMatrix> WeightSource::encoded(std::string_view) const { return nullptr; }

}  // namespace nibble
