#include "tokenizer/truncation.hpp"

#include <algorithm>

#include "base/fail.hpp"

namespace nibble::tokenizer {
namespace {

template <class T>
void keep(std::vector<T>& list, size_t count, Side cut) {
  if (list.size() <= count) return;
  if (cut == Side::left)
    list.erase(list.begin(), list.end() - static_cast<std::ptrdiff_t>(count));
  else
    list.erase(list.begin() + static_cast<std::ptrdiff_t>(count), list.end());
}

void keep(TokenSequence& part, size_t count, Side cut) {
  keep(part.ids, count, cut);
  keep(part.offsets, count, cut);
  keep(part.texts, count, cut);
  keep(part.type_ids, count, cut);
}

/// The longer text gives way until both are equally long, then both do.
void truncate_longest(TokenSequence& first, TokenSequence& second, size_t max_length, Side cut) {
  const bool swapped = first.ids.size() > second.ids.size();
  size_t shorter = std::min(first.ids.size(), second.ids.size());
  size_t longer = shorter > max_length ? shorter : std::max(shorter, max_length - shorter);
  if (shorter + longer > max_length) {
    shorter = max_length / 2;
    longer = shorter + max_length % 2;
  }
  keep(first, swapped ? longer : shorter, cut);
  keep(second, swapped ? shorter : longer, cut);
}

}  // namespace

void truncate_parts(std::vector<TokenSequence>& parts, size_t max_length, const Truncation& truncation) {
  size_t total = 0;
  for (const TokenSequence& part : parts) total += part.ids.size();
  if (total <= max_length) return;
  if (max_length == 0 || (truncation.strategy == TruncationStrategy::longest_first && parts.size() == 1)) {
    for (TokenSequence& part : parts) keep(part, max_length, truncation.side);
    return;
  }
  if (truncation.strategy == TruncationStrategy::longest_first) return truncate_longest(parts[0], parts[1], max_length, truncation.side);
  const size_t which = truncation.strategy == TruncationStrategy::only_first ? 0 : 1, excess = total - max_length;
  if (which >= parts.size()) fail(ErrorKind::invalid_argument, "there is no second text to cut");
  const size_t size = parts[which].ids.size();
  if (size <= excess) fail(ErrorKind::invalid_argument, "the text to cut has {} tokens, {} would have to go", size, excess);
  keep(parts[which], size - excess, truncation.side);
}

}  // namespace nibble::tokenizer
