#include "chat/jinja/strftime.hpp"

#include <fmt/format.h>

#include <array>
#include <chrono>

namespace nibble::jinja {

namespace {

constexpr std::array<std::string_view, 7> days = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};
constexpr std::array<std::string_view, 12> months = {"January", "February", "March",     "April",   "May",      "June",
                                                     "July",    "August",   "September", "October", "November", "December"};

struct Flags {
  char padding = 0;  ///< '-', '_' or '0'
  bool upper = false, swap = false;
  size_t width = 0;
};

class TimeFormatter {
 public:
  explicit TimeFormatter(const std::tm& time) : time_(time) {
    namespace c = std::chrono;
    const c::sys_days date =
        c::year(year()) / c::month(static_cast<unsigned>(time.tm_mon) + 1) / c::day(static_cast<unsigned>(time.tm_mday));
    week_day_ = static_cast<int>(c::weekday(date).c_encoding());
    year_day_ = static_cast<int>((date - c::sys_days(c::year(year()) / 1 / 1)).count());
    seconds_ = date.time_since_epoch().count() * int64_t{86400} + time.tm_hour * 3600 + time.tm_min * 60 + time.tm_sec;
  }

  std::string format(std::string_view format) {
    std::string text;
    while (!format.empty()) {
      const size_t percent = std::min(format.find('%'), format.size());
      text += format.substr(0, percent);
      format.remove_prefix(percent);
      if (!format.empty()) text += directive(format);
    }
    return text;
  }

 private:
  int year() const { return time_.tm_year + 1900; }
  int hour12() const { return time_.tm_hour % 12 == 0 ? 12 : time_.tm_hour % 12; }
  /// Days since Monday.
  int from_monday() const { return (week_day_ + 6) % 7; }

  /// Reads one directive off the format.
  std::string directive(std::string_view& format) {
    constexpr size_t widest = 1000;
    const std::string_view all = format;
    format.remove_prefix(1);
    Flags flags;
    for (; !format.empty() && std::string_view("-_0^#").find(format[0]) != std::string_view::npos; format.remove_prefix(1)) {
      if (format[0] == '^') {
        flags.upper = true;
      } else if (format[0] == '#') {
        flags.swap = true;
      } else {
        flags.padding = format[0];
      }
    }
    for (; !format.empty() && format[0] >= '0' && format[0] <= '9'; format.remove_prefix(1))
      flags.width = std::min(widest, flags.width * 10 + static_cast<size_t>(format[0] - '0'));
    if (!format.empty() && (format[0] == 'E' || format[0] == 'O')) format.remove_prefix(1);
    if (format.empty()) return std::string(all);
    const char letter = format[0];
    format.remove_prefix(1);
    return field(letter, flags, all.substr(0, all.size() - format.size()));
  }

  std::string number(int64_t value, size_t digits, const Flags& flags, char fill = '0') const {
    if (flags.padding) fill = flags.padding == '_' ? ' ' : '0';
    std::string text = std::to_string(value);
    if (flags.padding == '-') digits = 0;
    const size_t width = std::max(digits, flags.width);
    return text.size() < width ? std::string(width - text.size(), fill) + text : text;
  }

  static std::string word(std::string_view value, const Flags& flags, bool lower_on_swap = false) {
    std::string text(value);
    for (char& c : text) {
      if ((flags.upper || (flags.swap && !lower_on_swap)) && c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
      if (flags.swap && lower_on_swap && c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    }
    const char fill = flags.padding == '0' ? '0' : ' ';
    return text.size() < flags.width ? std::string(flags.width - text.size(), fill) + text : text;
  }

  std::string field(char letter, const Flags& flags, std::string_view source) {
    switch (letter) {
      case 'a': return word(days[static_cast<size_t>(week_day_)].substr(0, 3), flags);
      case 'A': return word(days[static_cast<size_t>(week_day_)], flags);
      case 'b':
      case 'h': return word(months[static_cast<size_t>(time_.tm_mon)].substr(0, 3), flags);
      case 'B': return word(months[static_cast<size_t>(time_.tm_mon)], flags);
      case 'c': return word(format("%a %b %e %H:%M:%S %Y"), flags);
      case 'C': return number(year() / 100, 2, flags);
      case 'd': return number(time_.tm_mday, 2, flags);
      case 'D':
      case 'x': return word(format("%m/%d/%y"), flags);
      case 'e': return number(time_.tm_mday, 2, flags, ' ');
      case 'f': return "000000";
      case 'F': return word(format("%Y-%m-%d"), flags);
      case 'g': return number(iso_week().first % 100, 2, flags);
      case 'G': return number(iso_week().first, 0, flags);
      case 'H': return number(time_.tm_hour, 2, flags);
      case 'I': return number(hour12(), 2, flags);
      case 'j': return number(year_day_ + 1, 3, flags);
      case 'k': return number(time_.tm_hour, 2, flags, ' ');
      case 'l': return number(hour12(), 2, flags, ' ');
      case 'm': return number(time_.tm_mon + 1, 2, flags);
      case 'M': return number(time_.tm_min, 2, flags);
      case 'n': return "\n";
      case 'p': return word(time_.tm_hour < 12 ? "AM" : "PM", flags, true);
      case 'P': return word(time_.tm_hour < 12 ? "am" : "pm", flags);
      case 'r': return word(format("%I:%M:%S %p"), flags);
      case 'R': return word(format("%H:%M"), flags);
      case 's': return number(seconds_, 0, flags);
      case 'S': return number(time_.tm_sec, 2, flags);
      case 't': return "\t";
      case 'T':
      case 'X': return word(format("%H:%M:%S"), flags);
      case 'u': return number(week_day_ == 0 ? 7 : week_day_, 1, flags);
      case 'U': return number((year_day_ + 7 - week_day_) / 7, 2, flags);
      case 'V': return number(iso_week().second, 2, flags);
      case 'w': return number(week_day_, 1, flags);
      case 'W': return number((year_day_ + 7 - from_monday()) / 7, 2, flags);
      case 'y': return number(year() % 100, 2, flags);
      case 'Y': return number(year(), 0, flags);
      case 'z':
      case 'Z': return "";
      case '%': return "%";
      default: return std::string(source);
    }
  }

  static int days_of(int year) { return std::chrono::year(year).is_leap() ? 366 : 365; }

  /// ISO 8601 year and week: the week belongs to the year that its Thursday is in.
  std::pair<int, int> iso_week() const {
    const int thursday = year_day_ - from_monday() + 3;
    if (thursday < 0) return {year() - 1, (thursday + days_of(year() - 1)) / 7 + 1};
    if (thursday >= days_of(year())) return {year() + 1, 1};
    return {year(), thursday / 7 + 1};
  }

  const std::tm& time_;
  int week_day_ = 0, year_day_ = 0;
  int64_t seconds_ = 0;
};

}  // namespace

std::string format_time(const std::tm& time, std::string_view format) { return TimeFormatter(time).format(format); }

}  // namespace nibble::jinja
