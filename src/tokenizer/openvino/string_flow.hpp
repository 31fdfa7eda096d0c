#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.hpp"

namespace nibble::tokenizer {

/// Strings in a graph: where each begins and ends among the bytes of all.
struct StringValues {
  Value begins, ends, chars;
};

/// Bytes as a constant of u8: how tokenizer IRs hold patterns and other single strings.
Value bytes_constant(Graph& graph, std::string_view bytes);
/// A list of strings as three constants.
StringValues strings_constant(Graph& graph, std::span<const std::string> strings);
Value scalar_constant(Graph& graph, int32_t value);
Value list_constant(Graph& graph, const std::vector<int32_t>& values);

/// Strings on their way through a graph that is being built: each call appends the operation of OpenVINO's tokenizers extension that
/// changes them. Tokenizing begins with whole texts, which the first split makes lists of pieces; pieces that special_tokens() has cut
/// out are marked, and all later calls pass them unchanged. Decoding begins with lists of tokens, which fuse() makes texts.
class StringFlow {
 public:
  /// Texts, as StringTensorUnpack gives them.
  StringFlow(Graph& graph, StringValues texts) : graph_(graph), strings_(texts) {}
  /// Lists of strings.
  StringFlow(Graph& graph, Value list_begins, Value list_ends, StringValues strings)
      : graph_(graph), list_begins_(list_begins), list_ends_(list_ends), strings_(strings) {}

  /// PCRE2's matches of `pattern` become `replacement` ($1 is a group); only the first unless `all`.
  void replace(std::string_view pattern, std::string_view replacement, bool all = true);
  /// A Unicode normal form: "nfc", "nfd", "nfkc" or "nfkd".
  void normalize(std::string_view form);
  /// What sentencepiece's character map `map` says.
  void map_characters(std::string_view map);
  /// Cuts at the matches of `pattern`: they stay as pieces, or go with `remove`; `invert` removes what lies between them.
  void split(std::string_view pattern, bool remove = false, bool invert = false);
  /// Cuts out and marks the one group of every match of `pattern`.
  void split_special(std::string_view pattern);
  /// Every byte becomes GPT-2's character for it.
  void spell_bytes();
  /// "<0xNN>" becomes a byte.
  void bytes_from_tokens();
  /// Joins the strings of each list.
  void fuse();
  /// Invalid UTF-8 becomes U+FFFD, or nothing.
  void validate(bool replace);

  /// List begins and ends, then strings: what models take.
  std::vector<Value> lists();
  const StringValues& strings() const { return strings_; }
  bool has_lists() const { return static_cast<bool>(list_begins_); }
  /// Whether no piece is without text, as after a split.
  bool is_split() const { return is_split_; }

 private:
  void make_lists();
  /// An operation on strings with `more` inputs after them; `with_marks` where it lets marked ones pass.
  void map(std::string_view type, std::vector<Value> more, Attributes attributes, bool with_marks);
  void take_lists(Node& node);

  Graph& graph_;
  Value list_begins_, list_ends_;
  StringValues strings_;
  Value marks_;
  bool is_split_ = false;
};

}  // namespace nibble::tokenizer
