#include "chat/jinja/parser.hpp"
#include "chat/jinja/run.hpp"

namespace nibble::jinja {

ExpressionPtr Parser::parse_postfix(ExpressionPtr node) {
  for (;;) {
    if (current().is_op(".")) {
      node = parse_dot(std::move(node));
    } else if (current().is_op("[")) {
      node = parse_brackets(std::move(node));
    } else if (current().is_op("(")) {
      node = parse_call(std::move(node));
    } else {
      return node;
    }
  }
}

ExpressionPtr Parser::parse_filters_and_tests(ExpressionPtr node) {
  for (;;) {
    if (skip_op("|")) {
      node = parse_filter(std::move(node));
    } else if (current().is_name("is")) {
      node = parse_test(std::move(node));
    } else if (current().is_op("(")) {
      node = parse_call(std::move(node));
    } else {
      return node;
    }
  }
}

ExpressionPtr Parser::parse_dot(ExpressionPtr object) {
  const int line = next().line;
  if (current().is(TokenType::name)) {
    auto node = std::make_unique<AttributeOf>(line);
    node->object = std::move(object);
    node->name = next().text;
    grow(*node, node->object);
    return node;
  }
  if (!current().is(TokenType::integer)) fail("expected name or number");
  auto node = std::make_unique<ItemOf>(line);
  node->object = std::move(object);
  node->key = std::make_unique<Constant>(line, next().number);
  grow(*node, node->object);
  return node;
}

ExpressionPtr Parser::parse_brackets(ExpressionPtr object) {
  const int line = next().line;
  if (current().is_op(":")) return parse_slice(std::move(object), nullptr);
  auto key = std::make_unique<TupleLiteral>(line);
  while (!current().is_op("]")) {
    if (!key->items.empty()) expect_op(",");
    key->items.push_back(parse_expression());
    grow(*key, key->items.back());
    if (current().is_op(":") && key->items.size() == 1) return parse_slice(std::move(object), std::move(key->items[0]));
  }
  expect_op("]");
  auto node = std::make_unique<ItemOf>(line);
  node->object = std::move(object);
  if (key->items.size() == 1) {
    node->key = std::move(key->items[0]);
  } else {
    node->key = std::move(key);
  }
  grow(*node, node->object);
  grow(*node, node->key);
  return node;
}

/// At the first colon of object[start:stop:step].
ExpressionPtr Parser::parse_slice(ExpressionPtr object, ExpressionPtr start) {
  auto node = std::make_unique<SliceOf>(next().line);
  node->object = std::move(object);
  node->start = std::move(start);
  if (!current().is_op(":") && !current().is_op("]")) node->stop = parse_expression();
  if (skip_op(":") && !current().is_op("]")) node->step = parse_expression();
  expect_op("]");
  for (const auto* child : {&node->object, &node->start, &node->stop, &node->step}) grow(*node, *child);
  return node;
}

ExpressionPtr Parser::parse_call(ExpressionPtr callee) {
  auto node = std::make_unique<Call>(current().line);
  node->callee = std::move(callee);
  node->arguments = parse_arguments();
  grow(*node, node->callee);
  grow(*node, node->arguments);
  return node;
}

CallArguments Parser::parse_arguments() {
  CallArguments arguments;
  auto ensure = [&](bool valid) {
    if (!valid) fail("invalid syntax for function call expression");
  };
  expect_op("(");
  for (bool first = true; !current().is_op(")"); first = false) {
    if (!first) {
      expect_op(",");
      if (current().is_op(")")) break;
    }
    if (skip_op("*")) {
      ensure(!arguments.star && !arguments.double_star);
      arguments.star = parse_expression();
    } else if (skip_op("**")) {
      ensure(!arguments.double_star);
      arguments.double_star = parse_expression();
    } else if (current().is(TokenType::name) && look().is_op("=")) {
      ensure(!arguments.double_star);
      std::string name = next().text;
      next();
      arguments.named.emplace_back(std::move(name), parse_expression());
    } else {
      ensure(!arguments.star && !arguments.double_star && arguments.named.empty());
      arguments.positional.push_back(parse_expression());
    }
  }
  expect_op(")");
  return arguments;
}

std::string Parser::parse_dotted_name() {
  std::string name = expect_any_name();
  while (skip_op(".")) name += fmt::format(".{}", expect_any_name());
  return name;
}

std::unique_ptr<FilterCall> Parser::parse_filter(ExpressionPtr subject) {
  auto node = std::make_unique<FilterCall>(current().line);
  node->subject = std::move(subject);
  node->name = parse_dotted_name();
  if (current().is_op("(")) node->arguments = parse_arguments();
  grow(*node, node->subject);
  grow(*node, node->arguments);
  return node;
}

/// Filters without a subject, as filter blocks (which start with a name) and set blocks (which start with |) have; may be null.
std::unique_ptr<FilterCall> Parser::parse_filter_chain(bool starts_inline) {
  std::unique_ptr<FilterCall> node;
  if (starts_inline) node = parse_filter(nullptr);
  while (skip_op("|")) node = parse_filter(std::move(node));
  return node;
}

ExpressionPtr Parser::parse_test(ExpressionPtr subject) {
  auto node = std::make_unique<TestCall>(next().line);
  const bool negated = skip_name("not");
  node->subject = std::move(subject);
  node->name = parse_dotted_name();
  if (current().is_op("(")) {
    node->arguments = parse_arguments();
  } else {
    const bool operand = current().is(TokenType::name) || current().is(TokenType::string) || current().is(TokenType::integer) ||
                         current().is(TokenType::real) || current().is_op("[") || current().is_op("{");
    const bool word = current().is_name("else") || current().is_name("or") || current().is_name("and");
    if (operand && !word) {
      if (current().is_name("is")) fail("You cannot chain multiple tests with is");
      node->arguments.positional.push_back(parse_postfix(parse_primary(Use::read)));
    }
  }
  grow(*node, node->subject);
  grow(*node, node->arguments);
  if (!negated) return node;
  auto opposite = std::make_unique<Not>(node->line);
  opposite->operand = std::move(node);
  grow(*opposite, opposite->operand);
  return opposite;
}

}  // namespace nibble::jinja
