#pragma once

#include <ctime>
#include <string>
#include <string_view>

namespace nibble::jinja {

/// strftime in the C locale, with glibc's flags (-, _, 0, ^, #) and widths; whatever the process's locale is.
/// Week day and day of the year are computed from the date. Time zone directives give nothing, as for Python's naive times.
std::string format_time(const std::tm& time, std::string_view format);

}  // namespace nibble::jinja
