#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "chat/jinja/value.hpp"

namespace nibble::jinja {

enum class TokenType { data, block_begin, block_end, variable_begin, variable_end, name, string, integer, real, op, end, error };

struct Token {
  TokenType type = TokenType::end;
  int line = 1;
  std::string text;  ///< source of names and operators, content of data and strings
  Value number;      ///< of integer and real

  bool is(TokenType wanted) const { return type == wanted; }
  bool is_op(std::string_view op) const { return type == TokenType::op && text == op; }
  bool is_name(std::string_view name) const { return type == TokenType::name && text == name; }
};

/// The token as Jinja names it in messages.
std::string describe(const Token& token);

/// Splits a template into tokens the way Jinja's lexer does with trim_blocks and lstrip_blocks. The last token is `end`, or
/// `error` with the message where the text cannot be split further: what is wrong before it should be reported first.
std::vector<Token> tokenize(std::string_view source);

/// The content of a string literal without its quotes. Throws Failure{template_syntax_error}.
std::string unescape_literal(std::string_view literal, int line);

}  // namespace nibble::jinja
