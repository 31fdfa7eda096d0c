#include "chat/jinja/runtime_objects.hpp"

#include "chat/jinja/arguments.hpp"
#include "chat/jinja/operators.hpp"

namespace nibble::jinja {

std::string MacroValue::repr(Run&) { return body_.name.empty() ? "<Macro anonymous>" : fmt::format("<Macro '{}'>", body_.name); }

Value MacroValue::call(Run&, Arguments& arguments) { return interpreter_.invoke(body_, closure_, context_, arguments); }

std::optional<Value> MacroValue::attribute(Run& run, std::string_view name) {
  if (name == "name") return body_.name.empty() ? Value(None{}) : run.string(body_.name);
  if (name == "catch_kwargs") return body_.takes_kwargs;
  if (name == "catch_varargs") return body_.takes_varargs;
  if (name == "caller") return body_.uses_caller;
  if (name == "explicit_caller") return body_.explicit_caller;
  if (name != "arguments") return std::nullopt;
  std::vector<Value> names;
  for (const std::string& parameter : body_.parameters) names.push_back(run.string(parameter));
  return run.tuple(std::move(names));
}

std::string Loop::repr(Run& run) { return fmt::format("<LoopContext {}/{}>", index_ + 1, count(run)); }

int64_t Loop::count(Run& run) {
  if (count_ >= 0) return count_;
  if (auto known = try_length(run, iterable_)) {
    count_ = static_cast<int64_t>(*known);
  } else {  // of a generator: read ahead
    const Value rest = run.list([&] {
      std::vector<Value> items;
      for (Value item; iterator_ && iterator_->next(run, item);) {
        if (items.size() == items.capacity()) run.require_items(2 * items.size() + 1);
        items.push_back(item);
      }
      return items;
    }());
    count_ = static_cast<int64_t>(rest.items().size()) + index_ + 1 + !after_.is_missing();
    iterator_ = jinja::iterate(run, rest);
  }
  return count_;
}

const Value& Loop::peek(Run& run) {
  if (after_.is_missing() && iterator_) iterator_->next(run, after_);
  return after_;
}

bool Loop::advance(Run& run, Value& value) {
  run.step();
  if (!after_.is_missing()) {
    value = std::exchange(after_, Value());
  } else if (!iterator_ || !iterator_->next(run, value)) {
    return false;
  }
  ++index_;
  before_ = std::exchange(current_, value);
  return true;
}

namespace {

/// Goes on with the loop's own elements, as pairs with the loop.
class LoopIterator : public Iterator {
 public:
  explicit LoopIterator(std::shared_ptr<Loop> loop) : loop_(std::move(loop)) {}
  bool next(Run& run, Value& value) override {
    Value item;
    if (!loop_->advance(run, item)) return false;
    value = run.tuple({item, loop_});
    return true;
  }

 private:
  std::shared_ptr<Loop> loop_;
};

}  // namespace

IteratorPtr Loop::iterate(Run&) { return std::make_unique<LoopIterator>(std::static_pointer_cast<Loop>(shared_from_this())); }

void Loop::finish() {
  iterator_.reset();
  closure_.reset();
  recursive_ = nullptr;
  last_checked_ = Value();
}

Value Loop::call(Run&, Arguments& arguments) {
  Bound a = bind(arguments, "loop", {"iterable"}, 1);
  if (!recursive_) refuse(Fault::type_error, "The loop must have the 'recursive' marker to be called recursively.");
  return interpreter_.run_recursive(*recursive_, closure_, a[0], depth_ + 1);
}

Value Loop::cycle(Arguments& arguments) const {
  if (arguments.positional.empty()) refuse(Fault::type_error, "no items for cycling given");
  return arguments.positional[static_cast<size_t>(index_) % arguments.positional.size()];
}

bool Loop::changed(Run& run, Arguments& arguments) {
  Value now = run.tuple(std::move(arguments.positional));
  if (!last_checked_.is_missing() && equal(run, last_checked_, now)) return false;
  last_checked_ = std::move(now);
  return true;
}

std::optional<Value> Loop::attribute(Run& run, std::string_view name) {
  if (name == "index") return index_ + 1;
  if (name == "index0") return index_;
  if (name == "first") return index_ == 0;
  if (name == "last") return peek(run).is_missing();
  if (name == "length") return count(run);
  if (name == "revindex") return count(run) - index_;
  if (name == "revindex0") return count(run) - index_ - 1;
  if (name == "depth") return depth_ + 1;
  if (name == "depth0") return depth_;
  if (name == "previtem") return before_.is_missing() ? run.undefined("there is no previous item") : before_;
  if (name == "nextitem") return peek(run).is_missing() ? run.undefined("there is no next item") : after_;
  if (name != "cycle" && name != "changed") return std::nullopt;
  auto self = std::static_pointer_cast<Loop>(shared_from_this());
  const bool cycles = name == "cycle";
  auto body = [self, cycles](Run& inner, Arguments& arguments) -> Value {
    return cycles ? self->cycle(arguments) : Value(self->changed(inner, arguments));
  };
  return run.make<Function>("method", std::string(name), body, depth());
}

std::optional<Value> SelfReference::item(Run& run, const Value& key) {
  const Block* block = key.is_string() ? interpreter_.find_block(key.text()) : nullptr;
  if (!block) return std::nullopt;
  auto body = [this, block](Run& inner, Arguments& arguments) {
    bind(arguments, block->name, {});
    return inner.string(interpreter_.render_block(*block, interpreter_.context()));
  };
  return run.make<Function>("BlockReference", block->name, body);
}

}  // namespace nibble::jinja
