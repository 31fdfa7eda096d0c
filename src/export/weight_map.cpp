#include "export/weight_map.hpp"

namespace nibble {

void WeightMap::set_layer(const std::string& name, const WeightPart& part) {
  set(name + ".weight", {{{part.tensor + ".weight", part.rows, part.transposed}}});
  set(name + ".bias", {{{part.tensor + ".bias", part.rows, false}}});
}

WeightRecipe WeightMap::find(const std::string& name) const {
  if (auto found = recipes_.find(name); found != recipes_.end()) return found->second;
  if (auto found = makers_.find(name); found != makers_.end()) return found->second();
  for (const auto& [prefix, replacement] : prefixes_)
    if (name.starts_with(prefix)) return {{{replacement + name.substr(prefix.size())}}};
  return {{{name}}};
}

std::vector<RowRun> halved_pairs(const std::vector<RowRun>& heads, int64_t rotated) {
  std::vector<RowRun> rows;
  for (const RowRun& head : heads) {
    rows.push_back({head.begin, rotated / 2, 2 * head.step});
    rows.push_back({head.begin + head.step, rotated / 2, 2 * head.step});
    if (rotated < head.count) rows.push_back({head.begin + rotated * head.step, head.count - rotated, head.step});
  }
  return rows;
}

}  // namespace nibble
