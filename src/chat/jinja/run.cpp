#include "chat/jinja/run.hpp"

#include <algorithm>

#include "chat/jinja/operators.hpp"
#include "chat/jinja/unicode.hpp"

namespace nibble::jinja {

Run::~Run() {
  for (const auto& object : kept_) object->release();
}

void Run::out_of_steps() const {
  refuse(Fault::limit, "the template does not come to an end: more than {} steps; check its loops and macros", limits_.steps);
}

void Run::too_deep(Run& run) {
  --run.nesting_;  // the destructor does not run after a throwing constructor
  refuse(Fault::recursion_error, "maximum recursion depth exceeded");
}

void Run::require_text(size_t bytes) const {
  if (bytes > limits_.text_bytes) refuse(Fault::limit, "the template makes a text of more than {} bytes", limits_.text_bytes);
}

void Run::require_items(size_t count) const {
  if (count > limits_.memory_bytes / sizeof(Value))
    refuse(Fault::limit, "the template makes a list of {} elements, which is too long", count);
  meter_.require(count * sizeof(Value));
}

void Run::check_depth(uint32_t depth) const {
  if (depth > Limits::value_depth) refuse(Fault::recursion_error, "values are nested more than {} levels deep", Limits::value_depth);
}

Value Run::string(std::string text, bool markup) {
  require_text(text.size());
  step(1 + text.size() / 32);
  auto data = std::make_shared<StringData>();
  data->track(meter_, sizeof(StringData) + text.size());
  data->length = count_code_points(text);
  data->text = std::move(text);
  data->markup = markup;
  return Value::String(std::move(data));
}

namespace {

template <class T>
std::shared_ptr<T> sequence(Run& run, std::vector<Value> items) {
  run.step(1 + items.size() / 8);
  auto data = std::make_shared<T>();
  data->track(run.meter(), sizeof(T) + items.size() * sizeof(Value));
  for (const Value& item : items) data->depth = std::max(data->depth, item.depth() + 1);
  run.check_depth(data->depth);
  data->items = std::move(items);
  return data;
}

}  // namespace

Value Run::list(std::vector<Value> items) { return Value::List(sequence<ListData>(*this, std::move(items))); }

Value Run::tuple(std::vector<Value> items, bool group) {
  auto data = sequence<TupleData>(*this, std::move(items));
  data->group = group;
  return Value::Tuple(std::move(data));
}

Value Run::undefined(std::string message, Fault fault) {
  return Value::Undefined(std::make_shared<const UndefinedData>(UndefinedData{std::move(message), fault}));
}

Value constant_string(std::string text) {
  auto data = std::make_shared<StringData>();
  data->length = count_code_points(text);
  data->text = std::move(text);
  return Value::String(std::move(data));
}

void TextBuilder::repeat(std::string_view text, uint64_t count) {
  if (text.empty() || count == 0) return;
  if (count > run_.text_limit() / text.size()) run_.require_text(run_.text_limit() + 1);
  hold(text.size() * static_cast<size_t>(count));
  text_.reserve(text_.size() + text.size() * static_cast<size_t>(count));
  for (uint64_t i = 0; i < count; ++i) text_ += text;
}

namespace {

constexpr size_t linear_entries = 8;  // below this a scan is faster than hashing
constexpr size_t entry_bytes = 2 * sizeof(Value) + 48;

template <class Same>
const uint32_t* indexed(const DictData& dict, size_t code, const Same& same) {
  auto [begin, end] = dict.index.equal_range(code);
  for (auto it = begin; it != end; ++it)
    if (same(dict.entries[it->second].first)) return &it->second;
  return nullptr;
}

template <class Hash, class Same>
const Value* lookup(const DictData& dict, const Hash& code, const Same& same) {
  if (!dict.index.empty()) {
    const uint32_t* position = indexed(dict, code(), same);
    return position ? &dict.entries[*position].second : nullptr;
  }
  auto found = std::find_if(dict.entries.begin(), dict.entries.end(), [&](const auto& entry) { return same(entry.first); });
  return found == dict.entries.end() ? nullptr : &found->second;
}

}  // namespace

const Value* find(Run& run, const DictData& dict, const Value& key) {
  size_t code = hash(run, key);  // always, so that a key that cannot be hashed is an error
  return lookup(
      dict, [&] { return code; }, [&](const Value& other) { return equal(run, other, key); });
}

const Value* find(const DictData& dict, std::string_view key) {
  auto same = [&](const Value& other) { return other.is_string() && other.text() == key; };
  return lookup(
      dict, [&] { return hash_text(key); }, same);
}

DictBuilder::DictBuilder(Run& run) : run_(run), dict_(std::make_shared<DictData>()) {}

void DictBuilder::set(const Value& key, Value value) {
  run_.step();
  if (const Value* old = find(run_, *dict_, key)) {
    *const_cast<Value*>(old) = std::move(value);
    return;
  }
  auto& entries = dict_->entries;
  run_.meter().take(entry_bytes);
  held_ += entry_bytes;
  entries.emplace_back(key, std::move(value));
  if (entries.size() <= linear_entries) return;
  if (dict_->index.empty()) {
    for (uint32_t i = 0; i + 1 < entries.size(); ++i) dict_->index.emplace(hash(run_, entries[i].first), i);
  }
  dict_->index.emplace(hash(run_, key), static_cast<uint32_t>(entries.size() - 1));
}

DictBuilder::DictBuilder(DictBuilder&& other) noexcept
    : run_(other.run_), dict_(std::move(other.dict_)), held_(std::exchange(other.held_, 0)) {}

DictBuilder::~DictBuilder() { run_.meter().give(held_); }

Value DictBuilder::value() {
  run_.meter().give(std::exchange(held_, 0));
  for (const auto& [key, value] : dict_->entries) dict_->depth = std::max({dict_->depth, key.depth() + 1, value.depth() + 1});
  run_.check_depth(dict_->depth);
  dict_->track(run_.meter(), sizeof(DictData) + dict_->entries.size() * entry_bytes);
  return Value::Dict(std::move(dict_));
}

}  // namespace nibble::jinja
