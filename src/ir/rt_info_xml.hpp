#pragma once

#include <pugixml.hpp>

#include "graph/graph.hpp"

namespace nibble {

/// Model-level <rt_info>: elements with a `value` are leaves, others maps; keys that are no XML tags are
/// <info name="key">. Throws Error{corrupt} beyond 64 levels.
RtInfo read_rt_info(pugi::xml_node xml);
/// Appends the children of `info` to `xml`.
void write_rt_info(const RtInfo& info, pugi::xml_node xml);

/// Node-level <rt_info>: a list of <attribute .../>, kept as text.
std::vector<RtAttribute> read_rt_attributes(pugi::xml_node xml);
void write_rt_attributes(const std::vector<RtAttribute>& attributes, pugi::xml_node xml);

}  // namespace nibble
