#include "chat/jinja/operators.hpp"
#include "chat/jinja/registry.hpp"
#include "chat/jinja/runtime_objects.hpp"

namespace nibble::jinja {

Value& Interpreter::variable(const Slot& slot) {
  Activation* activation = here_.get();
  for (uint32_t i = 0; i < slot.hops; ++i) activation = activation->parent.get();
  return activation->slots[slot.index];
}

Value Interpreter::lookup(const std::string& name) {
  for (const Context* context = context_.get(); context; context = context->outer.get())
    if (auto found = context->variables.find(name); found != context->variables.end()) return found->second;
  if (const Value* found = find(given_.dict(), name)) return *found;
  return global_function(run_, name).value_or(Value());
}

void Interpreter::enter(const Frame& frame) {
  run_.step(frame.size());
  for (const FrameLoad& load : frame) {
    Value& slot = here_->slots[load.slot];
    switch (load.kind) {
      case FrameLoad::Kind::from_context: slot = lookup(load.name); break;
      case FrameLoad::Kind::alias: slot = variable(load.source); break;
      case FrameLoad::Kind::nothing: slot = Value(); break;
      case FrameLoad::Kind::parameter:
        if (here_->parent || !slot.is_missing()) break;
        if (load.name == "self") slot = run_.make<SelfReference>(*this);
        if (load.name == "super") slot = run_.undefined("there is no parent block of that name");
        break;
    }
  }
}

void Interpreter::leave(const Frame& frame) {
  for (const FrameLoad& load : frame) here_->slots[load.slot] = Value();
}

void Interpreter::assign(const Expression& target, const Value& value) {
  if (target.kind == Expression::Kind::name) {
    variable(static_cast<const Name&>(target).slot) = value;
  } else if (target.kind == Expression::Kind::namespace_target) {
    const auto& node = static_cast<const NamespaceTarget&>(target);
    variable(node.slot).as<Namespace>()->set(run_, node.attribute, value);
  } else {
    assign_items(static_cast<const TupleLiteral&>(target), value);
  }
}

void Interpreter::assign_items(const TupleLiteral& targets, const Value& value) {
  const size_t wanted = targets.items.size();
  if (!is_iterable(value)) refuse(Fault::type_error, "cannot unpack non-iterable {} object", type_name(value));
  auto iterator = iterate(run_, value);
  std::vector<Value> items;
  Value item;
  while (items.size() <= wanted && iterator->next(run_, item)) items.push_back(item);
  if (items.size() > wanted) refuse(Fault::value_error, "too many values to unpack (expected {})", wanted);
  if (items.size() < wanted) refuse(Fault::value_error, "not enough values to unpack (expected {}, got {})", wanted, items.size());
  for (size_t i = 0; i < wanted; ++i) assign(*targets.items[i], items[i]);
}

/// Before the value is evaluated: only namespaces can be changed.
void Interpreter::check_namespaces(const Expression& target) {
  if (target.kind == Expression::Kind::tuple) {
    for (const auto& item : static_cast<const TupleLiteral&>(target).items) check_namespaces(*item);
  } else if (target.kind == Expression::Kind::namespace_target) {
    if (!variable(static_cast<const NamespaceTarget&>(target).slot).as<Namespace>())
      refuse(Fault::template_runtime_error, "cannot assign attribute on non-namespace object");
  }
}

void Interpreter::export_names(const Expression& target) {
  if (target.kind == Expression::Kind::tuple) {
    for (const auto& item : static_cast<const TupleLiteral&>(target).items) export_names(*item);
  } else if (target.kind == Expression::Kind::name) {
    const auto& node = static_cast<const Name&>(target);
    context_->variables[node.name] = variable(node.slot);
  }
}

Value Interpreter::invoke(const MacroBody& macro, const std::shared_ptr<Activation>& closure, const std::shared_ptr<Context>& context,
                          Arguments& arguments) {
  Run::Nesting level(run_);
  const int line = run_.line;
  auto around = std::exchange(here_, std::make_shared<Activation>(closure, macro.slots));
  auto outer_context = std::exchange(context_, context);
  fill_parameters(macro, arguments);
  enter(macro.frame);
  fill_defaults(macro);
  Flow flow = Flow::next;
  Value text = run_.string(capture(macro.body, flow));
  here_ = std::move(around);
  context_ = std::move(outer_context);
  run_.line = line;
  return text;
}

void Interpreter::fill_parameters(const MacroBody& macro, Arguments& arguments) {
  const size_t count = macro.parameters.size();
  const size_t taken = std::min(arguments.positional.size(), count);
  bool found_caller = macro.explicit_caller && taken == count;
  for (size_t i = 0; i < taken; ++i) here_->slots[macro.parameter_slots[i]] = arguments.positional[i];
  for (size_t i = taken; i < count; ++i) {
    if (auto value = arguments.take(macro.parameters[i])) here_->slots[macro.parameter_slots[i]] = std::move(*value);
    found_caller = found_caller || macro.parameters[i] == "caller";
  }
  fill_rest(macro, arguments, taken, found_caller);
}

void Interpreter::fill_rest(const MacroBody& macro, Arguments& arguments, size_t taken, bool found_caller) {
  if (macro.uses_caller && !found_caller) {
    auto caller = arguments.take("caller");
    if (!macro.explicit_caller)
      here_->slots[macro.caller_slot] = caller && !caller->is_none() ? *caller : run_.undefined("No caller defined");
  }
  if (macro.takes_kwargs) {
    DictBuilder rest(run_);
    for (auto& [name, value] : arguments.named) rest.set(run_.string(name), std::move(value));
    here_->slots[macro.kwargs_slot] = rest.value();
  } else if (!arguments.named.empty()) {
    if (arguments.take("caller"))
      refuse(Fault::type_error, "macro '{}' was invoked with two values for the special caller argument. This is most likely a bug.",
             macro.name);
    refuse(Fault::type_error, "macro '{}' takes no keyword argument '{}'", macro.name, arguments.named.front().first);
  }
  if (macro.takes_varargs) {
    std::vector<Value> rest(arguments.positional.begin() + static_cast<std::ptrdiff_t>(taken), arguments.positional.end());
    here_->slots[macro.varargs_slot] = run_.tuple(std::move(rest));
  } else if (arguments.positional.size() > taken) {
    refuse(Fault::type_error, "macro '{}' takes not more than {} argument(s)", macro.name, macro.parameters.size());
  }
}

void Interpreter::fill_defaults(const MacroBody& macro) {
  const size_t required = macro.parameters.size() - macro.defaults.size();
  for (size_t i = 0; i < macro.parameters.size(); ++i) {
    if (!here_->slots[macro.parameter_slots[i]].is_missing()) continue;
    Value value = i < required ? run_.undefined(fmt::format("parameter '{}' was not provided", macro.parameters[i]))
                               : evaluate(*macro.defaults[i - required]);
    here_->slots[macro.parameter_slots[i]] = std::move(value);
  }
}

}  // namespace nibble::jinja
