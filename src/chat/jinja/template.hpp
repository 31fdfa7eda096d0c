#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "chat/jinja/ast.hpp"
#include "chat/jinja/run.hpp"

namespace nibble::jinja {

struct Rendering {
  std::string text;
  std::vector<std::pair<size_t, size_t>> generation;  ///< code points of `text` from generation blocks
};

/// A compiled template. Immutable, thread-safe.
class Template {
 public:
  static constexpr size_t longest_source = size_t{1} << 20;

  /// Throws Failure with the line for what does not compile.
  explicit Template(std::string_view source);
  /// `context`: a dict. Throws Failure with the line.
  Rendering render(Run& run, const Value& context) const;

 private:
  Program program_;
};

}  // namespace nibble::jinja
