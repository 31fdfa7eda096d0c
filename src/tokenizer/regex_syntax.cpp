#include "tokenizer/regex_syntax.hpp"

#include <unicode/uchar.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "base/fail.hpp"
#include "base/utf8.hpp"

namespace nibble::tokenizer {
namespace {

// Oniguruma's \w, which has the numerals of Latin-1 beyond Unicode's definition; PCRE2's lacks marks and connector punctuation.
constexpr std::string_view kWordItems = R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\xB2\xB3\xB9\xBC-\xBE)";
constexpr std::string_view kSpaceItems = R"(\p{White_Space})";
constexpr std::string_view kHexItems = "0-9A-Fa-f";
// Each year's new emoji come from this block, all of them So; PCRE2's tables may be older than the emoji in a text.
constexpr std::string_view kNewSymbols = R"(\x{1FA70}-\x{1FAFF})";

/// PCRE2's name of a property: it knows general categories by their short names only, and takes a script's name for the wider
/// Script_Extensions unless told otherwise.
std::string pcre2_property(std::string_view name) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 22> kNames{{{"letter", "L"},
                                                                                         {"uppercaseletter", "Lu"},
                                                                                         {"lowercaseletter", "Ll"},
                                                                                         {"titlecaseletter", "Lt"},
                                                                                         {"modifierletter", "Lm"},
                                                                                         {"otherletter", "Lo"},
                                                                                         {"mark", "M"},
                                                                                         {"nonspacingmark", "Mn"},
                                                                                         {"spacingmark", "Mc"},
                                                                                         {"enclosingmark", "Me"},
                                                                                         {"number", "N"},
                                                                                         {"decimalnumber", "Nd"},
                                                                                         {"letternumber", "Nl"},
                                                                                         {"othernumber", "No"},
                                                                                         {"punctuation", "P"},
                                                                                         {"punct", "P"},
                                                                                         {"symbol", "S"},
                                                                                         {"separator", "Z"},
                                                                                         {"other", "C"},
                                                                                         {"control", "Cc"},
                                                                                         {"digit", "Nd"},
                                                                                         {"space", "White_Space"}}};
  std::string key;
  for (char c : name) {
    if (c != '_' && c != ' ' && c != '-') key.push_back(static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c));
  }
  for (const auto& [spelled, brief] : kNames) {
    if (key == spelled) return std::string(brief);
  }
  const bool script = name.size() > 2 && u_getPropertyValueEnum(UCHAR_SCRIPT, std::string(name).c_str()) != UCHAR_INVALID_CODE;
  return (script ? "sc:" : "") + std::string(name);
}

/// One pass over the pattern; `atom_` is where the last thing that a quantifier applies to begins in the output.
class Rewriter {
 public:
  explicit Rewriter(std::string_view in) : in_(in) {}

  std::string run() {
    while (at_ < in_.size()) step();
    return std::move(out_);
  }

 private:
  char peek(size_t ahead = 0) const { return at_ + ahead < in_.size() ? in_[at_ + ahead] : '\0'; }

  void step() {
    switch (peek()) {
      case '\\': return escape(false);
      case '[': return char_class();
      case '(': return open_group();
      case ')': return close_group();
      case '{': return interval();
      case '*':
      case '+':
      case '?': return copy(1);
      default: return literal();
    }
  }

  void copy(size_t count) {
    out_.append(in_.substr(at_, count));
    at_ += count;
  }

  void literal() {
    atom_ = out_.size();
    do copy(1);
    while (at_ < in_.size() && is_continuation_byte(peek()));
  }

  void open_group() {
    groups_.push_back(out_.size());
    copy(1);
    if (peek() != '?') return;
    copy(1);
    // Ruby's m ("dot matches newline") is PCRE2's s; other things after (?, such as names, are spelled alike.
    const size_t end = in_.find_first_not_of("imx-", at_);
    if (end == std::string_view::npos || (in_[end] != ':' && in_[end] != ')')) return;
    for (; at_ < end; ++at_) out_.push_back(peek() == 'm' ? 's' : peek());
  }

  void close_group() {
    if (!groups_.empty()) {
      atom_ = groups_.back();
      groups_.pop_back();
    }
    copy(1);
  }

  /// In Ruby's syntax x{1,3}+ repeats x{1,3}; to PCRE2 it would be possessive. {,n} is {0,n}.
  void interval() {
    const size_t end = in_.find('}', at_);
    const std::string_view body = end == std::string_view::npos ? std::string_view() : in_.substr(at_ + 1, end - at_ - 1);
    const bool counts = !body.empty() && body != "," && body.find_first_not_of("0123456789,") == std::string_view::npos;
    if (!counts) return literal();
    out_.append(body.front() == ',' ? "{0" : "{").append(body).append("}");
    at_ = end + 1;
    if (peek() != '+') return;
    out_.insert(atom_, "(?:");
    out_.push_back(')');
    copy(1);
  }

  void escape(bool in_class) {
    if (!in_class) atom_ = out_.size();
    const char kind = peek(1);
    const auto items = [&](std::string_view list, bool negated) {
      if (in_class) {
        out_.append(list);
      } else {
        out_.append(negated ? "[^" : "[").append(list).append("]");
      }
      at_ += 2;
    };
    switch (kind) {
      case 's': return items(kSpaceItems, false);
      case 'w': return items(kWordItems, false);
      case 'h': return items(kHexItems, false);
      case 'S': return out_.append(R"(\P{White_Space})"), void(at_ += 2);
      case 'W': return in_class ? refuse("\\W in a class") : items(kWordItems, true);
      case 'H': return in_class ? refuse("\\H in a class") : items(kHexItems, true);
      case 'p':
      case 'P': return property(in_class);
      case 'u': return code_unit();
      case '\0': return refuse("a backslash at the end");
      default: return copy_escaped();
    }
  }

  void copy_escaped() {
    copy(2);
    while (at_ < in_.size() && is_continuation_byte(peek())) copy(1);
  }

  void property(bool in_class) {
    const size_t end = in_.find('}', at_);
    if (peek(2) != '{' || end == std::string_view::npos) return copy(2);
    std::string_view name = in_.substr(at_ + 3, end - at_ - 3);
    bool negated = peek(1) == 'P';
    if (!name.empty() && name.front() == '^') {
      negated = !negated;
      name.remove_prefix(1);
    }
    at_ = end + 1;
    const std::string brief = pcre2_property(name);
    const bool symbols = !negated && (brief == "S" || brief == "So");
    if (symbols && !in_class) out_.push_back('[');
    out_.append(negated ? "\\P{" : "\\p{").append(brief).append("}");
    if (symbols) out_.append(kNewSymbols).append(in_class ? "" : "]");
  }

  void code_unit() {
    const std::string_view digits = in_.substr(std::min(in_.size(), at_ + 2), 4);
    if (digits.size() < 4 || digits.find_first_not_of("0123456789abcdefABCDEF") != std::string_view::npos) refuse("\\u");
    out_.append("\\x{").append(digits).append("}");
    at_ += 6;
  }

  /// Copies a class; a class within it is a union in Oniguruma and a literal bracket in PCRE2, so its items are spliced in.
  void char_class() {
    atom_ = out_.size();
    copy(1);
    if (peek() == '^') copy(1);
    if (peek() == ']') copy(1);
    for (size_t depth = 1; depth > 0;) {
      if (at_ >= in_.size()) refuse("a class without its closing bracket");
      if (peek() == '\\') {
        escape(true);
      } else if (peek() == '[' && peek(1) == ':') {
        posix_class();
      } else if (peek() == '[') {
        if (peek(1) == '^') refuse("a negated class within a class");
        ++depth, ++at_;
      } else if (peek() == ']') {
        --depth == 0 ? copy(1) : void(++at_);
      } else if (peek() == '&' && peek(1) == '&') {
        refuse("&& in a class");
      } else {
        copy(1);
      }
    }
  }

  /// [:name:]; Oniguruma takes Unicode's properties, PCRE2 mixes in general categories.
  void posix_class() {
    static constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kItems{{{"alpha", R"(\p{Alphabetic})"},
                                                                                          {"alnum", R"(\p{Alphabetic}\p{Nd})"},
                                                                                          {"punct", R"(\p{P}\p{S})"},
                                                                                          {"lower", R"(\p{Lowercase})"},
                                                                                          {"upper", R"(\p{Uppercase})"},
                                                                                          {"space", kSpaceItems},
                                                                                          {"word", kWordItems}}};
    const size_t end = in_.find(":]", at_ + 2);
    if (end == std::string_view::npos) refuse("[: without :]");
    const std::string_view name = in_.substr(at_ + 2, end - at_ - 2);
    const auto items = std::find_if(kItems.begin(), kItems.end(), [&](const auto& entry) { return entry.first == name; });
    if (items == kItems.end()) return copy(end + 2 - at_);
    out_.append(items->second);
    at_ = end + 2;
  }

  [[noreturn]] void refuse(std::string_view what) const { fail(ErrorKind::unsupported, "pattern \"{}\": {} is not supported", in_, what); }

  std::string_view in_;
  std::string out_;
  size_t at_ = 0, atom_ = 0;
  std::vector<size_t> groups_;
};

}  // namespace

std::string oniguruma_to_pcre2(std::string_view pattern) { return Rewriter(pattern).run(); }

}  // namespace nibble::tokenizer
