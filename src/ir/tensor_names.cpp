#include "ir/tensor_names.hpp"

namespace nibble {

std::set<std::string> split_tensor_names(std::string_view text) {
  std::set<std::string> names;
  std::string name;
  auto flush = [&] {
    if (!name.empty()) names.insert(std::move(name));
    name.clear();
  };
  for (size_t i = 0; i < text.size(); ++i) {
    bool escaped = text[i] == '\\' && i + 1 < text.size();
    if (escaped && text[i + 1] != ',') name += '\\';  // only commas are ever escaped
    if (escaped) ++i;
    if (text[i] == ',' && !escaped)
      flush();
    else
      name += text[i];
  }
  flush();
  return names;
}

std::string join_tensor_names(const std::set<std::string>& names) {
  std::string text;
  for (const auto& name : names) {
    if (!text.empty()) text += ',';
    for (char c : name) {
      if (c == ',') text += '\\';
      text += c;
    }
  }
  return text;
}

}  // namespace nibble
