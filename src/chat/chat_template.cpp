#include <chrono>
#include <new>

#include "base/fail.hpp"
#include "chat/continue_message.hpp"
#include "chat/jinja/json.hpp"
#include "chat/jinja/template.hpp"
#include "chat/jinja/unicode.hpp"
#include "nibble/chat.hpp"

namespace nibble {

using jinja::Failure;
using jinja::Fault;
using jinja::Value;

struct ChatTemplate::Compiled {
  std::string source, name;
  jinja::Template program;
};

namespace {

/// A copy of the system's idea of the local time.
std::tm local_time() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm time{};
#ifdef _WIN32
  localtime_s(&time, &now);
#else
  localtime_r(&now, &time);
#endif
  return time;
}

void check_time(const std::tm& time) {
  const bool valid = time.tm_mon >= 0 && time.tm_mon < 12 && time.tm_mday >= 1 && time.tm_mday <= 31 && time.tm_hour >= 0 &&
                     time.tm_hour < 24 && time.tm_min >= 0 && time.tm_min < 60 && time.tm_sec >= 0 && time.tm_sec <= 61 &&
                     time.tm_year > -1900 && time.tm_year < 30'000;
  if (!valid) fail(ErrorKind::invalid_argument, "the time given for strftime_now is not a time");
}

[[noreturn]] void fail_compiling(const std::string& name, const Failure& failure) {
  if (failure.line() > 0) fail(ErrorKind::corrupt, "{}:{}: {}", name, failure.line(), failure.what());
  fail(ErrorKind::corrupt, "{}: {}", name, failure.what());
}

[[noreturn]] void fail_rendering(const std::string& name, const Failure& failure) {
  if (failure.fault() == Fault::template_error) throw Error(ErrorKind::invalid_argument, failure.what());
  const ErrorKind kind = failure.fault() == Fault::limit ? ErrorKind::exhausted : ErrorKind::invalid_argument;
  fail(kind, "{}:{}: {}: {}", name, failure.line(), to_string(failure.fault()), failure.what());
}

Value read_variables(jinja::Run& run, std::string_view text) {
  Value given;
  try {
    given = jinja::read_json(run, text);
  } catch (const Failure& failure) {
    if (failure.fault() == Fault::limit) throw;
    fail(ErrorKind::invalid_argument, "the variables of the chat template are not valid JSON: {}", failure.what());
  }
  if (!given.is_dict()) fail(ErrorKind::invalid_argument, "the variables of the chat template have to be a JSON object");
  return given;
}

/// The variables of the context, with those of the history and those that transformers always passes.
Value read_context(jinja::Run& run, std::string_view text, const ChatHistory* history) {
  const Value given = read_variables(run, text);
  jinja::DictBuilder context(run);
  context.set(run.string("tools"), jinja::None{});
  context.set(run.string("documents"), jinja::None{});
  context.set(run.string("add_generation_prompt"), false);
  if (history && !history->extra_context().empty()) {
    const Value extra = read_variables(run, history->extra_context());
    for (const auto& [key, value] : extra.dict().entries) context.set(key, value);
  }
  if (history && !history->tools().empty()) context.set(run.string("tools"), jinja::read_json(run, history->tools()));
  for (const auto& [key, value] : given.dict().entries) context.set(key, value);
  if (history) context.set(run.string("messages"), jinja::read_json(run, history->to_json()));
  return context.value();
}

}  // namespace

ChatTemplate::ChatTemplate(std::string source, std::string name) {
  if (!is_utf8(source)) fail(ErrorKind::corrupt, "{}: the template is not UTF-8", name);
  try {
    jinja::Template program(source);
    compiled_ = std::make_shared<const Compiled>(Compiled{std::move(source), std::move(name), std::move(program)});
  } catch (const Failure& failure) {
    fail_compiling(name, failure);
  } catch (const std::bad_alloc&) {
    fail(ErrorKind::exhausted, "{}: there is not enough memory to compile the template", name);
  }
}

const std::string& ChatTemplate::source() const { return compiled_->source; }

namespace {

/// Renders with the variables in `context` and, when given, the messages of `history`.
RenderedChat render_chat(const jinja::Template& program, const std::string& name, std::string_view context, const ChatHistory* history,
                         const ChatRenderOptions& options) {
  if (options.now) check_time(*options.now);
  try {
    const jinja::Limits limits{options.max_steps, options.max_output_bytes, options.max_memory_bytes};
    jinja::Run run(limits, options.now ? *options.now : local_time());
    Value variables = read_context(run, context, history);
    std::optional<FinalMessage> final_message;
    if (options.continue_final_message) variables = final_message.emplace(run, variables).marked();
    jinja::Rendering rendering = program.render(run, variables);
    RenderedChat result{final_message ? final_message->cut(rendering.text) : std::move(rendering.text), {}};
    for (auto [begin, end] : rendering.generation) result.generation.push_back({begin, end});
    return result;
  } catch (const Failure& failure) {
    fail_rendering(name, failure);
  } catch (const std::bad_alloc&) {
    fail(ErrorKind::exhausted, "{}: there is not enough memory to render the template", name);
  }
}

}  // namespace

std::string ChatTemplate::render(std::string_view context, const ChatRenderOptions& options) const {
  return render_tracked(context, options).text;
}

std::string ChatTemplate::render(const ChatHistory& history, std::string_view variables, const ChatRenderOptions& options) const {
  return render_chat(compiled_->program, compiled_->name, variables, &history, options).text;
}

RenderedChat ChatTemplate::render_tracked(std::string_view context, const ChatRenderOptions& options) const {
  return render_chat(compiled_->program, compiled_->name, context, nullptr, options);
}

}  // namespace nibble
