#include "export/unused_weights.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "checkpoint/shown.hpp"

namespace nibble {

namespace {

constexpr std::array<std::string_view, 11> kBuffers{"inv_freq",   "masked_bias", "attn.bias",    "attention.bias",
                                                    "cos_cached", "sin_cached",  "position_ids", "_extra_state",
                                                    "cos_cache",  "sin_cache",   "alibi"};
constexpr std::array<std::string_view, 3> kHeads{"lm_head.weight", "embed_out.weight", "output.weight"};

/// Whether the last parts of a name are `ending`.
bool ends_in(std::string_view name, std::string_view ending) {
  return name.ends_with(ending) && (name.size() == ending.size() || name[name.size() - ending.size() - 1] == '.');
}

template <class Endings>
bool ends_in_any(std::string_view name, const Endings& endings) {
  return std::any_of(endings.begin(), endings.end(), [&](std::string_view ending) { return ends_in(name, ending); });
}

}  // namespace

std::vector<std::string> unused_weights(const WeightSource& source, const std::set<std::string, std::less<>>& used, bool has_tied_head) {
  std::vector<std::string> names = source.names();
  std::erase_if(names, [&](const std::string& name) {
    return used.contains(name) || ends_in_any(name, kBuffers) || (has_tied_head && ends_in_any(name, kHeads));
  });
  return names;
}

std::string shown_names(const std::vector<std::string>& names, size_t most) {
  std::string text;
  for (size_t i = 0; i < std::min(most, names.size()); ++i) text += fmt::format("{}{}", i ? ", " : "", shown(names[i]));
  if (names.size() > most) text += fmt::format(" and {} more", names.size() - most);
  return text;
}

}  // namespace nibble
