#include "chat/jinja/operators.hpp"
#include "chat/jinja/runtime_objects.hpp"
#include "chat/jinja/unicode.hpp"

namespace nibble::jinja {

Interpreter::Interpreter(Run& run, const Program& program, Value given)
    : run_(run), program_(program), given_(std::move(given)), context_(std::make_shared<Context>()), root_(run), out_(&root_) {}

std::string Interpreter::render() {
  here_ = std::make_shared<Activation>(nullptr, program_.slots);
  enter(program_.frame);
  execute(program_.body);
  return root_.take();
}

void Interpreter::write(std::string_view text) {
  if (out_ == &root_) written_ = true;
  *out_ += text;
}

std::string Interpreter::capture(const Body& body, Flow& flow) {
  TextBuilder text(run_);
  TextBuilder* around = std::exchange(out_, &text);
  flow = execute(body);
  out_ = around;
  return text.take();
}

Interpreter::Flow Interpreter::execute(const Body& body) {
  Run::Nesting level(run_);
  for (const auto& statement : body)
    if (Flow flow = execute(*statement); flow != Flow::next) return flow;
  return Flow::next;
}

Interpreter::Flow Interpreter::execute(const Statement& statement) {
  run_.step();
  run_.line = statement.line;
  switch (statement.kind) {
    case Statement::Kind::output: execute_output(static_cast<const Output&>(statement)); break;
    case Statement::Kind::set: execute_set(static_cast<const Set&>(statement)); break;
    case Statement::Kind::set_block: return execute_set_block(static_cast<const SetBlock&>(statement));
    case Statement::Kind::conditional: return execute_if(static_cast<const If&>(statement));
    case Statement::Kind::loop: return execute_for(static_cast<const For&>(statement));
    case Statement::Kind::macro: execute_macro(static_cast<const Macro&>(statement)); break;
    case Statement::Kind::call_block: execute_call_block(static_cast<const CallBlock&>(statement)); break;
    case Statement::Kind::generation: execute_generation(static_cast<const Generation&>(statement)); break;
    case Statement::Kind::filter_block: return execute_filter_block(static_cast<const FilterBlock&>(statement));
    case Statement::Kind::with: return execute_with(static_cast<const With&>(statement));
    case Statement::Kind::block: execute_block(static_cast<const Block&>(statement)); break;
    case Statement::Kind::jump: return static_cast<const Jump&>(statement).leave ? Flow::leave : Flow::again;
    case Statement::Kind::refused: refuse(Fault::type_error, "no loader for this environment specified");
  }
  return Flow::next;
}

void Interpreter::execute_output(const Output& node) {
  for (const auto& item : node.items) {
    run_.line = item->line;
    if (item->kind == Expression::Kind::constant) {
      const Value& value = static_cast<const Constant&>(*item).value;
      if (value.is_string()) {
        write(value.text());
        continue;
      }
    }
    write(to_string(run_, evaluate(*item)).text());
  }
}

void Interpreter::execute_set(const Set& node) {
  check_namespaces(*node.target);
  assign(*node.target, evaluate(*node.value));
  if (node.exported) export_names(*node.target);
}

Interpreter::Flow Interpreter::execute_set_block(const SetBlock& node) {
  enter(node.frame);
  Flow flow = Flow::next;
  Value text = run_.string(capture(node.body, flow));
  if (flow != Flow::next) return flow;
  if (node.filter) text = evaluate_filter(*node.filter, &text);
  check_namespaces(*node.target);
  assign(*node.target, text);
  if (node.exported) export_names(*node.target);
  leave(node.frame);
  return flow;
}

Interpreter::Flow Interpreter::execute_if(const If& node) {
  for (const auto& branch : node.branches)
    if (truth(run_, evaluate(*branch.test))) return execute(branch.body);
  return execute(node.otherwise);
}

Interpreter::Flow Interpreter::execute_with(const With& node) {
  std::vector<Value> values = evaluate_all(node.values);
  enter(node.frame);
  for (size_t i = 0; i < values.size(); ++i) assign(*node.targets[i], values[i]);
  const Flow flow = execute(node.body);
  leave(node.frame);
  return flow;
}

Interpreter::Flow Interpreter::execute_filter_block(const FilterBlock& node) {
  enter(node.frame);
  Flow flow = Flow::next;
  const Value text = run_.string(capture(node.body, flow));
  if (flow == Flow::next) write(to_string(run_, evaluate_filter(*node.filter, &text)).text());
  leave(node.frame);
  return flow;
}

void Interpreter::execute_macro(const Macro& node) {
  auto macro = run_.make<MacroValue>(*this, node.macro, here_, context_);
  run_.keep(macro);
  variable(node.slot) = macro;
  if (node.exported) context_->variables[node.macro.name] = macro;
}

void Interpreter::execute_call_block(const CallBlock& node) {
  auto macro = run_.make<MacroValue>(*this, node.caller, here_, context_);
  run_.keep(macro);
  const std::shared_ptr<Object> held = std::move(macro);
  {
    const Value caller(held);
    write(to_string(run_, evaluate_call(*node.call, &caller)).text());
  }
  run_.forget(held);
}

/// transformers counts what the template itself has put out so far, and starts counting with the first piece.
void Interpreter::execute_generation(const Generation& node) {
  Arguments nothing;
  const Value text = invoke(node.caller, here_, context_, nothing);
  if (written_ || !generation_.empty()) {
    counted_ += count_code_points(std::string_view(root_.text()).substr(counted_bytes_));
    counted_bytes_ = root_.size();
    generation_.emplace_back(counted_, counted_ + text.string().length);
  }
  write(text.text());
}

const Block* Interpreter::find_block(std::string_view name) const {
  for (const Block* block : program_.blocks)
    if (block->name == name) return block;
  return nullptr;
}

std::string Interpreter::render_block(const Block& block, std::shared_ptr<Context> context) {
  Run::Nesting level(run_);
  auto around = std::exchange(here_, std::make_shared<Activation>(nullptr, block.slots));
  context_.swap(context);
  enter(block.frame);
  Flow flow = Flow::next;
  std::string text = capture(block.body, flow);
  context_.swap(context);
  here_ = std::move(around);
  return text;
}

void Interpreter::execute_block(const Block& node) {
  if (node.required) refuse(Fault::template_runtime_error, "Required block '{}' not found", node.name);
  auto context = context_;
  if (node.scoped) {
    context = std::make_shared<Context>(Context{context_, {}});
    for (const auto& [name, slot] : node.visible)
      if (const Value& value = variable(slot); !value.is_missing()) context->variables[name] = value;
  }
  write(render_block(node, std::move(context)));
}

}  // namespace nibble::jinja
