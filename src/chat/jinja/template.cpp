#include "chat/jinja/template.hpp"

#include "chat/jinja/interpreter.hpp"
#include "chat/jinja/parser.hpp"
#include "chat/jinja/resolver.hpp"
#include "chat/jinja/unicode.hpp"

namespace nibble::jinja {

Template::Template(std::string_view source) {
  if (source.size() > longest_source)
    refuse(Fault::limit, "a template of {} bytes; the longest that is supported has {}", source.size(), longest_source);
  program_ = Parser(source).parse();
  resolve(program_);
}

Rendering Template::render(Run& run, const Value& context) const {
  try {
    Interpreter interpreter(run, program_, context);
    Rendering result;
    result.text = interpreter.render();
    if (has_surrogate(result.text)) refuse(Fault::value_error, "the output holds a lone surrogate, which is not a character");
    result.generation = interpreter.generation();
    return result;
  } catch (Failure& failure) {
    if (failure.line() == 0) failure.set_line(run.line);
    throw;
  }
}

}  // namespace nibble::jinja
