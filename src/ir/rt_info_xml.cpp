#include "ir/rt_info_xml.hpp"

#include <algorithm>
#include <cctype>

#include "base/fail.hpp"

namespace nibble {

namespace {

constexpr int kMaxDepth = 64;  // real files have 4 levels; RtInfo is destroyed recursively

void read_children(pugi::xml_node xml, RtInfo& parent, int depth) {
  if (depth > kMaxDepth) fail(ErrorKind::corrupt, "rt_info is nested deeper than {} levels", kMaxDepth);
  for (pugi::xml_node element : xml.children()) {
    if (element.type() != pugi::node_element) continue;
    RtInfo& entry = parent.children.emplace_back();
    pugi::xml_attribute name = element.attribute("name"), value = element.attribute("value");
    entry.as_info = std::string_view(element.name()) == "info" && name;
    entry.name = entry.as_info ? name.value() : element.name();
    entry.is_leaf = !value.empty();
    entry.value = value.value();
    read_children(element, entry, depth + 1);
  }
}

bool is_xml_tag(std::string_view text) {
  auto starts = [](unsigned char c) { return std::isalpha(c) || c == '_'; };
  auto continues = [&](unsigned char c) { return std::isalnum(c) || c == '_' || c == '-' || c == '.'; };
  return !text.empty() && starts(text.front()) && std::all_of(text.begin(), text.end(), continues);
}

}  // namespace

RtInfo read_rt_info(pugi::xml_node xml) {
  RtInfo root;
  read_children(xml, root, 0);
  return root;
}

void write_rt_info(const RtInfo& info, pugi::xml_node xml) {
  for (const RtInfo& entry : info.children) {
    bool as_info = entry.as_info || !is_xml_tag(entry.name);
    pugi::xml_node element = xml.append_child(as_info ? "info" : entry.name.c_str());
    if (as_info) element.append_attribute("name") = entry.name.c_str();
    if (entry.is_leaf) element.append_attribute("value") = entry.value.c_str();
    write_rt_info(entry, element);
  }
}

std::vector<RtAttribute> read_rt_attributes(pugi::xml_node xml) {
  std::vector<RtAttribute> attributes;
  for (pugi::xml_node element : xml.children("attribute")) {
    RtAttribute& attribute = attributes.emplace_back();
    for (pugi::xml_attribute part : element.attributes()) attribute.emplace_back(part.name(), part.value());
  }
  return attributes;
}

void write_rt_attributes(const std::vector<RtAttribute>& attributes, pugi::xml_node xml) {
  for (const RtAttribute& attribute : attributes) {
    pugi::xml_node element = xml.append_child("attribute");
    for (const auto& [name, value] : attribute) element.append_attribute(name.c_str()) = value.c_str();
  }
}

}  // namespace nibble
