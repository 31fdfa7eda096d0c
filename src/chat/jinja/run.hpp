#pragma once

#include <ctime>
#include <functional>

#include "chat/jinja/object.hpp"
#include "chat/jinja/value.hpp"

namespace nibble::jinja {

/// What one rendering may use.
struct Limits {
  uint64_t steps = 50'000'000;           ///< evaluated expressions, loop iterations, and bytes of text in units of 32
  size_t text_bytes = size_t{64} << 20;  ///< the output, and any single string
  size_t memory_bytes = size_t{512} << 20;
  static constexpr int nesting = 1'200;         ///< evaluations inside evaluations, macro calls included
  static constexpr uint32_t value_depth = 300;  ///< containers inside containers
};

/// One rendering: makes values, counts what they cost. For one thread; outlives all values it makes.
class Run {
 public:
  Run(const Limits& limits, const std::tm& now) : limits_(limits), meter_(limits.memory_bytes), steps_left_(limits.steps), now_(now) {}
  ~Run();
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  void step(uint64_t count = 1) {
    if (count > steps_left_) out_of_steps();
    steps_left_ -= count;
  }
  const std::tm& now() const { return now_; }
  size_t text_limit() const { return limits_.text_bytes; }
  /// Throws Failure{limit} where a string of that size may not be.
  void require_text(size_t bytes) const;
  /// The same for a list of `count` elements.
  void require_items(size_t count) const;

  Value string(std::string text, bool markup = false);
  Value list(std::vector<Value> items);
  Value tuple(std::vector<Value> items, bool group = false);
  Value undefined(std::string message, Fault fault = Fault::undefined_error);
  template <class T, class... Args>
  std::shared_ptr<T> make(Args&&... args) {
    auto object = std::shared_ptr<T>(new T(std::forward<Args>(args)...));
    check_depth(object->depth());
    object->track(meter_, sizeof(T) + 64);
    return object;
  }
  /// Throws Failure{recursion_error} for containers nested too deeply.
  void check_depth(uint32_t depth) const;
  Meter& meter() { return meter_; }

  /// Owns an object that may hold itself until the end of the run, which then breaks the circle.
  void keep(std::shared_ptr<Object> object) { kept_.push_back(std::move(object)); }
  /// Undoes the last keep() if nobody else holds the object.
  void forget(const std::shared_ptr<Object>& object) {
    if (!kept_.empty() && kept_.back() == object && object.use_count() == 2) kept_.pop_back();
  }

  /// Counts a level of evaluation while it lives; throws Failure{recursion_error} when there are too many.
  class Nesting {
   public:
    explicit Nesting(Run& run) : run_(run) {
      if (++run_.nesting_ > Limits::nesting) too_deep(run_);
    }
    ~Nesting() { --run_.nesting_; }
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;

   private:
    Run& run_;
  };

  int line = 0;  ///< of the template, where execution is

 private:
  [[noreturn]] void out_of_steps() const;
  [[noreturn]] static void too_deep(Run& run);

  Limits limits_;
  Meter meter_;
  uint64_t steps_left_;
  std::tm now_;
  int nesting_ = 0;
  std::vector<std::shared_ptr<Object>> kept_;
};

/// A string without a Run: constants of templates.
Value constant_string(std::string text);

/// Text under construction, bounded as any string of the run.
class TextBuilder {
 public:
  explicit TextBuilder(Run& run) : run_(run) {}
  TextBuilder(const TextBuilder&) = delete;
  TextBuilder& operator=(const TextBuilder&) = delete;
  ~TextBuilder() { run_.meter().give(held_); }
  TextBuilder& operator+=(std::string_view text) {
    hold(text.size());
    text_ += text;
    return *this;
  }
  TextBuilder& operator+=(char c) { return *this += std::string_view(&c, 1); }
  void repeat(std::string_view text, uint64_t count);
  size_t size() const { return text_.size(); }
  const std::string& text() const { return text_; }
  std::string take() { return std::move(text_); }
  Value value(bool markup = false) { return run_.string(std::move(text_), markup); }

 private:
  void hold(size_t bytes) {
    run_.require_text(text_.size() + bytes);
    run_.step(bytes / 32);
    run_.meter().take(bytes);
    held_ += bytes;
  }

  Run& run_;
  std::string text_;
  size_t held_ = 0;
};

/// A dict under construction; a key that is there already keeps its place and gets the new value.
class DictBuilder {
 public:
  explicit DictBuilder(Run& run);
  DictBuilder(DictBuilder&& other) noexcept;
  DictBuilder& operator=(DictBuilder&&) = delete;
  ~DictBuilder();
  void set(const Value& key, Value value);
  size_t size() const { return dict_->entries.size(); }
  Value value();

 private:
  Run& run_;
  std::shared_ptr<DictData> dict_;
  size_t held_ = 0;
};

/// The value of `key`, or null. Throws Failure{type_error} for keys that cannot be hashed.
const Value* find(Run& run, const DictData& dict, const Value& key);
const Value* find(const DictData& dict, std::string_view key);

}  // namespace nibble::jinja
