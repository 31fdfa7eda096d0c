#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>

namespace nibble {

/// The entries of a zip archive in memory, found through its central directory (zip64 too); data is never copied. Thread-safe,
/// immutable; the archive must outlive it. Checksums are not compared: torch.save may be told to leave them out.
class ZipDirectory {
 public:
  /// Throws Error{corrupt} where the structure contradicts itself; `file` names the archive in messages.
  ZipDirectory(std::span<const std::byte> archive, std::string file);

  bool contains(std::string_view name) const { return entries_.contains(name); }
  /// The bytes of an entry. Throws Error{corrupt} when there is none, Error{unsupported} when it is compressed or encrypted.
  std::span<const std::byte> stored(std::string_view name) const;
  /// Name of the entry that the central directory lists first; empty for an empty archive.
  std::string_view first() const { return first_; }

 private:
  struct Entry {
    uint64_t local_header = 0, size = 0, compressed_size = 0;
    uint16_t flags = 0, method = 0;
  };
  struct Central {
    uint64_t entries = 0, size = 0, offset = 0;
  };

  Central find_central() const;
  Central read_zip64(uint64_t locator) const;
  void read_entries(const Central& central);

  std::span<const std::byte> archive_;
  std::string file_;
  std::map<std::string_view, Entry> entries_;
  std::string_view first_;
};

}  // namespace nibble
