#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "chat/response/delta_writer.hpp"
#include "chat/response/literal_reader.hpp"
#include "chat/response/markers.hpp"
#include "chat/response/tool_schemas.hpp"

namespace nibble {

/// How one call is written: a name, then its arguments as a JSON object.
struct NamedGrammar {
  Markers separators = {};        ///< between the parts of what comes before the object; the last part is the name
  std::string_view id_mark = {};  ///< the part behind it is the call's id
  bool numbered = false;          ///< the name is functions.NAME:NUMBER, which is the id as well
  LiteralDialect dialect = {};
};

/// How one call is written: tags for its name and each argument. Names may also be attributes: <invoke name="NAME">.
struct XmlGrammar {
  std::string_view name_end = {};  ///< empty: the name ends where a tag begins
  std::string_view key_open = {}, key_end = {};
  std::string_view value_open = {};  ///< stands between key and value
  std::string_view value_close = {}, call_close = {};
  bool unclosed_values = false;  ///< a value may also end where the next key or the end of the call stands
  bool line_ends = false;        ///< a line end after the beginning of a value and one before its end are not part of it
  bool cdata = false;            ///< values may be <![CDATA[...]]>
};

/// Reads one call byte by byte and writes it: begin_call when it is certain that there is one, then its arguments. end_call is up to the
/// user, after `done` or `before`. What was written before `failed` stands.
class CallReader {
 public:
  virtual ~CallReader() = default;
  virtual ReadStep push(char c) = 0;
  /// The text is over. True when the call is whole although its end was not seen.
  virtual bool finish() = 0;
};

/// {"name": ..., "arguments": {...}} with the usual other names of members, in any order.
std::unique_ptr<CallReader> make_json_call_reader(DeltaWriter& writer);
std::unique_ptr<CallReader> make_named_call_reader(const NamedGrammar& grammar, DeltaWriter& writer);
std::unique_ptr<CallReader> make_xml_call_reader(const XmlGrammar& grammar, const ToolSchemas& schemas, DeltaWriter& writer);
/// name(key=value, ...) with Python's literals.
std::unique_ptr<CallReader> make_python_call_reader(DeltaWriter& writer);

}  // namespace nibble
