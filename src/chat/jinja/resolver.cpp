#include "chat/jinja/resolver.hpp"

#include <algorithm>

#include "chat/jinja/registry.hpp"
#include "chat/jinja/symbols.hpp"
#include "chat/jinja/walk.hpp"

namespace nibble::jinja {

namespace {

/// Finds the names that statements read and assign in their own frame, without entering inner frames.
class Finder {
 public:
  explicit Finder(Symbols& symbols) : symbols_(symbols) {}

  void read(const Expression* expression) {
    if (!expression) return;
    if (expression->kind == Expression::Kind::name) symbols_.load(static_cast<const Name&>(*expression).name);
    for_each_child(*expression, [this](const Expression& child) { read(&child); });
  }

  void assign(const Expression& target, bool as_parameter = false) {
    if (target.kind == Expression::Kind::name) {
      const std::string& name = static_cast<const Name&>(target).name;
      as_parameter ? static_cast<void>(symbols_.declare_parameter(name)) : symbols_.store(name);
    } else if (target.kind == Expression::Kind::namespace_target) {
      symbols_.load(static_cast<const NamespaceTarget&>(target).name);
    } else {
      for_each_child(target, [&](const Expression& child) { assign(child, as_parameter); });
    }
  }

  void visit(const Body& body) {
    for (const auto& statement : body) visit(*statement);
  }

 private:
  void visit(const Statement& statement) {
    switch (statement.kind) {
      case Statement::Kind::output:
        for (const auto& item : static_cast<const Output&>(statement).items) read(item.get());
        break;
      case Statement::Kind::set: {
        const auto& node = static_cast<const Set&>(statement);
        read(node.value.get());
        assign(*node.target);
        break;
      }
      case Statement::Kind::set_block: assign(*static_cast<const SetBlock&>(statement).target); break;
      case Statement::Kind::conditional: visit_if(static_cast<const If&>(statement)); break;
      case Statement::Kind::loop: read(static_cast<const For&>(statement).iterable.get()); break;
      case Statement::Kind::macro: symbols_.store(static_cast<const Macro&>(statement).macro.name); break;
      case Statement::Kind::call_block: read(static_cast<const CallBlock&>(statement).call.get()); break;
      case Statement::Kind::filter_block: read(static_cast<const FilterBlock&>(statement).filter.get()); break;
      case Statement::Kind::with:
        for (const auto& value : static_cast<const With&>(statement).values) read(value.get());
        break;
      case Statement::Kind::generation:
      case Statement::Kind::block:
      case Statement::Kind::jump:
      case Statement::Kind::refused: break;
    }
  }

  Symbols branch(const Body& body) const {
    Symbols result = symbols_.branch();
    Finder(result).visit(body);
    return result;
  }

  void visit_if(const If& node) {
    read(node.branches[0].test.get());
    Symbols elifs = symbols_.branch();
    for (size_t i = 1; i < node.branches.size(); ++i) {
      Finder finder(elifs);
      finder.read(node.branches[i].test.get());
      elifs.merge({finder.branch(node.branches[i].body), elifs.branch(), elifs.branch()});
    }
    symbols_.merge({branch(node.branches[0].body), elifs, branch(node.otherwise)});
  }

  Symbols& symbols_;
};

/// Where a statement stands.
struct Place {
  Symbols& symbols;
  bool top = false;   ///< at the top level of the template
  bool soft = false;  ///< directly inside an `if`
};

class Resolver {
 public:
  explicit Resolver(Program& program) : program_(program) {}

  void run() {
    FunctionScope function(nullptr);
    Symbols symbols(nullptr, function);
    if (program_.uses_self) symbols.declare_parameter("self");
    Finder(symbols).visit(program_.body);
    resolve(program_.body, {symbols, true, false});
    program_.frame = symbols.frame();
    program_.slots = function.slots;
  }

 private:
  void resolve(Body& body, const Place& place) {
    for (auto& statement : body) resolve(*statement, place);
  }

  void resolve(Statement& statement, const Place& place) {
    switch (statement.kind) {
      case Statement::Kind::output:
        for (auto& item : static_cast<Output&>(statement).items) resolve(item.get(), place);
        break;
      case Statement::Kind::set: {
        auto& node = static_cast<Set&>(statement);
        resolve(node.value.get(), place);
        resolve(node.target.get(), place);
        node.exported = place.top;
        break;
      }
      case Statement::Kind::set_block: return resolve_set_block(static_cast<SetBlock&>(statement), place);
      case Statement::Kind::conditional: return resolve_if(static_cast<If&>(statement), place);
      case Statement::Kind::loop: return resolve_for(static_cast<For&>(statement), place);
      case Statement::Kind::macro: {
        auto& node = static_cast<Macro&>(statement);
        resolve_macro(node.macro, place);
        node.slot = place.symbols.slot_of(node.macro.name);
        node.exported = place.top;
        break;
      }
      case Statement::Kind::call_block: {
        auto& node = static_cast<CallBlock&>(statement);
        resolve_macro(node.caller, place);
        resolve(node.call.get(), place);
        break;
      }
      case Statement::Kind::generation: return resolve_macro(static_cast<Generation&>(statement).caller, place);
      case Statement::Kind::filter_block: {
        auto& node = static_cast<FilterBlock&>(statement);
        resolve_inner(node.body, node.frame, node.filter.get(), place);
        break;
      }
      case Statement::Kind::with: return resolve_with(static_cast<With&>(statement), place);
      case Statement::Kind::block: return resolve_block(static_cast<Block&>(statement), place);
      case Statement::Kind::jump:
      case Statement::Kind::refused: break;
    }
  }

  void resolve(Expression* expression, Place place) {
    if (!expression) return;
    switch (expression->kind) {
      case Expression::Kind::name: {
        auto& node = static_cast<Name&>(*expression);
        node.slot = place.symbols.slot_of(node.name);
        return;
      }
      case Expression::Kind::namespace_target: {
        auto& node = static_cast<NamespaceTarget&>(*expression);
        node.slot = place.symbols.slot_of(node.name);
        return;
      }
      case Expression::Kind::conditional: place.soft = true; break;
      case Expression::Kind::filter: {
        auto& node = static_cast<FilterCall&>(*expression);
        node.filter = find_filter(node.name);
        if (!node.filter && !place.soft) unknown("filter", node.name, node.line);
        break;
      }
      case Expression::Kind::test: {
        auto& node = static_cast<TestCall&>(*expression);
        node.test = find_test(node.name);
        if (!node.test && !place.soft) unknown("test", node.name, node.line);
        break;
      }
      default: break;
    }
    for_each_child(*expression, [&](Expression& child) { resolve(&child, place); });
  }

  [[noreturn]] static void unknown(std::string_view kind, const std::string& name, int line) {
    throw Failure(Fault::template_assertion_error, fmt::format("No {} named '{}'.", kind, name), line);
  }

  void resolve_if(If& node, const Place& place) {
    const Place inside{place.symbols, place.top, true};
    for (auto& branch : node.branches) {
      resolve(branch.test.get(), inside);
      resolve(branch.body, inside);
    }
    resolve(node.otherwise, inside);
  }

  /// A body with a frame of its own in the same function, and the filter on it.
  void resolve_inner(Body& body, Frame& frame, FilterCall* filter, const Place& place) {
    Symbols symbols(&place.symbols, place.symbols.function());
    Finder finder(symbols);
    finder.visit(body);
    finder.read(filter);
    resolve(body, {symbols});
    resolve(static_cast<Expression*>(filter), {symbols});
    frame = symbols.frame();
  }

  void resolve_set_block(SetBlock& node, const Place& place) {
    resolve_inner(node.body, node.frame, node.filter.get(), place);
    resolve(node.target.get(), place);
    node.exported = place.top;
  }

  void resolve_with(With& node, const Place& place) {
    for (auto& value : node.values) resolve(value.get(), place);
    Symbols symbols(&place.symbols, place.symbols.function());
    Finder finder(symbols);
    for (const auto& target : node.targets) finder.assign(*target, true);
    finder.visit(node.body);
    for (auto& target : node.targets) resolve(target.get(), {symbols});
    resolve(node.body, {symbols});
    node.frame = symbols.frame();
  }

  void resolve_for(For& node, const Place& place) {
    resolve(node.iterable.get(), place);
    if (node.filter) resolve_loop_filter(node, place);
    FunctionScope own(&place.symbols.function());
    FunctionScope& function = node.recursive ? own : place.symbols.function();
    Symbols body(&place.symbols, function);
    node.loop_slot = body.declare_parameter("loop");
    Finder finder(body);
    finder.assign(*node.target, true);
    finder.visit(node.body);
    Symbols otherwise(&place.symbols, function);
    Finder(otherwise).visit(node.otherwise);
    resolve(node.target.get(), {body});
    resolve(node.body, {body});
    resolve(node.otherwise, {otherwise});
    node.frame = body.frame();
    node.otherwise_frame = otherwise.frame();
    node.slots = own.slots;
  }

  void resolve_loop_filter(For& node, const Place& place) {
    FunctionScope function(&place.symbols.function());
    Symbols symbols(&place.symbols, function);
    Finder finder(symbols);
    finder.assign(*node.filter_target, true);
    finder.read(node.filter.get());
    resolve(node.filter_target.get(), {symbols});
    resolve(node.filter.get(), {symbols});
    node.filter_frame = symbols.frame();
    node.filter_slots = function.slots;
  }

  void resolve_macro(MacroBody& macro, const Place& place) {
    FunctionScope function(&place.symbols.function());
    Symbols symbols(&place.symbols, function);
    for (const std::string& name : macro.parameters) {
      macro.parameter_slots.push_back(symbols.declare_parameter(name));
      macro.explicit_caller = macro.explicit_caller || name == "caller";
    }
    auto has = [&](std::string_view name) {
      return std::find(macro.parameters.begin(), macro.parameters.end(), name) != macro.parameters.end();
    };
    macro.takes_kwargs = macro.uses_kwargs && !has("kwargs");
    macro.takes_varargs = macro.uses_varargs && !has("varargs");
    if (macro.uses_caller && !macro.explicit_caller) macro.caller_slot = symbols.declare_parameter("caller");
    if (macro.takes_kwargs) macro.kwargs_slot = symbols.declare_parameter("kwargs");
    if (macro.takes_varargs) macro.varargs_slot = symbols.declare_parameter("varargs");
    Finder finder(symbols);
    for (const auto& value : macro.defaults) finder.read(value.get());
    finder.visit(macro.body);
    for (auto& value : macro.defaults) resolve(value.get(), {symbols});
    resolve(macro.body, {symbols});
    macro.frame = symbols.frame();
    macro.slots = function.slots;
  }

  /// A block knows nothing of the function around it: its names come from the context.
  void resolve_block(Block& node, const Place& place) {
    FunctionScope function(nullptr);
    Symbols symbols(nullptr, function);
    if (program_.uses_self) symbols.declare_parameter("self");
    if (program_.uses_super) symbols.declare_parameter("super");
    Finder(symbols).visit(node.body);
    resolve(node.body, {symbols});
    node.frame = symbols.frame();
    node.slots = function.slots;
    if (node.scoped) node.visible = place.symbols.visible_stores();
  }

  Program& program_;
};

}  // namespace

void resolve(Program& program) { Resolver(program).run(); }

}  // namespace nibble::jinja
