#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

namespace nibble {

/// A file being written. write_at is thread-safe for disjoint ranges; the rest is for one thread.
/// Until commit() the bytes stand under a temporary name beside the target; without it the destructor removes them.
class OutputFile {
 public:
  struct InPlace {};

  explicit OutputFile(std::filesystem::path target);
  /// Writes the file under its own name, over what it holds, and leaves it there whatever happens: for files of a directory that is not
  /// committed yet.
  OutputFile(std::filesystem::path target, InPlace);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void append(std::span<const std::byte> bytes);
  void append(std::string_view text);
  void write_at(uint64_t offset, std::span<const std::byte> bytes);
  /// What the file holds, which must be in place; false when it ends before.
  bool read_at(uint64_t offset, std::span<std::byte> bytes) const;
  /// Cuts off what lies beyond.
  void truncate(uint64_t bytes);
  /// Makes the file `bytes` long and takes the space for it on the disk, where the file system can do that. Throws Error{exhausted} with
  /// what is needed and what is there when these bytes, and `beside` for other files, are too many.
  /// What is written from then on goes to the disk meanwhile, so that commit() finds little left to wait for; of a file longer than a
  /// quarter of the memory the system keeps no copy, which would push out all else.
  void reserve(uint64_t bytes, uint64_t beside = 0);
  /// Fills the file up to `bytes` with zeros, to be written over. Done in blocks of a large page, so that systems that keep files in large
  /// pages (Linux 6.16 for ext4, earlier for XFS) keep this one so: mapped, it is read up to a third faster.
  void reserve_in_large_pages(uint64_t bytes);
  uint64_t size() const { return size_; }
  /// Flushes to the disk and gives the file its name, replacing a file of that name.
  void commit();
  /// The same without waiting for the disk: when the machine loses power soon after, the file may hold anything. For what can be made again
  /// and is checked when it is read.
  void commit_unflushed();

 private:
  void write_behind(uint64_t bytes);

  std::filesystem::path target_, temporary_;
  int fd_ = -1;
  uint64_t size_ = 0, written_ = 0;
  bool writes_behind_ = false, drops_ = false;
};

/// Writes `text` as a whole file, atomically.
void write_file(const std::filesystem::path& path, std::string_view text);

}  // namespace nibble
