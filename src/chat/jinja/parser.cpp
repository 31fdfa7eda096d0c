#include "chat/jinja/parser.hpp"

#include <algorithm>

namespace nibble::jinja {

Parser::Parser(std::string_view source) : tokens_(tokenize(source)) { check_current(); }

/// Reports what the lexer could not read, once everything before it has been parsed.
void Parser::check_current() const {
  if (current().is(TokenType::error)) fail(current().text);
}

Program Parser::parse() {
  program_.body = parse_until({});
  if (noted_) throw Failure(*noted_);
  return std::move(program_);
}

const Token& Parser::next() {
  const Token& token = tokens_[at_];
  if (at_ + 1 < tokens_.size()) ++at_;
  check_current();
  return token;
}

bool Parser::skip_op(std::string_view op) {
  if (!current().is_op(op)) return false;
  next();
  return true;
}

bool Parser::skip_name(std::string_view name) {
  if (!current().is_name(name)) return false;
  next();
  return true;
}

void Parser::expect_op(std::string_view op) {
  if (!skip_op(op)) fail_expected(op);
}

void Parser::expect_name(std::string_view name) {
  if (!skip_name(name)) fail_expected(name);
}

std::string Parser::expect_any_name() {
  if (!current().is(TokenType::name)) fail_expected("name");
  return next().text;
}

void Parser::expect(TokenType type, std::string_view description) {
  if (!current().is(type)) fail_expected(description);
  next();
}

void Parser::fail(const std::string& message, int line) const {
  throw Failure(Fault::template_syntax_error, message, line ? line : current().line);
}

/// For what parses but does not compile: reported when nothing is wrong with the grammar.
void Parser::note_failure(Fault fault, const std::string& message, int line) {
  if (!noted_) noted_.emplace(fault, message, line);
}

void Parser::fail_expected(std::string_view wanted) const {
  if (current().is(TokenType::end)) fail(fmt::format("unexpected end of template, expected '{}'.", wanted));
  fail(fmt::format("expected token '{}', got '{}'", wanted, describe(current())));
}

std::string Parser::closing_hint(const std::string* name) const {
  std::string hint;
  if (!ends_.empty() && !ends_.back().empty()) {
    std::string looking;
    for (std::string_view end : ends_.back()) looking += fmt::format("{}'{}'", looking.empty() ? "" : " or ", end);
    const bool elsewhere = name && std::any_of(ends_.begin(), ends_.end(),
                                               [&](const Ends& ends) { return std::find(ends.begin(), ends.end(), *name) != ends.end(); });
    hint += elsewhere ? " You probably made a nesting mistake. Jinja is expecting this tag, but currently looking for " + looking + "."
                      : " Jinja was looking for the following tags: " + looking + ".";
  }
  if (!tags_.empty()) hint += fmt::format(" The innermost block that needs to be closed is '{}'.", tags_.back());
  return hint;
}

void Parser::fail_unknown_tag(const std::string& name, int line) const {
  fail(fmt::format("Encountered unknown tag '{}'.{}", name, closing_hint(&name)), line);
}

void Parser::fail_end() const { fail("Unexpected end of template." + closing_hint(nullptr)); }

void Parser::note_name(const std::string& name, bool store) {
  if (store && name == "loop" && any_loops_ > 0)
    note_failure(Fault::template_assertion_error, "Can't assign to special loop variable in for-loop", current().line);
  if (!store && name == "self") program_.uses_self = true;
  if (!store && name == "super") program_.uses_super = true;
  for (MacroNames& names : macros_) {
    auto note = [&](std::string_view special, bool& read, bool& stored) {
      if (name != special) return;
      if (store) {
        stored = true;
      } else if (!stored) {
        read = true;
      }
    };
    note("caller", names.caller, names.stored_caller);
    note("kwargs", names.kwargs, names.stored_kwargs);
    note("varargs", names.varargs, names.stored_varargs);
  }
}

void Parser::grow(Expression& node, const ExpressionPtr& child) const {
  if (!child) return;
  node.height = std::max(node.height, child->height + 1);
  if (node.height > highest) fail(fmt::format("an expression of more than {} levels", highest), node.line);
}

void Parser::grow(Expression& node, const CallArguments& arguments) const {
  for (const auto& argument : arguments.positional) grow(node, argument);
  for (const auto& [name, argument] : arguments.named) grow(node, argument);
  grow(node, arguments.star);
  grow(node, arguments.double_star);
}

ExpressionPtr Parser::binary(int line, std::string op, ExpressionPtr left, ExpressionPtr right) const {
  auto node = std::make_unique<Binary>(line);
  node->op = std::move(op);
  node->left = std::move(left);
  node->right = std::move(right);
  grow(*node, node->left);
  grow(*node, node->right);
  return node;
}

}  // namespace nibble::jinja
