#include "tokenizer/character_map.hpp"

#include <algorithm>

#include "base/fail.hpp"
#include "base/utf8.hpp"

namespace nibble::tokenizer {
namespace {

uint32_t read_u32(std::string_view bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value |= static_cast<uint32_t>(static_cast<unsigned char>(bytes[at + i])) << (8 * i);
  return value;
}

// The fields of a Darts unit.
bool has_leaf(uint32_t unit) { return (unit >> 8 & 1) != 0; }
uint32_t leaf_value(uint32_t unit) { return unit & 0x7FFFFFFF; }
uint32_t label(uint32_t unit) { return unit & 0x800000FF; }
uint32_t child_offset(uint32_t unit) { return (unit >> 10) << ((unit & 0x200) >> 6); }

}  // namespace

CharacterMap::CharacterMap(std::string_view bytes, const std::string& place) {
  if (bytes.size() < 4) fail(ErrorKind::corrupt, "{}: a character map of {} bytes", place, bytes.size());
  const size_t trie_size = read_u32(bytes, 0);
  if (trie_size < 4 || trie_size % 4 != 0 || trie_size > bytes.size() - 4) {
    fail(ErrorKind::corrupt, "{}: the character map says {} bytes of trie, it has {}", place, trie_size, bytes.size() - 4);
  }
  for (size_t at = 4; at < 4 + trie_size; at += 4) units_.push_back(read_u32(bytes, at));
  replacements_ = bytes.substr(4 + trie_size);
  if (!is_utf8(replacements_)) fail(ErrorKind::corrupt, "{}: the character map's replacements are not UTF-8", place);
}

/// Calls visit(Match) for each entry that `text` begins with, shortest first, until it returns false or the trie says nonsense.
template <class Visit>
void CharacterMap::for_each_prefix(std::string_view text, Visit&& visit) const {
  size_t node = child_offset(units_[0]);
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte == 0) return;
    node ^= byte;
    if (node >= units_.size() || label(units_[node]) != byte) return;
    const uint32_t unit = units_[node];
    node ^= child_offset(unit);
    if (!has_leaf(unit)) continue;
    const size_t begin = node < units_.size() ? leaf_value(units_[node]) : replacements_.size();
    if (begin >= replacements_.size() || is_continuation_byte(replacements_[begin])) return;
    if (!visit(Match{i + 1, std::string_view(replacements_).substr(begin, replacements_.find('\0', begin) - begin)})) return;
  }
}

std::optional<std::string_view> CharacterMap::find(std::string_view text) const {
  std::optional<std::string_view> found;
  for_each_prefix(text, [&](const Match& match) {
    found = match.replacement;
    return false;
  });
  return found;
}

std::optional<CharacterMap::Match> CharacterMap::find_longest(std::string_view text) const {
  std::optional<Match> found;
  for_each_prefix(text, [&](const Match& match) {
    found = match;
    return true;
  });
  return found;
}

}  // namespace nibble::tokenizer
