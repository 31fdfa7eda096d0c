#include "checkpoint/byte_reader.hpp"

#include "base/fail.hpp"

namespace nibble {

void ByteReader::seek(uint64_t position) {
  if (position > bytes_.size())
    fail(ErrorKind::corrupt, "{}: refers to byte {}, but ends after {}: the file is damaged or incomplete", where_, position,
         bytes_.size());
  position_ = static_cast<size_t>(position);
}

std::span<const std::byte> ByteReader::take(uint64_t count) {
  if (count > remaining())
    fail(ErrorKind::corrupt, "{}: {} bytes are wanted at byte {}, but only {} are left: the file is damaged or incomplete", where_, count,
         position_, remaining());
  auto out = bytes_.subspan(position_, static_cast<size_t>(count));
  position_ += static_cast<size_t>(count);
  return out;
}

std::string_view ByteReader::text(uint64_t count) { return as_text(take(count)); }

std::string_view ByteReader::line() {
  auto rest = as_text(bytes_.subspan(position_));
  size_t length = rest.find('\n');
  if (length == std::string_view::npos) fail(ErrorKind::corrupt, "{}: the line at byte {} does not end", where_, position_);
  position_ += length + 1;
  return rest.substr(0, length);
}

}  // namespace nibble
