#include "chat/response/tool_schemas.hpp"

#include <nlohmann/json.hpp>

#include "base/fail.hpp"

namespace nibble {

namespace {

using nlohmann::json;

const json* member(const json& object, const char* name) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(name);
  return found == object.end() ? nullptr : &*found;
}

void add_type(ParameterTypes& types, const json& name) {
  if (!name.is_string()) return;
  const std::string& type = name.get_ref<const std::string&>();
  types.text |= type == "string";
  types.null |= type == "null";
  types.other |= type == "integer" || type == "number" || type == "boolean" || type == "object" || type == "array";
}

void add_value_type(ParameterTypes& types, const json& value) {
  types.text |= value.is_string();
  types.null |= value.is_null();
  types.other |= value.is_number() || value.is_boolean() || value.is_structured();
}

/// What the schema's own words allow; "anyOf" and "oneOf" are looked into by the caller.
void add_own_types(ParameterTypes& types, const json& schema) {
  if (const json* type = member(schema, "type")) {
    add_type(types, *type);
    if (type->is_array())
      for (const json& name : *type) add_type(types, name);
  } else if (const json* values = member(schema, "enum"); values && values->is_array()) {
    for (const json& value : *values) add_value_type(types, value);
  } else if (const json* value = member(schema, "const")) {
    add_value_type(types, *value);
  } else if (member(schema, "properties") || member(schema, "items")) {
    types.other = true;
  }
  if (const json* nullable = member(schema, "nullable")) types.null |= *nullable == true;
}

ParameterTypes types_of(const json& schema) {
  ParameterTypes types;
  add_own_types(types, schema);
  for (const char* choice : {"anyOf", "oneOf", "allOf"})
    if (const json* options = member(schema, choice); options && options->is_array())
      for (const json& option : *options) add_own_types(types, option);
  return types;
}

}  // namespace

ToolSchemas ToolSchemas::from_json(std::string_view tools) {
  const json list = json::parse(tools, nullptr, false);
  if (!list.is_array()) fail(ErrorKind::invalid_argument, "the tools have to be a JSON array, as the chat template gets them");
  ToolSchemas result;
  result.empty_ = list.empty();
  for (const json& entry : list) {
    const json* wrapped = member(entry, "function");
    const json& function = wrapped ? *wrapped : entry;
    const json* name = member(function, "name");
    const json* parameters = member(function, "parameters");
    const json* properties = parameters ? member(*parameters, "properties") : nullptr;
    if (!name || !name->is_string() || !properties || !properties->is_object()) continue;
    auto& types = result.tools_[name->get<std::string>()];
    for (const auto& [key, schema] : properties->items()) types[key] = types_of(schema);
  }
  return result;
}

ParameterTypes ToolSchemas::types(const std::string& tool, const std::string& parameter) const {
  const auto found = tools_.find(tool);
  if (found == tools_.end()) return {};
  const auto type = found->second.find(parameter);
  return type == found->second.end() ? ParameterTypes() : type->second;
}

}  // namespace nibble
