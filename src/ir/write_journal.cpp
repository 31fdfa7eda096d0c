#include "ir/write_journal.hpp"

#include <array>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/fail.hpp"
#include "base/hash.hpp"
#include "base/json.hpp"
#include "base/mapped_file.hpp"

namespace nibble {

namespace {

constexpr int kFormat = 1;
constexpr size_t kMaxBytes = size_t{1} << 30;  // of slices of 4 MB, far more than any model has

/// The number of a slice, its hash, the hash of both.
using Entry = std::array<uint64_t, 3>;

uint64_t check_of(const Entry& entry) { return hash64(std::as_bytes(std::span(entry).first(2))); }

nlohmann::json as_json(const WriteIdentity& identity) { return {{"format", kFormat}, {"identity", identity}}; }

/// What is different; empty: nothing.
std::string difference(std::string_view line, const WriteIdentity& identity) {
  nlohmann::json wanted = as_json(identity), found;
  try {
    found = parse_json(line, "journal");
  } catch (const Error&) {
    return "a damaged journal";
  }
  if (found == wanted) return "";
  if (!found.is_object() || found.value("format", nlohmann::json()) != wanted["format"] || !found.contains("identity"))
    return "another version of Nibble";
  for (size_t i = 0; i < identity.size(); ++i)
    if (!found["identity"].is_array() || i >= found["identity"].size() || found["identity"][i] != wanted["identity"][i])
      return identity[i].first;
  return "another version of Nibble";
}

}  // namespace

WriteJournal::WriteJournal(const std::filesystem::path& path, const WriteIdentity& identity, size_t slices, bool continues)
    : file_(path, OutputFile::InPlace{}), hashes_(slices) {
  if (continues && file_.size() > 0) take_over(path, identity);
  if (continues_) return;
  file_.truncate(0);
  file_.append(as_json(identity).dump() + "\n");
}

void WriteJournal::take_over(const std::filesystem::path& path, const WriteIdentity& identity) {
  std::string text = read_file(path, kMaxBytes);
  size_t end = text.find('\n');
  refusal_ = end == std::string::npos ? "a damaged journal" : difference(std::string_view(text).substr(0, end), identity);
  if (!refusal_.empty()) return;
  continues_ = true;
  size_t at = end + 1;
  for (Entry entry; at + sizeof entry <= text.size(); at += sizeof entry) {
    std::memcpy(entry.data(), text.data() + at, sizeof entry);
    if (entry[2] != check_of(entry) || entry[0] >= hashes_.size()) break;
    hashes_[entry[0]] = entry[1];
  }
  file_.truncate(at);
}

void WriteJournal::add(size_t slice, uint64_t hash) {
  Entry entry{slice, hash, 0};
  entry[2] = check_of(entry);
  std::lock_guard lock(mutex_);
  file_.append(std::as_bytes(std::span(entry)));
}

}  // namespace nibble
