// The zip format: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, sections 4.3.7 (local header), 4.3.12 (central
// directory), 4.3.14 to 4.3.16 (end records) and 4.5.3 (zip64 extra field).
#include "checkpoint/zip_directory.hpp"

#include <algorithm>

#include "base/fail.hpp"
#include "checkpoint/byte_reader.hpp"
#include "checkpoint/shown.hpp"

namespace nibble {

namespace {

constexpr uint32_t kLocalSignature = 0x04034b50, kCentralSignature = 0x02014b50, kEndSignature = 0x06054b50;
constexpr uint32_t kEnd64Signature = 0x06064b50, kLocator64Signature = 0x07064b50;
constexpr size_t kEndBytes = 22, kLocator64Bytes = 20, kMaxCommentBytes = 0xffff;
constexpr uint32_t kIn64 = 0xffffffff;  // "see the zip64 extra field"

/// Replaces the sizes and the offset that do not fit 32 bits by those of the zip64 extra field.
void read_zip64_extra(ByteReader extra, uint64_t& size, uint64_t& compressed_size, uint64_t& offset) {
  while (extra.remaining() >= 4) {
    auto id = extra.read<uint16_t>();
    ByteReader field(extra.take(extra.read<uint16_t>()), extra.where());
    if (id != 1) continue;
    for (uint64_t* value : {&size, &compressed_size, &offset})
      if (*value == kIn64) *value = field.read<uint64_t>();
    return;
  }
}

}  // namespace

ZipDirectory::ZipDirectory(std::span<const std::byte> archive, std::string file) : archive_(archive), file_(std::move(file)) {
  read_entries(find_central());
}

ZipDirectory::Central ZipDirectory::find_central() const {
  size_t most = std::min(archive_.size(), kEndBytes + kMaxCommentBytes);
  for (size_t back = kEndBytes; back <= most; ++back) {
    size_t at = archive_.size() - back;
    ByteReader reader(archive_.subspan(at), file_);
    if (reader.read<uint32_t>() != kEndSignature) continue;
    reader.seek(kEndBytes - 2);
    if (reader.read<uint16_t>() != back - kEndBytes) continue;
    reader.seek(10);
    Central central{reader.read<uint16_t>(), 0, 0};
    central.size = reader.read<uint32_t>();
    central.offset = reader.read<uint32_t>();
    if (at < kLocator64Bytes) return central;
    ByteReader locator(archive_.subspan(at - kLocator64Bytes, kLocator64Bytes), file_);
    return locator.read<uint32_t>() == kLocator64Signature ? read_zip64(at - kLocator64Bytes) : central;
  }
  fail(ErrorKind::corrupt, "{}: the directory at the end of this zip archive is missing: the download is incomplete, fetch the file again",
       file_);
}

ZipDirectory::Central ZipDirectory::read_zip64(uint64_t locator) const {
  ByteReader reader(archive_, file_);
  reader.seek(locator + 8);
  reader.seek(reader.read<uint64_t>());
  if (reader.read<uint32_t>() != kEnd64Signature) fail(ErrorKind::corrupt, "{}: the zip64 end record is not where it should be", file_);
  reader.take(28);
  Central central{reader.read<uint64_t>(), 0, 0};
  central.size = reader.read<uint64_t>();
  central.offset = reader.read<uint64_t>();
  return central;
}

void ZipDirectory::read_entries(const Central& central) {
  ByteReader whole(archive_, file_ + ": zip directory");
  whole.seek(central.offset);
  ByteReader reader(whole.take(central.size), whole.where());
  for (uint64_t i = 0; i < central.entries; ++i) {
    if (reader.read<uint32_t>() != kCentralSignature) fail(ErrorKind::corrupt, "{}: entry {} is damaged", reader.where(), i);
    Entry entry;
    reader.take(4);
    entry.flags = reader.read<uint16_t>();
    entry.method = reader.read<uint16_t>();
    reader.take(8);
    entry.compressed_size = reader.read<uint32_t>();
    entry.size = reader.read<uint32_t>();
    auto name_bytes = reader.read<uint16_t>(), extra_bytes = reader.read<uint16_t>(), comment_bytes = reader.read<uint16_t>();
    reader.take(8);
    entry.local_header = reader.read<uint32_t>();
    auto name = reader.text(name_bytes);
    read_zip64_extra(ByteReader(reader.take(extra_bytes), reader.where()), entry.size, entry.compressed_size, entry.local_header);
    reader.take(comment_bytes);
    if (i == 0) first_ = name;
    if (!entries_.emplace(name, entry).second) fail(ErrorKind::corrupt, "{}: {} appears twice", reader.where(), shown(name));
  }
}

std::span<const std::byte> ZipDirectory::stored(std::string_view name) const {
  auto found = entries_.find(name);
  if (found == entries_.end()) fail(ErrorKind::corrupt, "{}: the archive holds no {}", file_, shown(name));
  const auto& entry = found->second;
  if (entry.flags & 1u) fail(ErrorKind::unsupported, "{}: {} is encrypted", file_, shown(name));
  if (entry.method != 0)
    fail(ErrorKind::unsupported, "{}: {} is compressed, which torch.save never does: unpack the archive and pack it with `zip -0 -r`",
         file_, shown(name));
  if (entry.size != entry.compressed_size) fail(ErrorKind::corrupt, "{}: the two sizes of {} differ", file_, shown(name));
  ByteReader reader(archive_, fmt::format("{}: {}", file_, shown(name)));
  reader.seek(entry.local_header);
  if (reader.read<uint32_t>() != kLocalSignature) fail(ErrorKind::corrupt, "{}: its header is damaged", reader.where());
  reader.take(22);
  auto name_bytes = reader.read<uint16_t>(), extra_bytes = reader.read<uint16_t>();
  if (reader.text(name_bytes) != name) fail(ErrorKind::corrupt, "{}: its header is that of another entry", reader.where());
  reader.take(extra_bytes);
  return reader.take(entry.size);
}

}  // namespace nibble
