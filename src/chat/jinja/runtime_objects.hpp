#pragma once

#include "chat/jinja/interpreter.hpp"

namespace nibble::jinja {

/// A macro or the body of a call block, with the variables around it.
class MacroValue : public Object {
 public:
  MacroValue(Interpreter& interpreter, const MacroBody& body, std::shared_ptr<Activation> closure, std::shared_ptr<Context> context)
      : interpreter_(interpreter), body_(body), closure_(std::move(closure)), context_(std::move(context)) {}
  std::string_view type_name() const override { return "Macro"; }
  std::string repr(Run& run) override;
  bool callable() const override { return true; }
  Value call(Run& run, Arguments& arguments) override;
  std::optional<Value> attribute(Run& run, std::string_view name) override;
  void release() override {
    closure_.reset();
    context_.reset();
  }

 private:
  Interpreter& interpreter_;
  const MacroBody& body_;
  std::shared_ptr<Activation> closure_;
  std::shared_ptr<Context> context_;
};

/// The variable `loop`.
class Loop : public Object {
 public:
  /// `recursive`: the loop to run again on a call, with the variables around it; null for other loops.
  Loop(Interpreter& interpreter, Value iterable, IteratorPtr iterator, int64_t depth, const For* recursive,
       std::shared_ptr<Activation> closure)
      : interpreter_(interpreter),
        iterable_(std::move(iterable)),
        iterator_(std::move(iterator)),
        depth_(depth),
        recursive_(recursive),
        closure_(std::move(closure)) {}
  std::string_view type_name() const override { return "LoopContext"; }
  std::string repr(Run& run) override;
  uint32_t depth() const override { return iterable_.depth() + 1; }
  bool callable() const override { return true; }
  Value call(Run& run, Arguments& arguments) override;
  bool iterable() const override { return true; }
  IteratorPtr iterate(Run& run) override;
  std::optional<size_t> length(Run& run) override { return static_cast<size_t>(count(run)); }
  std::optional<Value> attribute(Run& run, std::string_view name) override;

  /// Moves to the next element.
  bool advance(Run& run, Value& value);
  /// The loop is over: drops what could make it hold itself.
  void finish();

 private:
  int64_t count(Run& run);
  const Value& peek(Run& run);
  Value cycle(Arguments& arguments) const;
  bool changed(Run& run, Arguments& arguments);

  Interpreter& interpreter_;
  Value iterable_;
  IteratorPtr iterator_;
  int64_t depth_, index_ = -1, count_ = -1;
  const For* recursive_;
  std::shared_ptr<Activation> closure_;
  Value before_, current_, after_, last_checked_;  // missing at the ends
};

/// The variable `self`: the template's blocks as functions.
class SelfReference : public Object {
 public:
  explicit SelfReference(Interpreter& interpreter) : interpreter_(interpreter) {}
  std::string_view type_name() const override { return "TemplateReference"; }
  std::string repr(Run&) override { return "<TemplateReference None>"; }
  bool subscriptable() const override { return true; }
  std::optional<Value> item(Run& run, const Value& key) override;

 private:
  Interpreter& interpreter_;
};

}  // namespace nibble::jinja
