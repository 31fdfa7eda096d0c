#pragma once

#include "chat/jinja/ast.hpp"

namespace nibble::jinja {

/// Gives every variable its slot and every filter and test its function.
/// Throws Failure{template_assertion_error} for unknown filters and tests, unless an `if` directly around might never reach them.
void resolve(Program& program);

}  // namespace nibble::jinja
