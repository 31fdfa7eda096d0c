#include <algorithm>
#include <array>

#include "chat/jinja/parser.hpp"
#include "chat/jinja/run.hpp"

namespace nibble::jinja {

ExpressionPtr Parser::parse_expression(bool conditional) {
  Level level(*this);
  ExpressionPtr node = parse_or();
  while (conditional && current().is_name("if")) {
    auto choice = std::make_unique<Conditional>(next().line);
    choice->yes = std::move(node);
    choice->test = parse_or();
    if (skip_name("else")) choice->no = parse_expression();
    grow(*choice, choice->yes);
    grow(*choice, choice->test);
    grow(*choice, choice->no);
    node = std::move(choice);
  }
  return node;
}

ExpressionPtr Parser::parse_or() {
  ExpressionPtr left = parse_and();
  while (current().is_name("or")) {
    auto node = std::make_unique<Or>(next().line);
    node->left = std::move(left);
    node->right = parse_and();
    grow(*node, node->left);
    grow(*node, node->right);
    left = std::move(node);
  }
  return left;
}

ExpressionPtr Parser::parse_and() {
  ExpressionPtr left = parse_not();
  while (current().is_name("and")) {
    auto node = std::make_unique<And>(next().line);
    node->left = std::move(left);
    node->right = parse_not();
    grow(*node, node->left);
    grow(*node, node->right);
    left = std::move(node);
  }
  return left;
}

ExpressionPtr Parser::parse_not() {
  if (!current().is_name("not")) return parse_compare();
  Level level(*this);
  auto node = std::make_unique<Not>(next().line);
  node->operand = parse_not();
  grow(*node, node->operand);
  return node;
}

ExpressionPtr Parser::parse_compare() {
  constexpr std::array<std::string_view, 6> operators = {"==", "!=", "<", "<=", ">", ">="};
  const int line = current().line;
  auto node = std::make_unique<Compare>(line);
  node->first = parse_sum();
  for (;;) {
    std::string op;
    if (current().is(TokenType::op) && std::find(operators.begin(), operators.end(), current().text) != operators.end()) {
      op = next().text;
    } else if (skip_name("in")) {
      op = "in";
    } else if (current().is_name("not") && look().is_name("in")) {
      next();
      next();
      op = "not in";
    } else {
      break;
    }
    node->rest.emplace_back(std::move(op), parse_sum());
  }
  if (node->rest.empty()) return std::move(node->first);
  grow(*node, node->first);
  for (const auto& [op, operand] : node->rest) grow(*node, operand);
  return node;
}

ExpressionPtr Parser::parse_sum() {
  ExpressionPtr left = parse_concat();
  while (current().is_op("+") || current().is_op("-")) {
    const Token token = next();
    ExpressionPtr right = parse_concat();
    left = binary(token.line, token.text, std::move(left), std::move(right));
  }
  return left;
}

ExpressionPtr Parser::parse_concat() {
  ExpressionPtr first = parse_product();
  if (!current().is_op("~")) return first;
  auto node = std::make_unique<Concat>(current().line);
  node->items.push_back(std::move(first));
  while (skip_op("~")) node->items.push_back(parse_product());
  for (const auto& item : node->items) grow(*node, item);
  return node;
}

ExpressionPtr Parser::parse_product() {
  ExpressionPtr left = parse_power();
  while (current().is_op("*") || current().is_op("/") || current().is_op("//") || current().is_op("%")) {
    const Token token = next();
    ExpressionPtr right = parse_power();
    left = binary(token.line, token.text, std::move(left), std::move(right));
  }
  return left;
}

ExpressionPtr Parser::parse_power() {
  ExpressionPtr left = parse_unary(true);
  while (current().is_op("**")) {
    const Token token = next();
    ExpressionPtr right = parse_unary(true);
    left = binary(token.line, token.text, std::move(left), std::move(right));
  }
  return left;
}

ExpressionPtr Parser::parse_unary(bool with_filter) {
  ExpressionPtr node;
  if (current().is_op("-") || current().is_op("+")) {
    Level level(*this);
    const Token token = next();
    auto sign = std::make_unique<Unary>(token.line);
    sign->op = token.text;
    sign->operand = parse_unary(false);
    grow(*sign, sign->operand);
    node = std::move(sign);
  } else {
    node = parse_primary(Use::read);
  }
  node = parse_postfix(std::move(node));
  return with_filter ? parse_filters_and_tests(std::move(node)) : std::move(node);
}

ExpressionPtr Parser::parse_primary(Use use) {
  const Token& token = current();
  const int line = token.line;
  if (token.is(TokenType::name)) return parse_name(use);
  if (token.is(TokenType::string)) return parse_string();
  if (token.is(TokenType::integer) || token.is(TokenType::real)) return std::make_unique<Constant>(line, next().number);
  if (skip_op("(")) {
    ExpressionPtr node = parse_tuple_of(use, true, true);
    expect_op(")");
    return node;
  }
  if (token.is_op("[")) return parse_list();
  if (token.is_op("{")) return parse_dict();
  fail(fmt::format("unexpected '{}'", describe(token)));
}

ExpressionPtr Parser::parse_name(Use use) {
  const Token token = next();
  const std::string& name = token.text;
  if (name == "true" || name == "True") return std::make_unique<Constant>(token.line, Value(true));
  if (name == "false" || name == "False") return std::make_unique<Constant>(token.line, Value(false));
  if (name == "none" || name == "None") return std::make_unique<Constant>(token.line, Value(None{}));
  if (use == Use::store_or_namespace && skip_op(".")) {
    auto target = std::make_unique<NamespaceTarget>(token.line);
    target->name = name;
    target->attribute = expect_any_name();
    note_name(name, false);
    return target;
  }
  note_name(name, use != Use::read);
  return std::make_unique<Name>(token.line, name);
}

ExpressionPtr Parser::parse_string() {
  const int line = current().line;
  std::string text;
  while (current().is(TokenType::string)) text += next().text;
  return std::make_unique<Constant>(line, constant_string(std::move(text)));
}

ExpressionPtr Parser::parse_tuple_of(Use use, bool parentheses, bool conditional) {
  Level level(*this);
  auto node = std::make_unique<TupleLiteral>(current().line);
  bool is_tuple = false;
  auto at_end = [&] { return current().is(TokenType::variable_end) || current().is(TokenType::block_end) || current().is_op(")"); };
  for (;;) {
    if (!node->items.empty()) expect_op(",");
    if (at_end()) break;
    node->items.push_back(use == Use::read ? parse_expression(conditional) : parse_primary(use));
    if (!current().is_op(",")) break;
    is_tuple = true;
  }
  for (const auto& item : node->items) grow(*node, item);
  if (is_tuple) return node;
  if (!node->items.empty()) return std::move(node->items[0]);
  if (!parentheses) fail(fmt::format("Expected an expression, got '{}'", describe(current())));
  return node;
}

ExpressionPtr Parser::parse_target(Use use) {
  ExpressionPtr target = parse_tuple_of(use, false, true);
  check_target(*target);
  return target;
}

void Parser::check_target(const Expression& target) {
  using Kind = Expression::Kind;
  if (target.kind == Kind::namespace_target) return;
  if (target.kind == Kind::tuple) {
    for (const auto& item : static_cast<const TupleLiteral&>(target).items) check_target(*item);
    return;
  }
  if (target.kind == Kind::name) {
    constexpr std::array<std::string_view, 6> reserved = {"true", "false", "none", "True", "False", "None"};
    if (std::find(reserved.begin(), reserved.end(), static_cast<const Name&>(target).name) == reserved.end()) return;
    fail("can't assign to 'name'", target.line);
  }
  const std::string_view kind = target.kind == Kind::constant ? "const" : target.kind == Kind::list ? "list" : "dict";
  fail(fmt::format("can't assign to '{}'", kind), target.line);
}

ExpressionPtr Parser::parse_list() {
  auto node = std::make_unique<ListLiteral>(next().line);
  while (!current().is_op("]")) {
    if (!node->items.empty()) expect_op(",");
    if (current().is_op("]")) break;
    node->items.push_back(parse_expression());
    grow(*node, node->items.back());
  }
  expect_op("]");
  return node;
}

ExpressionPtr Parser::parse_dict() {
  auto node = std::make_unique<DictLiteral>(next().line);
  while (!current().is_op("}")) {
    if (!node->entries.empty()) expect_op(",");
    if (current().is_op("}")) break;
    ExpressionPtr key = parse_expression();
    expect_op(":");
    ExpressionPtr value = parse_expression();
    grow(*node, key);
    grow(*node, value);
    node->entries.emplace_back(std::move(key), std::move(value));
  }
  expect_op("}");
  return node;
}

}  // namespace nibble::jinja
