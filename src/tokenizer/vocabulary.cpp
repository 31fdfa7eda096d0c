#include "tokenizer/vocabulary.hpp"

#include <bit>
#include <functional>

#include "base/fail.hpp"

namespace nibble::tokenizer {

void Vocabulary::reserve(size_t tokens) {
  entries_.reserve(tokens);
  by_id_.reserve(tokens);
  grow(std::bit_ceil(2 * tokens + 16));
}

void Vocabulary::grow(size_t slots) {
  slots_.assign(slots, 0);
  for (size_t i = 0; i < entries_.size(); ++i) slots_[slot_of(spelling(entries_[i]))] = static_cast<uint32_t>(i + 1);
}

size_t Vocabulary::slot_of(std::string_view token) const {
  const size_t mask = slots_.size() - 1;
  size_t slot = std::hash<std::string_view>()(token) & mask;
  while (slots_[slot] != 0 && spelling(entries_[slots_[slot] - 1]) != token) slot = (slot + 1) & mask;
  return slot;
}

void Vocabulary::insert(std::string_view token, uint32_t id) {
  if (id > kMaxId) fail(ErrorKind::corrupt, "token id {} is too large: at most {} is supported", id, kMaxId);
  if (2 * entries_.size() + 2 > slots_.size()) grow(std::bit_ceil(4 * entries_.size() + 16));
  entries_.push_back({bytes_.size(), static_cast<uint32_t>(token.size()), id});
  bytes_.append(token);
  uint32_t& slot = slots_[slot_of(token)];
  if (slot == 0) ++count_;
  slot = static_cast<uint32_t>(entries_.size());
  if (id >= by_id_.size()) by_id_.resize(id + 1, 0);
  by_id_[id] = slot;
}

std::optional<uint32_t> Vocabulary::find(std::string_view token) const {
  if (slots_.empty()) return std::nullopt;
  const uint32_t entry = slots_[slot_of(token)];
  if (entry == 0) return std::nullopt;
  return entries_[entry - 1].id;
}

std::optional<std::string_view> Vocabulary::token(int64_t id) const {
  if (id < 0 || static_cast<uint64_t>(id) >= by_id_.size() || by_id_[static_cast<size_t>(id)] == 0) return std::nullopt;
  return spelling(entries_[by_id_[static_cast<size_t>(id)] - 1]);
}

}  // namespace nibble::tokenizer
