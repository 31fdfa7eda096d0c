#pragma once

#include <filesystem>
#include <vector>

namespace nibble {

/// A directory that appears whole: fill path(), then commit(). Without commit the destructor removes everything. For one thread.
///
/// It is made in TARGET.partial, which one process at a time holds by a lock. A process that is killed leaves it behind: the next one
/// clears it or, if told so, goes on with what is there.
class OutputDirectory {
 public:
  enum class Leftover {
    remove,
    take_over,  ///< what an earlier process left in path() and workshop() stays
  };

  /// Throws Error{invalid_argument} when `target` exists and is not an empty directory (nothing there is ever touched), when another
  /// process is making it, and when something of other origin is called TARGET.partial.
  explicit OutputDirectory(std::filesystem::path target, Leftover leftover = Leftover::remove);
  ~OutputDirectory();
  OutputDirectory(const OutputDirectory&) = delete;
  OutputDirectory& operator=(const OutputDirectory&) = delete;

  /// What becomes the directory.
  const std::filesystem::path& path() const { return contents_; }
  /// TARGET.partial: for what belongs to the making and not to the result.
  const std::filesystem::path& workshop() const { return workshop_; }
  /// Without commit() all of it stays, to be taken over.
  void keep() { kept_ = true; }
  void commit();

 private:
  /// Locked as long as it is open.
  class Lock {
   public:
    /// Makes the directory where it is not there.
    explicit Lock(const std::filesystem::path& directory);
    ~Lock();
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;

   private:
    bool take(const std::filesystem::path& directory);
    int fd_ = -1;
  };

  std::filesystem::path target_;
  std::vector<std::filesystem::path> made_parents_;  ///< nearest first; removed again without commit
  std::filesystem::path workshop_, contents_;
  Lock lock_;
  bool committed_ = false, kept_ = false;
};

}  // namespace nibble
