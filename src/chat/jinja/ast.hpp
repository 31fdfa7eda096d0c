#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "chat/jinja/value.hpp"

namespace nibble::jinja {

struct Filter;
struct Test;

/// Where a variable lives: `hops` functions outwards (0 = this one), at `index` of its slots.
struct Slot {
  uint32_t hops = 0, index = 0;
};

// ---- Expressions ----

struct Expression {
  enum class Kind {
    constant,
    name,
    list,
    tuple,
    dict,
    unary,
    logical_not,
    binary,
    logical_and,
    logical_or,
    compare,
    concat,
    conditional,
    attribute,
    item,
    slice,
    call,
    filter,
    test,
    namespace_target,
  };
  Expression(Kind k, int l) : kind(k), line(l) {}
  virtual ~Expression() = default;
  Kind kind;
  int line;
  int height = 1;  ///< levels of the tree below, bounded by the parser
};
using ExpressionPtr = std::unique_ptr<Expression>;

template <Expression::Kind kind_of>
struct ExpressionOf : Expression {
  explicit ExpressionOf(int l) : Expression(kind_of, l) {}
};

struct Constant : ExpressionOf<Expression::Kind::constant> {
  Constant(int l, Value v) : ExpressionOf(l), value(std::move(v)) {}
  Value value;
};
struct Name : ExpressionOf<Expression::Kind::name> {
  Name(int l, std::string n) : ExpressionOf(l), name(std::move(n)) {}
  std::string name;
  Slot slot;
};
/// Target `name.attribute` of a set statement.
struct NamespaceTarget : ExpressionOf<Expression::Kind::namespace_target> {
  using ExpressionOf::ExpressionOf;
  std::string name, attribute;
  Slot slot;
};
struct ListLiteral : ExpressionOf<Expression::Kind::list> {
  using ExpressionOf::ExpressionOf;
  std::vector<ExpressionPtr> items;
};
struct TupleLiteral : ExpressionOf<Expression::Kind::tuple> {
  using ExpressionOf::ExpressionOf;
  std::vector<ExpressionPtr> items;
};
struct DictLiteral : ExpressionOf<Expression::Kind::dict> {
  using ExpressionOf::ExpressionOf;
  std::vector<std::pair<ExpressionPtr, ExpressionPtr>> entries;
};
struct Unary : ExpressionOf<Expression::Kind::unary> {
  using ExpressionOf::ExpressionOf;
  std::string op;
  ExpressionPtr operand;
};
struct Not : ExpressionOf<Expression::Kind::logical_not> {
  using ExpressionOf::ExpressionOf;
  ExpressionPtr operand;
};
struct Binary : ExpressionOf<Expression::Kind::binary> {
  using ExpressionOf::ExpressionOf;
  std::string op;
  ExpressionPtr left, right;
};
struct And : ExpressionOf<Expression::Kind::logical_and> {
  using ExpressionOf::ExpressionOf;
  ExpressionPtr left, right;
};
struct Or : ExpressionOf<Expression::Kind::logical_or> {
  using ExpressionOf::ExpressionOf;
  ExpressionPtr left, right;
};
/// first OP second OP third ..., true when all hold. OP: == != < <= > >= in, "not in".
struct Compare : ExpressionOf<Expression::Kind::compare> {
  using ExpressionOf::ExpressionOf;
  ExpressionPtr first;
  std::vector<std::pair<std::string, ExpressionPtr>> rest;
};
struct Concat : ExpressionOf<Expression::Kind::concat> {
  using ExpressionOf::ExpressionOf;
  std::vector<ExpressionPtr> items;
};
struct Conditional : ExpressionOf<Expression::Kind::conditional> {
  using ExpressionOf::ExpressionOf;
  ExpressionPtr test, yes, no;  ///< `no` may be null
};
struct AttributeOf : ExpressionOf<Expression::Kind::attribute> {
  using ExpressionOf::ExpressionOf;
  ExpressionPtr object;
  std::string name;
};
struct ItemOf : ExpressionOf<Expression::Kind::item> {
  using ExpressionOf::ExpressionOf;
  ExpressionPtr object, key;
};
struct SliceOf : ExpressionOf<Expression::Kind::slice> {
  using ExpressionOf::ExpressionOf;
  ExpressionPtr object, start, stop, step;  ///< the last three may be null
};
struct CallArguments {
  std::vector<ExpressionPtr> positional;
  std::vector<std::pair<std::string, ExpressionPtr>> named;
  ExpressionPtr star, double_star;  ///< may be null
};
struct Call : ExpressionOf<Expression::Kind::call> {
  using ExpressionOf::ExpressionOf;
  ExpressionPtr callee;
  CallArguments arguments;
};
/// subject | name(arguments); the subject is null in filter blocks and set blocks.
struct FilterCall : ExpressionOf<Expression::Kind::filter> {
  using ExpressionOf::ExpressionOf;
  ExpressionPtr subject;
  std::string name;
  CallArguments arguments;
  const Filter* filter = nullptr;  ///< null: unknown, an error when reached
};
struct TestCall : ExpressionOf<Expression::Kind::test> {
  using ExpressionOf::ExpressionOf;
  ExpressionPtr subject;
  std::string name;
  CallArguments arguments;
  const Test* test = nullptr;
};

// ---- Frames: the variables of a statement's body ----

/// What a variable of a frame is set to when the frame is entered.
struct FrameLoad {
  enum class Kind { parameter, from_context, alias, nothing };
  Kind kind = Kind::nothing;
  uint32_t slot = 0;
  std::string name;  ///< from_context
  Slot source;       ///< alias
};
using Frame = std::vector<FrameLoad>;

// ---- Statements ----

struct Statement {
  enum class Kind { output, set, set_block, conditional, loop, macro, call_block, generation, filter_block, with, block, jump, refused };
  Statement(Kind k, int l) : kind(k), line(l) {}
  virtual ~Statement() = default;
  Kind kind;
  int line;
};
using StatementPtr = std::unique_ptr<Statement>;
using Body = std::vector<StatementPtr>;

template <Statement::Kind kind_of>
struct StatementOf : Statement {
  explicit StatementOf(int l) : Statement(kind_of, l) {}
};

struct Output : StatementOf<Statement::Kind::output> {
  using StatementOf::StatementOf;
  std::vector<ExpressionPtr> items;
};
struct Set : StatementOf<Statement::Kind::set> {
  using StatementOf::StatementOf;
  ExpressionPtr target, value;
  bool exported = false;  ///< at the top level: blocks see it
};
struct SetBlock : StatementOf<Statement::Kind::set_block> {
  using StatementOf::StatementOf;
  ExpressionPtr target;
  std::unique_ptr<FilterCall> filter;  ///< may be null
  Body body;
  Frame frame;
  bool exported = false;
};
struct If : StatementOf<Statement::Kind::conditional> {
  using StatementOf::StatementOf;
  struct Branch {
    ExpressionPtr test;
    Body body;
  };
  std::vector<Branch> branches;  ///< if and all elif
  Body otherwise;
};
struct For : StatementOf<Statement::Kind::loop> {
  using StatementOf::StatementOf;
  ExpressionPtr target, iterable;
  ExpressionPtr filter_target, filter;  ///< the target again for `if`, whose frame is another; both may be null
  bool recursive = false;
  Body body, otherwise;
  Frame frame, filter_frame, otherwise_frame;
  uint32_t loop_slot = 0;
  uint32_t slots = 0;         ///< of the function that a recursive loop is
  uint32_t filter_slots = 0;  ///< of the function that the filter is
};
/// The function behind a macro, a call block or a generation block.
struct MacroBody {
  std::string name;
  std::vector<std::string> parameters;
  std::vector<ExpressionPtr> defaults;  ///< of the last parameters
  Body body;
  bool uses_caller = false, uses_kwargs = false, uses_varargs = false;  ///< names that the body reads
  // Set by the resolver.
  Frame frame;
  std::vector<uint32_t> parameter_slots;
  uint32_t caller_slot = 0, kwargs_slot = 0, varargs_slot = 0, slots = 0;
  bool explicit_caller = false, takes_kwargs = false, takes_varargs = false;
};
struct Macro : StatementOf<Statement::Kind::macro> {
  using StatementOf::StatementOf;
  MacroBody macro;
  Slot slot;
  bool exported = false;
};
struct CallBlock : StatementOf<Statement::Kind::call_block> {
  using StatementOf::StatementOf;
  MacroBody caller;
  std::unique_ptr<Call> call;
};
struct Generation : StatementOf<Statement::Kind::generation> {
  using StatementOf::StatementOf;
  MacroBody caller;
};
struct FilterBlock : StatementOf<Statement::Kind::filter_block> {
  using StatementOf::StatementOf;
  std::unique_ptr<FilterCall> filter;
  Body body;
  Frame frame;
};
struct With : StatementOf<Statement::Kind::with> {
  using StatementOf::StatementOf;
  std::vector<ExpressionPtr> targets, values;
  Body body;
  Frame frame;
};
struct Block : StatementOf<Statement::Kind::block> {
  using StatementOf::StatementOf;
  std::string name;
  bool scoped = false, required = false;
  Body body;
  // Set by the resolver.
  Frame frame;
  uint32_t slots = 0;
  std::vector<std::pair<std::string, Slot>> visible;  ///< what a scoped block gets from around it
};
struct Jump : StatementOf<Statement::Kind::jump> {
  using StatementOf::StatementOf;
  bool leave = false;  ///< break, else continue
};
/// include, import, from and extends: they parse, but there is nothing to load from.
struct Refused : StatementOf<Statement::Kind::refused> {
  using StatementOf::StatementOf;
};

/// A template ready to run. Immutable, thread-safe.
struct Program {
  Body body;
  Frame frame;
  uint32_t slots = 0;
  std::vector<const Block*> blocks;
  bool uses_self = false, uses_super = false;
};

}  // namespace nibble::jinja
