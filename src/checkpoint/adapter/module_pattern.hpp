#pragma once

#include <memory>
#include <string>

namespace nibble {

/// A key of rank_pattern or alpha_pattern: the end of a module's name, or a regular expression for it, as PEFT takes it. For one thread.
class ModulePattern {
 public:
  /// `where` names the file in errors. Throws Error{corrupt} for what is no regular expression.
  ModulePattern(const std::string& text, const std::string& where);
  ~ModulePattern();
  ModulePattern(const ModulePattern&) = delete;
  ModulePattern& operator=(const ModulePattern&) = delete;

  /// Throws Error{corrupt} where telling takes too long.
  bool fits(const std::string& module) const;

 private:
  struct Compiled;
  std::unique_ptr<Compiled> compiled_;
  std::string text_, where_;
};

}  // namespace nibble
