#include <algorithm>
#include <limits>

#include "chat/jinja/format.hpp"
#include "chat/jinja/markup.hpp"
#include "chat/jinja/numbers.hpp"
#include "chat/jinja/operators.hpp"
#include "chat/jinja/unicode.hpp"

namespace nibble::jinja {

namespace {

/// One %... in the format.
struct Conversion {
  char type = 0;
  bool left = false, zero = false, alternate = false;
  char sign = '-';
  int64_t width = 0, precision = -1;
};

class PercentFormatter {
 public:
  PercentFormatter(Run& run, const Value& format, const Value& arguments)
      : run_(run), markup_(format.is_markup()), format_(format.text()), arguments_(arguments), text_(run) {}

  Value format() {
    while (at_ < format_.size()) {
      const size_t percent = std::min(format_.find('%', at_), format_.size());
      text_ += format_.substr(at_, percent - at_);
      at_ = percent + 1;
      if (percent < format_.size()) convert();
    }
    const bool single = !arguments_.is_tuple();
    const size_t given = single ? 1 : arguments_.items().size();
    const bool mapping_like = arguments_.is_dict() || arguments_.is_list() || arguments_.is_undefined() ||
                              (arguments_.is_object() && arguments_.object()->subscriptable());
    if (used_ < given && !(single && mapping_like)) refuse(Fault::type_error, "not all arguments converted during string formatting");
    return text_.value(markup_);
  }

 private:
  char next() {
    if (at_ >= format_.size()) refuse(Fault::value_error, "incomplete format");
    return format_[at_++];
  }

  Value argument() {
    if (named_) return std::move(*std::exchange(named_, std::nullopt));
    const bool single = !arguments_.is_tuple();
    if (used_ >= (single ? 1 : arguments_.items().size())) refuse(Fault::type_error, "not enough arguments for format string");
    return single ? (++used_, arguments_) : arguments_.items()[used_++];
  }

  void read_name() {
    size_t start = at_;
    for (int depth = 1; depth > 0;) {
      const char c = next();
      depth += c == '(' ? 1 : c == ')' ? -1 : 0;
    }
    if (!arguments_.is_dict()) refuse(Fault::type_error, "format requires a mapping");
    Value key = run_.string(std::string(format_.substr(start, at_ - 1 - start)));
    const Value* found = find(run_, arguments_.dict(), key);
    if (!found) refuse(Fault::key_error, "{}", repr(run_, key));
    named_ = *found;
  }

  int64_t read_number(bool& star_negative) {
    star_negative = false;
    if (at_ < format_.size() && format_[at_] == '*') {
      ++at_;
      const Value value = argument();
      if (!value.is_integer()) refuse(Fault::type_error, "* wants int");
      const int64_t number = std::max(to_index(value), -std::numeric_limits<int64_t>::max());
      star_negative = number < 0;
      return star_negative ? -number : number;
    }
    int64_t number = 0;
    while (at_ < format_.size() && format_[at_] >= '0' && format_[at_] <= '9') {
      number = number * 10 + (format_[at_++] - '0');
      if (number > std::numeric_limits<int32_t>::max()) refuse(Fault::value_error, "width too big");
    }
    return number;
  }

  Conversion read_conversion() {
    Conversion conversion;
    named_.reset();
    if (at_ < format_.size() && format_[at_] == '(') {
      ++at_;
      read_name();
    }
    for (bool flags = true; flags;) {
      const char c = at_ < format_.size() ? format_[at_] : '\0';
      switch (c) {
        case '-': conversion.left = true; break;
        case '+': conversion.sign = '+'; break;
        case ' ': conversion.sign = conversion.sign == '+' ? '+' : ' '; break;
        case '#': conversion.alternate = true; break;
        case '0': conversion.zero = true; break;
        default: flags = false; break;
      }
      at_ += flags;
    }
    bool negative = false;
    conversion.width = read_number(negative);
    conversion.left = conversion.left || negative;
    if (at_ < format_.size() && format_[at_] == '.') {
      ++at_;
      conversion.precision = read_number(negative);
      if (negative) conversion.precision = 0;
    }
    char c = next();
    if (c == 'h' || c == 'l' || c == 'L') c = next();
    conversion.type = c;
    return conversion;
  }

  void convert() {
    run_.step();
    const Conversion conversion = read_conversion();
    switch (conversion.type) {
      case '%': text_ += '%'; return;
      case 's':
      case 'r':
      case 'a': return put_text(conversion);
      case 'c': return put_character(conversion);
      case 'd':
      case 'i':
      case 'u':
      case 'x':
      case 'X':
      case 'o': return put_integer(conversion);
      case 'e':
      case 'E':
      case 'f':
      case 'F':
      case 'g':
      case 'G': return put_float(conversion);
      default: refuse(Fault::value_error, "unsupported format character '{}' at index {}", conversion.type, at_ - 1);
    }
  }

  void put(const Conversion& conversion, const NumberText& number, bool numeric) {
    const bool zeros = numeric && conversion.zero && !conversion.left;
    append_padded(text_, number, zeros ? "0" : " ", conversion.left ? '<' : zeros ? '=' : '>', conversion.width);
  }

  void put_text(const Conversion& conversion) {
    const Value value = argument();
    Value content = conversion.type == 's' ? to_string(run_, value) : run_.string(repr(run_, value));
    if (markup_) content = escape(run_, content);
    if (conversion.precision >= 0) content = slice(run_, content, None{}, conversion.precision, None{});
    put(conversion, {"", content.text()}, false);
  }

  void put_character(const Conversion& conversion) {
    const Value value = argument();
    if (value.is_string() && value.string().length == 1) return put(conversion, {"", value.text()}, false);
    if (!value.is_integer()) refuse(Fault::type_error, "%c requires int or char");
    const int64_t code = to_index(value);
    if (code < 0 || code > 0x10FFFF) refuse(Fault::overflow_error, "%c arg not in range(0x110000)");
    std::string utf8;
    append_utf8(utf8, static_cast<char32_t>(code));
    put(conversion, {"", utf8}, false);
  }

  Value number(const Conversion& conversion) {
    Value value = argument();
    if (value.is_undefined() && conversion.type != 'x') use_undefined(value);
    if (!value.is_number()) refuse(Fault::type_error, "%{} format: a real number is required, not {}", conversion.type, type_name(value));
    return value;
  }

  void put_integer(const Conversion& conversion) {
    Value value = number(conversion);
    const bool decimal = conversion.type == 'd' || conversion.type == 'i' || conversion.type == 'u';
    if (value.is_float() && !decimal) refuse(Fault::type_error, "%{} format: an integer is required, not float", conversion.type);
    if (value.is_float()) value = truncate(value.real());
    put(conversion, layout_integer(run_, value, {conversion.type, conversion.precision, conversion.sign, conversion.alternate, 0}), true);
  }

  void put_float(const Conversion& conversion) {
    const double value = to_double(number(conversion));
    put(conversion, layout_float(run_, value, {conversion.type, conversion.precision, conversion.sign, conversion.alternate, 0}), true);
  }

  Run& run_;
  bool markup_;
  std::string_view format_;
  const Value& arguments_;
  TextBuilder text_;
  size_t at_ = 0, used_ = 0;
  std::optional<Value> named_;
};

}  // namespace

Value percent_format(Run& run, const Value& format, const Value& arguments) { return PercentFormatter(run, format, arguments).format(); }

}  // namespace nibble::jinja
