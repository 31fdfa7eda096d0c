#include "chat/jinja/value.hpp"

#include "chat/jinja/object.hpp"

namespace nibble::jinja {

Value::Value(const BigInteger& value) {
  if (auto small = value.small()) {
    data_ = *small;
  } else {
    data_ = std::make_shared<const BigInteger>(value);
  }
}

const std::vector<Value>& Value::items() const { return is_list() ? list().items : tuple().items; }

uint32_t Value::depth() const {
  if (is_list()) return list().depth;
  if (is_tuple()) return tuple().depth;
  if (is_dict()) return dict().depth;
  return is_object() ? object()->depth() : 0;
}

bool Value::same(const Value& other) const {
  if (data_.index() != other.data_.index()) return false;
  if (is_bool()) return boolean() == other.boolean();
  if (is_small()) return small() == other.small() && small() >= -5 && small() <= 256;  // the integers that CPython keeps
  if (is_string()) return &string() == &other.string() || (text() == other.text() && string().length <= 1 && !string().markup);
  if (is_list()) return &list() == &other.list();
  if (is_tuple()) return &tuple() == &other.tuple();
  if (is_dict()) return &dict() == &other.dict();
  if (is_object()) return object() == other.object();
  if (is_undefined()) return &undefined() == &other.undefined();
  return is_none();
}

std::string_view type_name(const Value& value) {
  if (value.is_none()) return "NoneType";
  if (value.is_bool()) return "bool";
  if (value.is_integer()) return "int";
  if (value.is_float()) return "float";
  if (value.is_string()) return value.string().markup ? "Markup" : "str";
  if (value.is_list()) return "list";
  if (value.is_tuple()) return value.tuple().group ? "_GroupTuple" : "tuple";
  if (value.is_dict()) return "dict";
  if (value.is_object()) return value.object()->type_name();
  return "Undefined";
}

}  // namespace nibble::jinja
