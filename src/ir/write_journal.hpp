#pragma once

#include <cstdint>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/output_file.hpp"

namespace nibble {

/// What must be the same for one run to go on with the file of another: what to call a difference ("other options"), and the value.
using WriteIdentity = std::vector<std::pair<std::string, std::string>>;

/// Which slices of a file were written, with hashes of their bytes, so that a run that was killed can be gone on with. An entry is added
/// after its bytes are in the file. The journal only says what may be there: the bytes are compared before they are trusted.
/// hash() and add() are thread-safe.
///
/// The file is a line of JSON, {"format": 1, "identity": [[name, value], ..]}, and entries of 24 bytes: the number of a slice, its hash,
/// and a hash of these two, by which an entry that was cut off is known.
class WriteJournal {
 public:
  /// `continues`: takes over what the file at `path` says, where the identity is the same; otherwise it begins anew.
  WriteJournal(const std::filesystem::path& path, const WriteIdentity& identity, size_t slices, bool continues);

  /// Whether entries of another run were taken over.
  bool continues() const { return continues_; }
  /// Why those that are there were not: "other options"; empty where there were none.
  const std::string& refusal() const { return refusal_; }
  /// What the bytes of a slice hashed to when they were written; nothing where they were not.
  std::optional<uint64_t> hash(size_t slice) const { return hashes_[slice]; }
  void add(size_t slice, uint64_t hash);

 private:
  void take_over(const std::filesystem::path& path, const WriteIdentity& identity);

  OutputFile file_;
  bool continues_ = false;
  std::string refusal_;
  std::vector<std::optional<uint64_t>> hashes_;
  std::mutex mutex_;
};

}  // namespace nibble
