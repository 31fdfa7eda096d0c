#include "chat/response/marker_search.hpp"

namespace nibble {

MarkerSearch::MarkerSearch(std::vector<std::string_view> markers) : markers_(std::move(markers)) {
  for (std::string_view marker : markers_)
    if (!marker.empty()) first_.set(static_cast<unsigned char>(marker[0]));
}

MarkerSearch::Match MarkerSearch::match(int& index) const {
  Match result = Match::none;
  for (size_t i = 0; i < markers_.size(); ++i) {
    if (!markers_[i].starts_with(held_)) continue;
    if (markers_[i].size() == held_.size()) return index = static_cast<int>(i), Match::whole;
    result = Match::beginning;
  }
  return result;
}

int MarkerSearch::push(char c, std::string& text) {
  if (held_.empty() && !first_.test(static_cast<unsigned char>(c))) return text += c, kNone;
  held_ += c;
  while (!held_.empty()) {
    int index = kNone;
    const Match found = match(index);
    if (found == Match::whole) return held_.clear(), index;
    if (found == Match::beginning) return kNone;
    text += held_[0];
    held_.erase(0, 1);
  }
  return kNone;
}

}  // namespace nibble
