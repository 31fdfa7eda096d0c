#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

namespace nibble {

/// A file being written. write_at is thread-safe for disjoint ranges; the rest is for one thread.
/// Until commit() the bytes stand under a temporary name beside the target; without it the destructor removes them.
class OutputFile {
 public:
  explicit OutputFile(std::filesystem::path target);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void append(std::span<const std::byte> bytes);
  void append(std::string_view text);
  void write_at(uint64_t offset, std::span<const std::byte> bytes);
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
  std::filesystem::path target_, temporary_;
  int fd_ = -1;
  uint64_t size_ = 0;
};

/// Writes `text` as a whole file, atomically.
void write_file(const std::filesystem::path& path, std::string_view text);

/// A directory that appears whole: fill path(), then commit(). Without commit the destructor removes everything.
class OutputDirectory {
 public:
  /// Throws Error{invalid_argument} when `target` exists and is not an empty directory: nothing there is ever touched.
  explicit OutputDirectory(std::filesystem::path target);
  ~OutputDirectory();
  OutputDirectory(const OutputDirectory&) = delete;
  OutputDirectory& operator=(const OutputDirectory&) = delete;

  const std::filesystem::path& path() const { return temporary_; }
  void commit();

 private:
  std::filesystem::path target_, temporary_;
  std::vector<std::filesystem::path> made_parents_;  ///< nearest first; removed again without commit
  bool committed_ = false;
};

/// Throws Error{exhausted} when the file system of `directory` has fewer than `bytes` free.
void require_free_space(const std::filesystem::path& directory, uint64_t bytes);

}  // namespace nibble
