#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "chat/jinja/ast.hpp"
#include "chat/jinja/token.hpp"

namespace nibble::jinja {

/// Recursive-descent parser of Jinja's grammar with the statements of the loopcontrols and generation extensions.
/// Throws Failure{template_syntax_error} with the line. For one thread, one use.
class Parser {
 public:
  explicit Parser(std::string_view source);
  Program parse();

 private:
  static constexpr int deepest = 150;  // statements and parentheses inside one another
  static constexpr int highest = 300;  // levels of one expression, such as the terms of a sum

  class Level;
  using Ends = std::vector<std::string_view>;

  // Tokens.
  const Token& current() const { return tokens_[at_]; }
  const Token& look() const { return tokens_[at_ + 1 < tokens_.size() ? at_ + 1 : at_]; }
  const Token& next();
  void check_current() const;
  bool skip_op(std::string_view op);
  bool skip_name(std::string_view name);
  void expect_op(std::string_view op);
  void expect_name(std::string_view name);
  std::string expect_any_name();
  void expect(TokenType type, std::string_view description);
  [[noreturn]] void fail(const std::string& message, int line = 0) const;
  void note_failure(Fault fault, const std::string& message, int line);
  [[noreturn]] void fail_expected(std::string_view wanted) const;
  [[noreturn]] void fail_unknown_tag(const std::string& name, int line) const;
  [[noreturn]] void fail_end() const;
  std::string closing_hint(const std::string* name) const;

  // Statements.
  Body parse_body(const Ends& ends, bool drop_end);
  Body parse_until(const Ends& ends);
  StatementPtr parse_statement();
  StatementPtr parse_tag(const std::string& tag, int line);
  StatementPtr parse_for(int line);
  StatementPtr parse_if(int line);
  StatementPtr parse_set(int line);
  StatementPtr parse_with(int line);
  StatementPtr parse_block(int line);
  StatementPtr parse_macro(int line);
  StatementPtr parse_call_block(int line);
  StatementPtr parse_generation(int line);
  StatementPtr parse_filter_block(int line);
  StatementPtr parse_print(int line);
  StatementPtr parse_jump(int line, bool leave);
  StatementPtr parse_refused(const std::string& tag, int line);
  bool skip_import_context();
  void parse_imported_names();
  void parse_signature(MacroBody& macro);
  void parse_macro_body(MacroBody& macro, std::string_view end);

  // Expressions.
  enum class Use { read, store, store_or_namespace };
  ExpressionPtr parse_expression(bool conditional = true);
  ExpressionPtr parse_or();
  ExpressionPtr parse_and();
  ExpressionPtr parse_not();
  ExpressionPtr parse_compare();
  ExpressionPtr parse_sum();
  ExpressionPtr parse_concat();
  ExpressionPtr parse_product();
  ExpressionPtr parse_power();
  ExpressionPtr parse_unary(bool with_filter);
  ExpressionPtr parse_primary(Use use);
  ExpressionPtr parse_name(Use use);
  ExpressionPtr parse_string();
  ExpressionPtr parse_tuple(bool conditional = true) { return parse_tuple_of(Use::read, false, conditional); }
  ExpressionPtr parse_tuple_of(Use use, bool parentheses, bool conditional);
  ExpressionPtr parse_target(Use use);
  ExpressionPtr parse_list();
  ExpressionPtr parse_dict();
  ExpressionPtr parse_postfix(ExpressionPtr node);
  ExpressionPtr parse_filters_and_tests(ExpressionPtr node);
  ExpressionPtr parse_dot(ExpressionPtr node);
  ExpressionPtr parse_brackets(ExpressionPtr node);
  ExpressionPtr parse_slice(ExpressionPtr object, ExpressionPtr start);
  ExpressionPtr parse_call(ExpressionPtr callee);
  ExpressionPtr parse_test(ExpressionPtr node);
  std::unique_ptr<FilterCall> parse_filter(ExpressionPtr subject);
  std::unique_ptr<FilterCall> parse_filter_chain(bool starts_inline);
  CallArguments parse_arguments();
  std::string parse_dotted_name();
  void check_target(const Expression& target);
  void note_name(const std::string& name, bool store);

  /// Makes `node` higher than its child, which may be null; fails when it is too high.
  void grow(Expression& node, const ExpressionPtr& child) const;
  void grow(Expression& node, const CallArguments& arguments) const;
  ExpressionPtr binary(int line, std::string op, ExpressionPtr left, ExpressionPtr right) const;

  /// The special names that the macro being parsed reads, as find_undeclared does.
  struct MacroNames {
    bool caller = false, kwargs = false, varargs = false;
    bool stored_caller = false, stored_kwargs = false, stored_varargs = false;
  };

  std::vector<Token> tokens_;
  size_t at_ = 0;
  int level_ = 0;
  int loops_ = 0;      // around the current statement within its function
  int any_loops_ = 0;  // around it at all
  std::vector<std::string> tags_;
  std::vector<Ends> ends_;
  std::vector<MacroNames> macros_;
  std::optional<Failure> noted_;
  Program program_;
};

/// Counts nesting while it lives.
class Parser::Level {
 public:
  explicit Level(Parser& parser) : parser_(parser) {
    if (++parser_.level_ > deepest) parser_.fail(fmt::format("nested more than {} levels deep", deepest));
  }
  ~Level() { --parser_.level_; }
  Level(const Level&) = delete;
  Level& operator=(const Level&) = delete;

 private:
  Parser& parser_;
};

}  // namespace nibble::jinja
