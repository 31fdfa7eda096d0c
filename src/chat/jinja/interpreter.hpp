#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "chat/jinja/ast.hpp"
#include "chat/jinja/objects.hpp"
#include "chat/jinja/run.hpp"

namespace nibble::jinja {

/// The variables of one call of a function of the template.
struct Activation {
  Activation(std::shared_ptr<Activation> around, uint32_t slots_) : parent(std::move(around)), slots(slots_) {}
  std::shared_ptr<Activation> parent;
  std::vector<Value> slots;
};

/// Where names come from that no frame defines: what the template has set at its top level, what it was given, the
/// engine's functions.
struct Context {
  std::shared_ptr<Context> outer;
  std::map<std::string, Value, std::less<>> variables;
};

class Loop;

/// Runs a program once. For one thread. Throws Failure; its line is that of the run.
class Interpreter {
 public:
  /// `given`: a dict.
  Interpreter(Run& run, const Program& program, Value given);
  std::string render();
  /// Ranges of code points of the output that generation blocks made, as transformers records them.
  const std::vector<std::pair<size_t, size_t>>& generation() const { return generation_; }

  /// Runs a macro; `closure` and `context` are those of its definition.
  Value invoke(const MacroBody& macro, const std::shared_ptr<Activation>& closure, const std::shared_ptr<Context>& context,
               Arguments& arguments);
  /// Renders a block by its name; nothing when there is none.
  const Block* find_block(std::string_view name) const;
  std::string render_block(const Block& block, std::shared_ptr<Context> context);
  const std::shared_ptr<Context>& context() const { return context_; }
  /// Runs a loop marked `recursive` in a call of its own.
  Value run_recursive(const For& node, const std::shared_ptr<Activation>& closure, const Value& iterable, int64_t depth);

 private:
  enum class Flow { next, leave, again };  ///< go on, break, continue

  // Statements.
  Flow execute(const Body& body);
  Flow execute(const Statement& statement);
  void execute_output(const Output& node);
  void execute_set(const Set& node);
  Flow execute_set_block(const SetBlock& node);
  Flow execute_if(const If& node);
  Flow execute_for(const For& node);
  void execute_macro(const Macro& node);
  void execute_call_block(const CallBlock& node);
  void execute_generation(const Generation& node);
  Flow execute_filter_block(const FilterBlock& node);
  Flow execute_with(const With& node);
  void execute_block(const Block& node);
  Flow run_loop(const For& node, const Value& iterable, int64_t depth);
  Flow iterate_loop(const For& node, Loop& loop, bool& nothing_done);
  Value filtered(const For& node, const Value& iterable);
  void write(std::string_view text);
  /// The body's output as text; `flow` tells how it ended.
  std::string capture(const Body& body, Flow& flow);

  // Variables.
  Value& variable(const Slot& slot);
  void enter(const Frame& frame);
  void leave(const Frame& frame);
  Value lookup(const std::string& name);
  void assign(const Expression& target, const Value& value);
  void assign_items(const TupleLiteral& targets, const Value& value);
  void check_namespaces(const Expression& target);
  void export_names(const Expression& target);
  void fill_parameters(const MacroBody& macro, Arguments& arguments);
  void fill_rest(const MacroBody& macro, Arguments& arguments, size_t taken, bool found_caller);
  void fill_defaults(const MacroBody& macro);

  // Expressions.
  Value evaluate(const Expression& node);
  Value evaluate_name(const Name& node);
  Value evaluate_compare(const Compare& node);
  Value evaluate_conditional(const Conditional& node);
  Value evaluate_concat(const Concat& node);
  Value evaluate_dict(const DictLiteral& node);
  Value evaluate_slice(const SliceOf& node);
  Value evaluate_call(const Call& node, const Value* caller = nullptr);
  Value evaluate_filter(const FilterCall& node, const Value* text = nullptr);
  Value evaluate_test(const TestCall& node);
  std::vector<Value> evaluate_all(const std::vector<ExpressionPtr>& nodes);
  void evaluate_arguments(const CallArguments& node, Arguments& arguments);

  Run& run_;
  const Program& program_;
  Value given_;
  std::shared_ptr<Context> context_;
  std::shared_ptr<Activation> here_;
  TextBuilder root_;
  TextBuilder* out_;
  bool written_ = false;  ///< something, even if empty, has been written to the root
  size_t counted_bytes_ = 0, counted_ = 0;
  std::vector<std::pair<size_t, size_t>> generation_;
};

}  // namespace nibble::jinja
