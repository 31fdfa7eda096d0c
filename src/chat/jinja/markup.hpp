#pragma once

#include <span>
#include <string>
#include <string_view>

#include "chat/jinja/methods.hpp"
#include "chat/jinja/run.hpp"

namespace nibble::jinja {

/// MarkupSafe: text that is marked as safe HTML and escapes what is joined to it. Templates meet it through the filters
/// escape, forceescape and safe; there is no automatic escaping.

/// markupsafe.escape(value): markup stays as it is, everything else becomes escaped markup.
Value escape(Run& run, const Value& value);
/// & < > " ' as entities.
void append_html_escaped(TextBuilder& text, std::string_view content);
/// Tags and comments removed, entities decoded, white space collapsed.
Value strip_tags(Run& run, std::string_view html);
/// HTML entities decoded: numeric ones and the usual named ones.
std::string unescape_html(std::string_view html);

/// What Markup has besides the methods of str.
std::span<const Method> markup_methods();

}  // namespace nibble::jinja
