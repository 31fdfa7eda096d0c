#include "chat/jinja/operators.hpp"
#include "chat/jinja/runtime_objects.hpp"

namespace nibble::jinja {

namespace {

/// Ends a loop however it is left.
struct LoopGuard {
  Loop& loop;
  ~LoopGuard() { loop.finish(); }
};

/// For what lives no longer than a loop that runs in the activation: a shared pointer would make them hold each other.
std::shared_ptr<Activation> borrowed(const std::shared_ptr<Activation>& activation) {
  return {std::shared_ptr<Activation>(), activation.get()};
}

}  // namespace

Interpreter::Flow Interpreter::execute_for(const For& node) {
  const Value iterable = evaluate(*node.iterable);
  if (!node.recursive) return run_loop(node, iterable, 0);
  write(run_recursive(node, here_, iterable, 0).text());
  return Flow::next;
}

Value Interpreter::run_recursive(const For& node, const std::shared_ptr<Activation>& closure, const Value& iterable, int64_t depth) {
  Run::Nesting level(run_);
  auto around = std::exchange(here_, std::make_shared<Activation>(closure, node.slots));
  TextBuilder text(run_);
  TextBuilder* out = std::exchange(out_, &text);
  run_loop(node, iterable, depth);
  out_ = out;
  here_ = std::move(around);
  return text.value();
}

/// The elements for which the loop's `if` holds, found one by one.
Value Interpreter::filtered(const For& node, const Value& iterable) {
  auto around = borrowed(node.recursive ? here_->parent : here_);
  auto own = std::make_shared<Activation>(around, node.filter_slots);
  std::shared_ptr<Iterator> iterator = iterate(run_, iterable);
  auto step = [this, &node, own, iterator, entered = false](Run& run, Value& value) mutable {
    auto outside = std::exchange(here_, own);
    if (!std::exchange(entered, true)) enter(node.filter_frame);
    bool found = false;
    for (Value item; !found && iterator->next(run, item);) {
      assign(*node.filter_target, item);
      found = truth(run, evaluate(*node.filter));
      if (found) value = item;
    }
    here_ = std::move(outside);
    return found;
  };
  return run_.make<Generator>("loop_filter", iterable.depth(), std::move(step));
}

Interpreter::Flow Interpreter::run_loop(const For& node, const Value& iterable, int64_t depth) {
  const Value source = node.filter ? filtered(node, iterable) : iterable;
  auto loop = run_.make<Loop>(*this, source, iterate(run_, source), depth, node.recursive ? &node : nullptr,
                              node.recursive ? here_->parent : nullptr);
  LoopGuard guard{*loop};
  here_->slots[node.loop_slot] = loop;
  bool nothing_done = true;
  Flow flow = iterate_loop(node, *loop, nothing_done);
  leave(node.frame);
  if (!nothing_done || flow != Flow::next || node.otherwise.empty()) return flow;
  enter(node.otherwise_frame);
  flow = execute(node.otherwise);
  leave(node.otherwise_frame);
  return flow;
}

/// `nothing_done` stays true until a body has run to its end: break and continue do not count, as in Jinja.
Interpreter::Flow Interpreter::iterate_loop(const For& node, Loop& loop, bool& nothing_done) {
  for (Value item; loop.advance(run_, item);) {
    assign(*node.target, item);
    enter(node.frame);
    const Flow flow = execute(node.body);
    if (flow == Flow::leave) break;
    if (flow == Flow::next) nothing_done = false;
  }
  return Flow::next;
}

}  // namespace nibble::jinja
