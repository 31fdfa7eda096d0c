#include "tokenizer/split_behavior.hpp"

#include <algorithm>
#include <iterator>

namespace nibble::tokenizer {
namespace {

void merge_with_previous(const std::vector<Part>& parts, std::vector<Cut>& cuts) {
  bool previous = false;
  for (const Part& part : parts) {
    if (part.matched && !previous && !cuts.empty()) {
      cuts.back().end = part.end;
    } else {
      cuts.push_back({part.begin, part.end});
    }
    previous = part.matched;
  }
}

void merge_with_next(const std::vector<Part>& parts, std::vector<Cut>& cuts) {
  bool previous = false;
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
    if (part->matched && !previous && !cuts.empty()) {
      cuts.back().begin = part->begin;
    } else {
      cuts.push_back({part->begin, part->end});
    }
    previous = part->matched;
  }
  std::reverse(cuts.begin(), cuts.end());
}

void join_equals(const std::vector<Part>& parts, std::vector<Cut>& cuts) {
  bool previous = false;
  for (const Part& part : parts) {
    if (part.matched == previous && !cuts.empty()) {
      cuts.back().end = part.end;
    } else {
      cuts.push_back({part.begin, part.end});
    }
    previous = part.matched;
  }
}

void cut(const std::vector<Part>& parts, SplitBehavior behavior, std::vector<Cut>& cuts) {
  switch (behavior) {
    case SplitBehavior::merged_with_previous: return merge_with_previous(parts, cuts);
    case SplitBehavior::merged_with_next: return merge_with_next(parts, cuts);
    case SplitBehavior::contiguous: return join_equals(parts, cuts);
    case SplitBehavior::removed:
    case SplitBehavior::isolated:
      for (const Part& part : parts) {
        if (!part.matched || behavior == SplitBehavior::isolated) cuts.push_back({part.begin, part.end});
      }
  }
}

}  // namespace

SplitBehavior split_behavior(const JsonView& view) {
  const std::string name = view.string();
  if (name == "Removed") return SplitBehavior::removed;
  if (name == "Isolated") return SplitBehavior::isolated;
  if (name == "MergedWithPrevious") return SplitBehavior::merged_with_previous;
  if (name == "MergedWithNext") return SplitBehavior::merged_with_next;
  if (name == "Contiguous") return SplitBehavior::contiguous;
  view.reject("is no known behavior: " + name);
}

void split_at(SplitText& text, const Pattern& pattern, SplitBehavior behavior, bool invert) {
  std::vector<Part> parts;
  text.split([&](std::string_view view, std::vector<Cut>& cuts) {
    parts.clear();
    pattern.find(view, parts);
    if (invert) {
      for (Part& part : parts) part.matched = !part.matched;
    }
    cut(parts, behavior, cuts);
  });
}

}  // namespace nibble::tokenizer
