#include "base/output_directory.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <system_error>
#include <utility>

#include "base/disk.hpp"
#include "base/fail.hpp"
#include "base/output_file.hpp"

namespace nibble {

namespace fs = std::filesystem;

namespace {

/// Tells our leftovers from directories of others, and people what they have found.
constexpr const char* kMark = "UNFINISHED.txt";

/// The directories above `path` that are not there, nearest first.
std::vector<fs::path> missing_parents(const fs::path& path) {
  std::vector<fs::path> missing;
  std::error_code code;
  for (fs::path parent = path.parent_path(); !parent.empty() && !fs::exists(parent, code); parent = parent.parent_path())
    missing.push_back(parent);
  return missing;
}

fs::path without_trailing_slash(fs::path path) { return path.has_filename() ? path : path.parent_path(); }

fs::path workshop_of(fs::path target) { return target += ".partial"; }

void require_absent(const fs::path& target) {
  std::error_code code;
  if (fs::exists(fs::symlink_status(target, code)) && !(fs::is_directory(target, code) && fs::is_empty(target, code)))
    fail(ErrorKind::invalid_argument, "{}: exists already and is left untouched; choose another output directory or remove it first",
         target.string());
}

/// `target` is checked before anything is made.
std::vector<fs::path> make_parents(const fs::path& target) {
  require_absent(target);
  std::vector<fs::path> made = missing_parents(target);
  std::error_code code;
  if (target.has_parent_path()) fs::create_directories(target.parent_path(), code);
  if (code) fail(ErrorKind::invalid_argument, "{}: cannot create: {}", target.parent_path().string(), code.message());
  return made;
}

void require_ours(const fs::path& workshop, const fs::path& target) {
  if (fs::is_empty(workshop) || fs::exists(workshop / kMark)) return;
  fail(ErrorKind::invalid_argument, "{}: is in the way: {} is made there, and the files in it are not Nibble's; rename or remove it",
       workshop.string(), target.string());
}

void write_mark(const fs::path& workshop, const fs::path& target) {
  if (fs::exists(workshop / kMark)) return;
  write_file(workshop / kMark, fmt::format("Nibble was making {} here and did not finish. This directory may be removed.\n"
                                           "The next run to the same place clears it; nibble export --resume goes on with it.\n",
                                           target.filename().string()));
}

void clear(const fs::path& workshop) {
  for (const auto& entry : fs::directory_iterator(workshop))
    if (entry.path().filename() != kMark) fs::remove_all(entry.path());
}

void prepare(const fs::path& workshop, const fs::path& contents, const fs::path& target, OutputDirectory::Leftover leftover) {
  std::error_code ignored;
  bool is_fresh = fs::is_empty(workshop, ignored);
  try {
    require_ours(workshop, target);
    write_mark(workshop, target);
    if (leftover == OutputDirectory::Leftover::remove) clear(workshop);
    fs::create_directory(contents);
  } catch (const std::exception& error) {
    if (is_fresh) fs::remove_all(workshop, ignored);
    if (dynamic_cast<const Error*>(&error)) throw;
    fail(ErrorKind::invalid_argument, "{}: cannot be used: {}", workshop.string(), error.what());
  }
}

}  // namespace

OutputDirectory::Lock::Lock(const fs::path& directory) {
  // The holder of the lock may remove the directory between our opening and locking it.
  constexpr int kAttempts = 10;
  for (int i = 0; i < kAttempts; ++i)
    if (take(directory)) return;
  fail(ErrorKind::invalid_argument, "{}: other processes make and remove it all the time; choose another output directory",
       directory.string());
}

OutputDirectory::Lock::~Lock() {
  if (fd_ >= 0) ::close(fd_);
}

/// False when the directory went away meanwhile.
bool OutputDirectory::Lock::take(const fs::path& directory) {
  if (::mkdir(directory.c_str(), 0777) != 0 && errno != EEXIST) fail_errno(directory, "create");
  if (fd_ >= 0) ::close(fd_);
  fd_ = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd_ < 0 && errno == ENOENT) return false;
  if (fd_ < 0) fail(ErrorKind::invalid_argument, "{}: is in the way: rename or remove it ({})", directory.string(), std::strerror(errno));
  // File systems without locks are trusted to have one user.
  bool is_taken = ::flock(fd_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  int code = errno;
  if (is_taken) ::close(std::exchange(fd_, -1));
  errno = code;
  if (is_taken)
    fail(ErrorKind::invalid_argument, "{}: another process is making this output; wait for it or choose another output directory",
         directory.string());
  struct stat held {
  }, named{};
  return ::fstat(fd_, &held) == 0 && ::stat(directory.c_str(), &named) == 0 && held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

OutputDirectory::OutputDirectory(fs::path target, Leftover leftover)
    : target_(without_trailing_slash(std::move(target))),
      made_parents_(make_parents(target_)),
      workshop_(workshop_of(target_)),
      contents_(workshop_ / "output"),
      lock_(workshop_) {
  prepare(workshop_, contents_, target_, leftover);
}

OutputDirectory::~OutputDirectory() {
  if (committed_ || kept_) return;
  std::error_code ignored;
  fs::remove_all(workshop_, ignored);
  for (const auto& parent : made_parents_)
    if (!fs::remove(parent, ignored)) return;  // somebody else uses it by now
}

void OutputDirectory::commit() {
  sync_directory(contents_);
  // rename replaces an empty directory and fails on anything else that appeared meanwhile.
  if (std::rename(contents_.c_str(), target_.c_str()) != 0) fail_errno(target_, "rename");
  committed_ = true;
  std::error_code ignored;
  fs::remove_all(workshop_, ignored);
  sync_directory(target_.parent_path());
}

}  // namespace nibble
