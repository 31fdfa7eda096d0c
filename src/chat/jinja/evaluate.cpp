#include "chat/jinja/attributes.hpp"
#include "chat/jinja/operators.hpp"
#include "chat/jinja/registry.hpp"
#include "chat/jinja/runtime_objects.hpp"

namespace nibble::jinja {

Value Interpreter::evaluate(const Expression& node) {
  Run::Nesting level(run_);
  run_.step();
  using Kind = Expression::Kind;
  switch (node.kind) {
    case Kind::constant: return static_cast<const Constant&>(node).value;
    case Kind::name: return evaluate_name(static_cast<const Name&>(node));
    case Kind::list: return run_.list(evaluate_all(static_cast<const ListLiteral&>(node).items));
    case Kind::tuple: return run_.tuple(evaluate_all(static_cast<const TupleLiteral&>(node).items));
    case Kind::dict: return evaluate_dict(static_cast<const DictLiteral&>(node));
    case Kind::unary: {
      const auto& sign = static_cast<const Unary&>(node);
      return unary(run_, sign.op, evaluate(*sign.operand));
    }
    case Kind::logical_not: return !truth(run_, evaluate(*static_cast<const Not&>(node).operand));
    case Kind::binary: {
      const auto& operation = static_cast<const Binary&>(node);
      const Value left = evaluate(*operation.left), right = evaluate(*operation.right);
      return binary(run_, operation.op, left, right);
    }
    case Kind::logical_and: {
      Value left = evaluate(*static_cast<const And&>(node).left);
      return truth(run_, left) ? evaluate(*static_cast<const And&>(node).right) : left;
    }
    case Kind::logical_or: {
      Value left = evaluate(*static_cast<const Or&>(node).left);
      return truth(run_, left) ? left : evaluate(*static_cast<const Or&>(node).right);
    }
    case Kind::compare: return evaluate_compare(static_cast<const Compare&>(node));
    case Kind::concat: return evaluate_concat(static_cast<const Concat&>(node));
    case Kind::conditional: return evaluate_conditional(static_cast<const Conditional&>(node));
    case Kind::attribute: {
      const auto& access = static_cast<const AttributeOf&>(node);
      return get_attribute(run_, evaluate(*access.object), access.name);
    }
    case Kind::item: {
      const auto& access = static_cast<const ItemOf&>(node);
      const Value object = evaluate(*access.object), key = evaluate(*access.key);
      return get_item(run_, object, key);
    }
    case Kind::slice: return evaluate_slice(static_cast<const SliceOf&>(node));
    case Kind::call: return evaluate_call(static_cast<const Call&>(node));
    case Kind::filter: return evaluate_filter(static_cast<const FilterCall&>(node));
    case Kind::test: return evaluate_test(static_cast<const TestCall&>(node));
    case Kind::namespace_target: break;
  }
  return {};
}

Value Interpreter::evaluate_name(const Name& node) {
  const Value& value = variable(node.slot);
  return value.is_missing() ? run_.undefined(fmt::format("'{}' is undefined", node.name)) : value;
}

std::vector<Value> Interpreter::evaluate_all(const std::vector<ExpressionPtr>& nodes) {
  std::vector<Value> values;
  values.reserve(nodes.size());
  for (const auto& node : nodes) values.push_back(evaluate(*node));
  return values;
}

Value Interpreter::evaluate_dict(const DictLiteral& node) {
  DictBuilder dict(run_);
  for (const auto& [key, value] : node.entries) {
    const Value name = evaluate(*key);
    dict.set(name, evaluate(*value));
  }
  return dict.value();
}

Value Interpreter::evaluate_compare(const Compare& node) {
  Value left = evaluate(*node.first);
  for (const auto& [op, operand] : node.rest) {
    Value right = evaluate(*operand);
    bool holds = false;
    if (op == "==" || op == "!=") {
      holds = equal(run_, left, right) == (op == "==");
    } else if (op == "in" || op == "not in") {
      holds = contains(run_, right, left) == (op == "in");
    } else {
      holds = ordered(run_, op, left, right);
    }
    if (!holds) return false;
    left = std::move(right);
  }
  return true;
}

Value Interpreter::evaluate_concat(const Concat& node) {
  TextBuilder text(run_);
  for (const auto& item : node.items) append_string(text, run_, evaluate(*item));
  return text.value();
}

Value Interpreter::evaluate_conditional(const Conditional& node) {
  if (truth(run_, evaluate(*node.test))) return evaluate(*node.yes);
  if (node.no) return evaluate(*node.no);
  return run_.undefined(fmt::format("the inline if-expression on line {} evaluated to false and no else section was defined.", node.line));
}

Value Interpreter::evaluate_slice(const SliceOf& node) {
  auto part = [&](const ExpressionPtr& expression) { return expression ? evaluate(*expression) : Value(None{}); };
  const Value object = evaluate(*node.object);
  const Value start = part(node.start), stop = part(node.stop), step = part(node.step);
  return slice(run_, object, start, stop, step);
}

void Interpreter::evaluate_arguments(const CallArguments& node, Arguments& arguments) {
  for (const auto& argument : node.positional) arguments.positional.push_back(evaluate(*argument));
  auto add = [&](const std::string& name, Value value) {
    for (const auto& [other, unused] : arguments.named)
      if (other == name) refuse(Fault::type_error, "got multiple values for keyword argument '{}'", name);
    arguments.named.emplace_back(name, std::move(value));
  };
  for (const auto& [name, argument] : node.named) add(name, evaluate(*argument));
  if (node.star) {
    for (Value& value : elements(run_, evaluate(*node.star))) arguments.positional.push_back(std::move(value));
  }
  if (!node.double_star) return;
  const Value names = evaluate(*node.double_star);
  if (names.is_undefined()) use_undefined(names);
  if (!names.is_dict()) refuse(Fault::type_error, "argument after ** must be a mapping, not {}", type_name(names));
  run_.step(names.dict().entries.size() * names.dict().entries.size() / 16);
  for (const auto& [name, value] : names.dict().entries) {
    if (!name.is_string()) refuse(Fault::type_error, "keywords must be strings");
    add(name.text(), value);
  }
}

Value Interpreter::evaluate_call(const Call& node, const Value* caller) {
  const Value callee = evaluate(*node.callee);
  Arguments arguments;
  evaluate_arguments(node.arguments, arguments);
  if (caller) arguments.named.emplace_back("caller", *caller);
  run_.line = node.line;
  if (callee.is_undefined()) use_undefined(callee);
  if (!is_callable(callee)) refuse(Fault::type_error, "'{}' object is not callable", type_name(callee));
  return callee.object()->call(run_, arguments);
}

/// `text`: what a filter block or set block without a subject is applied to.
Value Interpreter::evaluate_filter(const FilterCall& node, const Value* text) {
  Arguments arguments;
  if (!node.subject) {
    arguments.positional.push_back(*text);
  } else if (text) {
    arguments.positional.push_back(evaluate_filter(static_cast<const FilterCall&>(*node.subject), text));
  } else {
    arguments.positional.push_back(evaluate(*node.subject));
  }
  evaluate_arguments(node.arguments, arguments);
  run_.line = node.line;
  if (!node.filter) refuse(Fault::template_runtime_error, "No filter named '{}' found.", node.name);
  return node.filter->body(run_, arguments);
}

Value Interpreter::evaluate_test(const TestCall& node) {
  Arguments arguments;
  arguments.positional.push_back(evaluate(*node.subject));
  evaluate_arguments(node.arguments, arguments);
  if (!node.test) refuse(Fault::template_runtime_error, "No test named '{}' found.", node.name);
  return node.test->body(run_, arguments);
}

}  // namespace nibble::jinja
