#include <array>

#include "chat/jinja/arguments.hpp"
#include "chat/jinja/numbers.hpp"
#include "chat/jinja/operators.hpp"
#include "chat/jinja/registry.hpp"
#include "chat/jinja/unicode.hpp"

namespace nibble::jinja {

namespace {

/// A test of the value alone.
template <bool (*property)(Run&, const Value&)>
bool of_value(Run& run, Arguments& arguments) {
  return property(run, bind(arguments, "test", {"value"}, 1)[0]);
}

bool is_remainder(Run& run, const Value& value, const Value& divisor, int64_t wanted) {
  return equal(run, binary(run, "%", value, divisor), wanted);
}
bool odd(Run& run, const Value& value) { return is_remainder(run, value, int64_t{2}, 1); }
bool even(Run& run, const Value& value) { return is_remainder(run, value, int64_t{2}, 0); }
bool defined(Run&, const Value& value) { return !value.is_undefined(); }
bool undefined(Run&, const Value& value) { return value.is_undefined(); }
bool none(Run&, const Value& value) { return value.is_none(); }
bool boolean(Run&, const Value& value) { return value.is_bool(); }
bool is_true(Run&, const Value& value) { return value.is_bool() && value.boolean(); }
bool is_false(Run&, const Value& value) { return value.is_bool() && !value.boolean(); }
bool integer(Run&, const Value& value) { return value.is_integer() && !value.is_bool(); }
bool real(Run&, const Value& value) { return value.is_float(); }
bool number(Run&, const Value& value) { return value.is_number(); }
bool string(Run&, const Value& value) { return value.is_string(); }
bool mapping(Run&, const Value& value) { return value.is_dict(); }
bool iterable(Run&, const Value& value) { return is_iterable(value); }
bool callable(Run&, const Value& value) { return is_callable(value); }
bool escaped(Run&, const Value& value) { return value.is_markup(); }

bool is_filter(Run& run, const Value& value) {
  hash(run, value);  // a value that cannot be a key is an error
  return value.is_string() && find_filter(value.text());
}

bool is_test(Run& run, const Value& value) {
  hash(run, value);
  return value.is_string() && find_test(value.text());
}

bool sequence(Run& run, const Value& value) {
  if (value.is_object()) return value.object()->subscriptable() && value.object()->length(run);
  return try_length(run, value).has_value();
}

template <bool (*wanted)(char32_t), bool (*other)(char32_t)>
bool cased(Run& run, const Value& value) {
  const Value text = to_string(run, value);
  bool found = false;
  for (size_t i = 0; i < text.text().size();) {
    const char32_t c = next_code_point(text.text(), i);
    if (other(c) || is_title(c)) return false;
    found = found || wanted(c);
  }
  return found;
}

bool divisible(Run& run, Arguments& arguments) {
  Bound a = bind(arguments, "divisibleby", {"value", "num"}, 2);
  return is_remainder(run, a[0], a[1], 0);
}

bool same_as(Run&, Arguments& arguments) {
  Bound a = bind(arguments, "sameas", {"value", "other"}, 2);
  return a[0].same(a[1]);
}

bool in(Run& run, Arguments& arguments) {
  Bound a = bind(arguments, "in", {"value", "seq"}, 2);
  return contains(run, a[1], a[0]);
}

bool equals(Run& run, Arguments& arguments) {
  Bound a = bind(arguments, "eq", {"", ""}, 2);
  return equal(run, a[0], a[1]);
}

bool differs(Run& run, Arguments& arguments) { return !equals(run, arguments); }

/// 0 to 3: < <= > >=
template <int op>
bool compares(Run& run, Arguments& arguments) {
  constexpr std::array<std::string_view, 4> names = {"<", "<=", ">", ">="};
  Bound a = bind(arguments, names[op], {"", ""}, 2);
  return ordered(run, names[op], a[0], a[1]);
}

constexpr std::array table = {
    Test{"odd", of_value<odd>},
    Test{"even", of_value<even>},
    Test{"divisibleby", divisible},
    Test{"defined", of_value<defined>},
    Test{"undefined", of_value<undefined>},
    Test{"filter", of_value<is_filter>},
    Test{"test", of_value<is_test>},
    Test{"none", of_value<none>},
    Test{"boolean", of_value<boolean>},
    Test{"false", of_value<is_false>},
    Test{"true", of_value<is_true>},
    Test{"integer", of_value<integer>},
    Test{"float", of_value<real>},
    Test{"lower", of_value<cased<is_lower, is_upper>>},
    Test{"upper", of_value<cased<is_upper, is_lower>>},
    Test{"string", of_value<string>},
    Test{"mapping", of_value<mapping>},
    Test{"number", of_value<number>},
    Test{"sequence", of_value<sequence>},
    Test{"iterable", of_value<iterable>},
    Test{"callable", of_value<callable>},
    Test{"escaped", of_value<escaped>},
    Test{"sameas", same_as},
    Test{"in", in},
    Test{"==", equals},
    Test{"eq", equals},
    Test{"equalto", equals},
    Test{"!=", differs},
    Test{"ne", differs},
    Test{">", compares<2>},
    Test{"gt", compares<2>},
    Test{"greaterthan", compares<2>},
    Test{">=", compares<3>},
    Test{"ge", compares<3>},
    Test{"<", compares<0>},
    Test{"lt", compares<0>},
    Test{"lessthan", compares<0>},
    Test{"<=", compares<1>},
    Test{"le", compares<1>},
};

}  // namespace

std::span<const Test> tests() { return table; }

}  // namespace nibble::jinja
