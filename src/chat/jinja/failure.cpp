#include "chat/jinja/failure.hpp"

namespace nibble::jinja {

std::string_view to_string(Fault fault) {
  switch (fault) {
    case Fault::template_error: return "TemplateError";
    case Fault::template_syntax_error: return "TemplateSyntaxError";
    case Fault::template_assertion_error: return "TemplateAssertionError";
    case Fault::template_runtime_error: return "TemplateRuntimeError";
    case Fault::undefined_error: return "UndefinedError";
    case Fault::attribute_error: return "AttributeError";
    case Fault::security_error: return "SecurityError";
    case Fault::filter_argument_error: return "FilterArgumentError";
    case Fault::type_error: return "TypeError";
    case Fault::value_error: return "ValueError";
    case Fault::index_error: return "IndexError";
    case Fault::key_error: return "KeyError";
    case Fault::zero_division_error: return "ZeroDivisionError";
    case Fault::overflow_error: return "OverflowError";
    case Fault::syntax_error: return "SyntaxError";
    case Fault::recursion_error: return "RecursionError";
    case Fault::limit: return "limit";
  }
  return "Exception";
}

}  // namespace nibble::jinja
