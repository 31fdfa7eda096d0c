#include "compress/ignored_scope.hpp"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <memory>

#include "base/fail.hpp"

namespace nibble {

namespace {

/// A regular expression anchored at the start, as Python's re.match.
class Pattern {
 public:
  explicit Pattern(const std::string& text) {
    int error = 0;
    PCRE2_SIZE offset = 0;
    code_.reset(
        pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), PCRE2_ANCHORED | PCRE2_UTF, &error, &offset, nullptr));
    if (!code_) fail(ErrorKind::invalid_argument, "ignored scope: pattern '{}' is no regular expression (at character {})", text, offset);
    match_.reset(pcre2_match_data_create_from_pattern(code_.get(), nullptr));
  }
  bool matches(const std::string& name) const {
    return pcre2_match(code_.get(), reinterpret_cast<PCRE2_SPTR>(name.data()), name.size(), 0, 0, match_.get(), nullptr) >= 0;
  }

 private:
  struct Free {
    void operator()(pcre2_code* code) const { pcre2_code_free(code); }
    void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
  };
  std::unique_ptr<pcre2_code, Free> code_;
  std::unique_ptr<pcre2_match_data, Free> match_;
};

/// Adds the nodes for which `test` holds; complains when there are none.
template <class Test>
void collect(const std::vector<Node*>& nodes, std::string_view what, const std::string& rule, bool validate,
             std::unordered_set<const Node*>& found, Test test) {
  bool any = false;
  for (const Node* node : nodes)
    if (test(*node)) any = true, found.insert(node);
  if (!any && validate)
    fail(ErrorKind::invalid_argument, "ignored scope: no node matches the {} '{}'; correct it or set validate to false", what, rule);
}

}  // namespace

std::unordered_set<const Node*> ignored_nodes(const IgnoredScope& scope, const std::vector<Node*>& nodes) {
  std::unordered_set<const Node*> found;
  for (const auto& name : scope.names)
    collect(nodes, "name", name, scope.validate, found, [&](const Node& node) { return node.name() == name; });
  for (const auto& text : scope.patterns) {
    Pattern pattern(text);
    collect(nodes, "pattern", text, scope.validate, found, [&](const Node& node) { return pattern.matches(node.name()); });
  }
  for (const auto& type : scope.types) collect(nodes, "type", type, scope.validate, found, [&](const Node& node) { return node.is(type); });
  return found;
}

}  // namespace nibble
