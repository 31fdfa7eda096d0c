#include <array>

#include "chat/jinja/arguments.hpp"
#include "chat/jinja/numbers.hpp"
#include "chat/jinja/objects.hpp"
#include "chat/jinja/operators.hpp"
#include "chat/jinja/registry.hpp"
#include "chat/jinja/strftime.hpp"

namespace nibble::jinja {

namespace {

Value range(Run& run, Arguments& arguments) {
  if (arguments.positional.empty()) refuse(Fault::type_error, "range expected at least 1 argument, got 0");
  Bound a = bind(arguments, "range", {"", "", ""}, 1);
  const int64_t first = to_index(a[0]);
  if (!a.has(1)) return run.make<Range>(0, first, 1);
  return run.make<Range>(first, to_index(a[1]), a.has(2) ? to_index(a[2]) : 1);
}

/// The two elements of what stands for an entry of a dict.
std::pair<Value, Value> as_pair(Run& run, const Value& item, size_t position) {
  if (!is_iterable(item)) refuse(Fault::type_error, "cannot convert dictionary update sequence element #{} to a sequence", position);
  std::vector<Value> parts = elements(run, item);
  if (parts.size() != 2)
    refuse(Fault::value_error, "dictionary update sequence element #{} has length {}; 2 is required", position, parts.size());
  return {parts[0], parts[1]};
}

Value dict(Run& run, Arguments& arguments) {
  if (arguments.positional.size() > 1) refuse(Fault::type_error, "dict expected at most 1 argument, got {}", arguments.positional.size());
  DictBuilder result(run);
  for (const Value& source : arguments.positional) {
    if (source.is_dict()) {
      for (const auto& [key, value] : source.dict().entries) result.set(key, value);
    } else {
      size_t position = 0;
      for (const Value& item : elements(run, source)) {
        auto [key, value] = as_pair(run, item, position++);
        result.set(key, value);
      }
    }
  }
  for (auto& [name, value] : arguments.named) result.set(run.string(name), std::move(value));
  return result.value();
}

Value make_namespace(Run& run, Arguments& arguments) {
  const Value attributes = dict(run, arguments);
  auto space = run.make<Namespace>();
  run.keep(space);
  for (const auto& [key, value] : attributes.dict().entries)
    if (key.is_string()) space->set(run, key.text(), value);
  return space;
}

Value cycler(Run& run, Arguments& arguments) {
  if (arguments.positional.empty()) refuse(Fault::type_error, "at least one item has to be provided");
  return run.make<Cycler>(run.tuple(std::move(arguments.positional)));
}

Value joiner(Run& run, Arguments& arguments) {
  Bound a = bind(arguments, "joiner", {"sep"});
  return run.make<Joiner>(a.has(0) ? a[0] : run.string(", "));
}

Value lipsum(Run&, Arguments&) {
  refuse(Fault::template_runtime_error, "lipsum() is not supported: templates of chats need no random text");
}

Value raise_exception(Run& run, Arguments& arguments) {
  if (arguments.positional.empty() && arguments.named.empty())
    refuse(Fault::type_error, "raise_exception() missing 1 required positional argument: 'message'");
  Bound a = bind(arguments, "raise_exception", {"message"}, 1);
  throw Failure(Fault::template_error, to_string(run, a[0]).text());
}

Value strftime_now(Run& run, Arguments& arguments) {
  Bound a = bind(arguments, "strftime_now", {"format"}, 1);
  const std::string& format = text_argument(a[0], "strftime");
  run.step(format.size());
  constexpr size_t longest = 1000;
  if (format.size() > longest) refuse(Fault::value_error, "a time format of more than {} bytes", longest);
  return run.string(format_time(run.now(), format));
}

struct Global {
  std::string_view name;
  std::string_view type;
  Value (*body)(Run&, Arguments&);
};
constexpr std::array globals = {
    Global{"range", "function", range},
    Global{"dict", "type", dict},
    Global{"namespace", "type", make_namespace},
    Global{"cycler", "type", cycler},
    Global{"joiner", "type", joiner},
    Global{"lipsum", "function", lipsum},
    Global{"raise_exception", "function", raise_exception},
    Global{"strftime_now", "function", strftime_now},
};

}  // namespace

std::optional<Value> global_function(Run& run, std::string_view name) {
  for (const Global& global : globals)
    if (global.name == name) return run.make<Function>(global.type, std::string(name), global.body);
  return std::nullopt;
}

}  // namespace nibble::jinja
