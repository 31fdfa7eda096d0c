#include "checkpoint/gguf/gguf_value.hpp"

#include "base/fail.hpp"

namespace nibble {

namespace {

constexpr int kMaxDepth = 4;  // nothing in use nests arrays at all

/// Bytes of a value of fixed size; 0 for texts and arrays.
size_t fixed_size(GgufType type, const ByteReader& reader) {
  switch (type) {
    case GgufType::u8:
    case GgufType::i8:
    case GgufType::boolean: return 1;
    case GgufType::u16:
    case GgufType::i16: return 2;
    case GgufType::u32:
    case GgufType::i32:
    case GgufType::f32: return 4;
    case GgufType::u64:
    case GgufType::i64:
    case GgufType::f64: return 8;
    case GgufType::text:
    case GgufType::array: return 0;
  }
  fail(ErrorKind::corrupt, "{}: metadata holds a value of type {}, which the format does not have", reader.where(),
       static_cast<uint32_t>(type));
}

void check_booleans(std::span<const std::byte> bytes, const ByteReader& reader) {
  for (std::byte value : bytes)
    if (std::to_integer<int>(value) > 1)
      fail(ErrorKind::corrupt, "{}: metadata holds a boolean that is {}", reader.where(), std::to_integer<int>(value));
}

void skip_elements(ByteReader& reader, GgufType type, uint64_t count, int depth);

void skip_array(ByteReader& reader, int depth) {
  if (depth == kMaxDepth) fail(ErrorKind::corrupt, "{}: metadata nests arrays more than {} deep", reader.where(), kMaxDepth);
  auto type = static_cast<GgufType>(reader.read<uint32_t>());
  auto count = reader.read<uint64_t>();
  skip_elements(reader, type, count, depth + 1);
}

void skip_elements(ByteReader& reader, GgufType type, uint64_t count, int depth) {
  size_t size = fixed_size(type, reader);
  if (size > 0) {
    if (count > reader.remaining() / size)
      fail(ErrorKind::corrupt, "{}: an array of {} elements is longer than the file", reader.where(), count);
    auto bytes = reader.take(count * size);
    if (type == GgufType::boolean) check_booleans(bytes, reader);
    return;
  }
  for (uint64_t i = 0; i < count; ++i)  // every element takes 8 bytes or more: the end of the file ends this
    if (type == GgufType::text)
      reader.take(reader.read<uint64_t>());
    else
      skip_array(reader, depth);
}

}  // namespace

GgufValue read_gguf_value(ByteReader& reader, GgufType type) {
  GgufValue value{.type = type, .bytes = {}};
  if (type == GgufType::array) {
    value.is_array = true;
    value.type = static_cast<GgufType>(reader.read<uint32_t>());
    value.count = reader.read<uint64_t>();
  }
  ByteReader start = reader;
  skip_elements(reader, value.type, value.count, value.is_array ? 1 : 0);
  value.bytes = start.take(reader.position() - start.position());
  return value;
}

std::string_view describe(const GgufValue& value) {
  switch (value.type) {
    case GgufType::boolean: return value.is_array ? "a list of booleans" : "a boolean";
    case GgufType::text: return value.is_array ? "a list of texts" : "a text";
    case GgufType::f32:
    case GgufType::f64: return value.is_array ? "a list of numbers" : "a number";
    case GgufType::array: return "a list of lists";
    default: return value.is_array ? "a list of whole numbers" : "a whole number";
  }
}

}  // namespace nibble
