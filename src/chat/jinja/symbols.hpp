#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "chat/jinja/ast.hpp"

namespace nibble::jinja {

/// A function of the running template: the template itself, a block, a macro, a recursive loop, a loop filter.
struct FunctionScope {
  explicit FunctionScope(const FunctionScope* parent) : depth(parent ? parent->depth + 1 : 0) {}
  /// The slot of a name at a level of nested frames; sibling frames share it.
  uint32_t slot(int level, const std::string& name);

  uint32_t depth;
  uint32_t slots = 0;
  std::map<std::pair<int, std::string>, uint32_t> by_name;
};

/// The variables of one frame, found before it runs: Jinja decides at compile time where each name of a body comes from
/// (see jinja2.idtracking), and templates depend on the consequences. A frame is what has variables of its own: the
/// template, loop bodies, macros, with, set blocks, filter blocks; `if` has none.
class Symbols {
 public:
  Symbols(const Symbols* parent, FunctionScope& function)
      : parent_(parent), function_(&function), level_(parent ? parent->level_ + 1 : 0) {}

  /// The name is read here.
  void load(const std::string& name);
  /// The name is assigned here.
  void store(const std::string& name);
  /// The name is set by whoever enters the frame. Returns its slot.
  uint32_t declare_parameter(const std::string& name);
  /// What one branch of an `if` finds, on top of this.
  Symbols branch() const;
  /// Takes over what the branches of an `if` have found.
  void merge(const std::vector<Symbols>& branches);

  /// Where a known name lives, seen from this frame.
  Slot slot_of(const std::string& name) const;
  /// What to do on entering the frame.
  Frame frame() const;
  FunctionScope& function() const { return *function_; }
  /// Every name assigned in this frame or around it.
  std::vector<std::pair<std::string, Slot>> visible_stores() const;

 private:
  struct Reference {
    const FunctionScope* function;
    uint32_t slot;
  };
  struct Load {
    FrameLoad::Kind kind;
    std::string name;
    Reference source{};
  };
  const Reference* find(const std::string& name) const;
  const Reference* find_here(const std::string& name) const;
  bool stored_here(const std::string& name) const;
  uint32_t define(const std::string& name, Load load);
  Slot seen_from_here(const Reference& reference) const { return {function_->depth - reference.function->depth, reference.slot}; }

  const Symbols* base_ = nullptr;  ///< of a branch: the frame that it is a part of
  const Symbols* parent_;
  FunctionScope* function_;
  int level_;
  std::map<std::string, Reference> references_;
  std::map<uint32_t, Load> loads_;
  std::set<std::string> stores_;
};

}  // namespace nibble::jinja
