#include <algorithm>

#include "chat/jinja/parser.hpp"
#include "chat/jinja/run.hpp"

namespace nibble::jinja {

namespace {

/// A copy of an assignment target.
ExpressionPtr copy_target(const Expression& target) {
  if (target.kind == Expression::Kind::name) return std::make_unique<Name>(target.line, static_cast<const Name&>(target).name);
  auto copy = std::make_unique<TupleLiteral>(target.line);
  for (const auto& item : static_cast<const TupleLiteral&>(target).items) copy->items.push_back(copy_target(*item));
  return copy;
}

bool blank(const Body& body) {
  return std::all_of(body.begin(), body.end(), [](const StatementPtr& statement) {
    if (statement->kind != Statement::Kind::output) return false;
    const auto& items = static_cast<const Output&>(*statement).items;
    return std::all_of(items.begin(), items.end(), [](const ExpressionPtr& item) {
      return item->kind == Expression::Kind::constant &&
             static_cast<const Constant&>(*item).value.text().find_first_not_of(" \t\n\v\f\r") == std::string::npos;
    });
  });
}

}  // namespace

/// {% tag ... %} has been read up to its end: the statements up to one of `ends`, whose name is then current or, if asked, skipped.
Body Parser::parse_body(const Ends& ends, bool drop_end) {
  skip_op(":");
  expect(TokenType::block_end, "end of statement block");
  Body body = parse_until(ends);
  if (drop_end) next();
  return body;
}

Body Parser::parse_until(const Ends& ends) {
  Level level(*this);
  Body body;
  auto output = [&](ExpressionPtr item) {
    if (body.empty() || body.back()->kind != Statement::Kind::output) body.push_back(std::make_unique<Output>(item->line));
    static_cast<Output&>(*body.back()).items.push_back(std::move(item));
  };
  const bool top = ends.empty();
  if (!top) ends_.push_back(ends);
  while (!current().is(TokenType::end)) {
    const int line = current().line;
    if (current().is(TokenType::data)) {
      output(std::make_unique<Constant>(line, constant_string(next().text)));
    } else if (current().is(TokenType::variable_begin)) {
      next();
      output(parse_tuple());
      expect(TokenType::variable_end, "end of print statement");
    } else {
      expect(TokenType::block_begin, "begin of statement block");
      if (current().is(TokenType::name) && std::find(ends.begin(), ends.end(), current().text) != ends.end()) {
        ends_.pop_back();
        return body;
      }
      body.push_back(parse_statement());
      expect(TokenType::block_end, "end of statement block");
    }
  }
  if (!top) fail_end();
  return body;
}

StatementPtr Parser::parse_statement() {
  if (!current().is(TokenType::name)) fail("tag name expected");
  const Token token = next();
  tags_.push_back(token.text);
  StatementPtr statement = parse_tag(token.text, token.line);
  tags_.pop_back();
  return statement;
}

StatementPtr Parser::parse_tag(const std::string& tag, int line) {
  if (tag == "for") return parse_for(line);
  if (tag == "if") return parse_if(line);
  if (tag == "set") return parse_set(line);
  if (tag == "with") return parse_with(line);
  if (tag == "block") return parse_block(line);
  if (tag == "macro") return parse_macro(line);
  if (tag == "call") return parse_call_block(line);
  if (tag == "generation") return parse_generation(line);
  if (tag == "filter") return parse_filter_block(line);
  if (tag == "print") return parse_print(line);
  if (tag == "break" || tag == "continue") return parse_jump(line, tag == "break");
  if (tag == "include" || tag == "import" || tag == "from" || tag == "extends") return parse_refused(tag, line);
  if (tag == "autoescape") fail("autoescape blocks are not supported", line);
  tags_.pop_back();
  fail_unknown_tag(tag, line);
}

StatementPtr Parser::parse_for(int line) {
  auto node = std::make_unique<For>(line);
  ++any_loops_;
  node->target = parse_target(Use::store);
  expect_name("in");
  node->iterable = parse_tuple(false);
  if (skip_name("if")) {
    node->filter = parse_expression();
    node->filter_target = copy_target(*node->target);
  }
  node->recursive = skip_name("recursive");
  const int around = loops_;
  loops_ = node->recursive ? 1 : around + 1;
  node->body = parse_body({"endfor", "else"}, false);
  loops_ = node->recursive ? 0 : around;
  if (next().text == "else") node->otherwise = parse_body({"endfor"}, true);
  loops_ = around;
  --any_loops_;
  return node;
}

StatementPtr Parser::parse_if(int line) {
  auto node = std::make_unique<If>(line);
  for (;;) {
    If::Branch branch;
    branch.test = parse_tuple(false);
    branch.body = parse_body({"elif", "else", "endif"}, false);
    node->branches.push_back(std::move(branch));
    const std::string end = next().text;
    if (end == "elif") continue;
    if (end == "else") node->otherwise = parse_body({"endif"}, true);
    return node;
  }
}

StatementPtr Parser::parse_set(int line) {
  ExpressionPtr target = parse_target(Use::store_or_namespace);
  if (skip_op("=")) {
    auto node = std::make_unique<Set>(line);
    node->target = std::move(target);
    node->value = parse_tuple();
    return node;
  }
  auto node = std::make_unique<SetBlock>(line);
  node->target = std::move(target);
  node->filter = parse_filter_chain(false);
  node->body = parse_body({"endset"}, true);
  return node;
}

StatementPtr Parser::parse_with(int line) {
  auto node = std::make_unique<With>(line);
  while (!current().is(TokenType::block_end)) {
    if (!node->targets.empty()) expect_op(",");
    node->targets.push_back(parse_target(Use::store));
    expect_op("=");
    node->values.push_back(parse_expression());
  }
  node->body = parse_body({"endwith"}, true);
  return node;
}

StatementPtr Parser::parse_block(int line) {
  auto node = std::make_unique<Block>(line);
  node->name = expect_any_name();
  node->scoped = skip_name("scoped");
  node->required = skip_name("required");
  if (current().is_op("-"))
    fail("Block names in Jinja have to be valid Python identifiers and may not contain hyphens, use an underscore instead.");
  const int around = std::exchange(loops_, 0);
  node->body = parse_body({"endblock"}, true);
  loops_ = around;
  if (node->required && !blank(node->body)) fail("Required blocks can only contain comments or whitespace", line);
  skip_name(node->name);
  for (const Block* other : program_.blocks)
    if (other->name == node->name) note_failure(Fault::template_assertion_error, fmt::format("block '{}' defined twice", node->name), line);
  program_.blocks.push_back(node.get());
  return node;
}

void Parser::parse_signature(MacroBody& macro) {
  expect_op("(");
  while (!current().is_op(")")) {
    if (!macro.parameters.empty()) expect_op(",");
    macro.parameters.push_back(expect_any_name());
    check_target(Name(current().line, macro.parameters.back()));
    if (skip_op("=")) {
      macro.defaults.push_back(parse_expression());
    } else if (!macro.defaults.empty()) {
      fail("non-default argument follows default argument");
    }
  }
  expect_op(")");
}

void Parser::parse_macro_body(MacroBody& macro, std::string_view end) {
  const int around = std::exchange(loops_, 0);
  const int line = current().line;
  macros_.emplace_back();
  macro.body = parse_body({end}, true);
  const MacroNames names = macros_.back();
  macros_.pop_back();
  loops_ = around;
  macro.uses_caller = names.caller;
  macro.uses_kwargs = names.kwargs;
  macro.uses_varargs = names.varargs;
  auto parameter = std::find(macro.parameters.begin(), macro.parameters.end(), "caller");
  if (!macro.uses_caller || parameter == macro.parameters.end()) return;
  if (static_cast<size_t>(macro.parameters.end() - parameter) > macro.defaults.size())
    note_failure(Fault::template_assertion_error,
                 "When defining macros or call blocks the special \"caller\" argument must be omitted or be given a default.", line);
}

StatementPtr Parser::parse_macro(int line) {
  auto node = std::make_unique<Macro>(line);
  node->macro.name = expect_any_name();
  check_target(Name(line, node->macro.name));
  note_name(node->macro.name, true);
  parse_signature(node->macro);
  parse_macro_body(node->macro, "endmacro");
  return node;
}

StatementPtr Parser::parse_call_block(int line) {
  auto node = std::make_unique<CallBlock>(line);
  if (current().is_op("(")) parse_signature(node->caller);
  ExpressionPtr call = parse_expression();
  if (call->kind != Expression::Kind::call) fail("expected call", line);
  node->call.reset(static_cast<Call*>(call.release()));
  parse_macro_body(node->caller, "endcall");
  return node;
}

StatementPtr Parser::parse_generation(int line) {
  auto node = std::make_unique<Generation>(line);
  parse_macro_body(node->caller, "endgeneration");
  return node;
}

StatementPtr Parser::parse_filter_block(int line) {
  auto node = std::make_unique<FilterBlock>(line);
  node->filter = parse_filter_chain(true);
  node->body = parse_body({"endfilter"}, true);
  return node;
}

StatementPtr Parser::parse_print(int line) {
  auto node = std::make_unique<Output>(line);
  while (!current().is(TokenType::block_end)) {
    if (!node->items.empty()) expect_op(",");
    node->items.push_back(parse_expression());
  }
  return node;
}

StatementPtr Parser::parse_jump(int line, bool leave) {
  if (loops_ == 0) note_failure(Fault::syntax_error, fmt::format("'{}' outside loop", leave ? "break" : "continue"), line);
  auto node = std::make_unique<Jump>(line);
  node->leave = leave;
  return node;
}

/// [with|without context]; true when it was there.
bool Parser::skip_import_context() {
  if (!(current().is_name("with") || current().is_name("without")) || !look().is_name("context")) return false;
  next();
  next();
  return true;
}

void Parser::parse_imported_names() {
  for (bool first = true;; first = false) {
    if (!first) expect_op(",");
    if (!current().is(TokenType::name)) fail_expected("name");
    if (skip_import_context()) return;
    if (current().text.starts_with('_')) fail("names starting with an underline can not be imported");
    next();
    if (skip_name("as")) expect_any_name();
    if (skip_import_context() || !current().is_op(",")) return;
  }
}

/// Reads include, import, from and extends: what they name cannot be loaded.
StatementPtr Parser::parse_refused(const std::string& tag, int line) {
  parse_expression();
  if (tag == "include" && current().is_name("ignore") && look().is_name("missing")) {
    next();
    next();
  }
  if (tag == "import") {
    expect_name("as");
    expect_any_name();
  }
  if (tag == "from") {
    expect_name("import");
    parse_imported_names();
  } else if (tag != "extends") {
    skip_import_context();
  }
  return std::make_unique<Refused>(line);
}

}  // namespace nibble::jinja
