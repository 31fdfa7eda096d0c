#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

namespace nibble {

/// Throws what errno says about a call on `path` that was to `what` ("write"): Error{exhausted} for a full disk, a quota and a limit on the
/// size of files, else Error{invalid_argument}.
[[noreturn]] void fail_errno(const std::filesystem::path& path, std::string_view what);

/// Throws Error{exhausted} when the file system of `directory` has fewer than `bytes` free; the message has both numbers.
void require_free_space(const std::filesystem::path& directory, uint64_t bytes);

/// Throws Error{exhausted} when this process may not write files of `bytes` (ulimit -f). Trying would raise SIGXFSZ.
void require_file_size_allowed(const std::filesystem::path& path, uint64_t bytes);

/// Makes a rename in `directory` durable; file systems that cannot are left alone.
void sync_directory(const std::filesystem::path& directory);

}  // namespace nibble
