#include <fmt/format.h>

#include <cstdio>
#include <iostream>

#include "cli/generation_options.hpp"
#include "nibble/chat.hpp"
#include "nibble/error.hpp"
#include "nibble/llm_pipeline.hpp"
#include "nibble/system.hpp"

namespace nibble::cli {

namespace {

constexpr const char* kHelp =
    "  Enter sends a message. A line that ends in \\ goes on in the next one; a line of \"\"\" starts and ends a long message.\n"
    "  Ctrl-C stops an answer. /clear forgets the conversation, /system TEXT starts a new one with a system message,\n"
    "  /history shows it, /stats times of the last answer, /exit or Ctrl-D ends.\n";

/// Shows an answer while it comes, and keeps it: the reasoning first, faint on a terminal, with an empty line behind it.
class Answer {
 public:
  explicit Answer(const ResponseParserOptions& options) : parser_(options), faint_(is_terminal(StandardStream::output)) {}

  void add(std::string_view text) { show(parser_.feed(text)); }
  void finish() {
    show(parser_.finish());
    in_reasoning(false);
  }
  std::string message() const { return response_.to_json(); }

 private:
  void show(const std::vector<ResponseDelta>& deltas) {
    for (const ResponseDelta& delta : deltas) {
      response_.add(delta);
      if (delta.kind == ResponseDelta::Kind::finish) continue;
      in_reasoning(delta.kind == ResponseDelta::Kind::reasoning);
      print(delta.text);
    }
  }

  void in_reasoning(bool reasoning) {
    if (reasoning == reasoning_) return;
    reasoning_ = reasoning;
    if (faint_) print(reasoning ? "\033[2m" : "\033[0m");
    if (!reasoning) print("\n\n");
  }

  ResponseParser parser_;
  ParsedResponse response_;
  bool faint_, reasoning_ = false;
};

/// How to take the model's answers apart. Markers of reasoning may be special tokens, so then all of them are in the text.
ResponseParserOptions answer_options(const LLMPipeline& pipeline, GenerationConfig& config) {
  ResponseParserOptions options;
  options.format.reasoning_parser = detect_response_format(pipeline.chat_template().source()).reasoning_parser;
  if (options.format.reasoning_parser == "none") return options;
  config.skip_special_tokens = false;
  const Tokenizer& tokenizer = pipeline.tokenizer();
  for (int64_t id = 0; id < static_cast<int64_t>(tokenizer.vocab_size()); ++id)
    if (tokenizer.is_special(id)) options.ignored_tokens.push_back(tokenizer.id_to_token(id));
  return options;
}

class Conversation {
 public:
  Conversation(LLMPipeline& pipeline, GenerationConfig config, std::string system)
      : pipeline_(pipeline),
        config_(std::move(config)),
        answer_options_(answer_options(pipeline, config_)),
        system_(std::move(system)),
        interactive_(is_terminal(StandardStream::input)) {
    restart();
  }

  void run() {
    catch_interrupts();
    if (interactive_) print("Type a message; /help for more.\n");
    while (auto message = read_message())
      if (!message->empty() && !handle_command(*message)) answer(*message);
    if (interactive_) print("\n");
  }

 private:
  void restart() {
    history_ = ChatHistory();
    if (!system_.empty()) history_.add("system", system_);
  }

  /// A line, or nothing at the end of the input. An interrupt at the prompt only drops the line.
  std::optional<std::string> read_line(const char* prompt) {
    take_interrupt();
    while (!ended_) {
      if (interactive_) print(prompt);
      std::string line;
      if (read_until_newline(line)) return line;
      if (!take_interrupt()) break;
      std::clearerr(stdin);
      print("\n(Ctrl-D or /exit to leave)\n");
    }
    return std::nullopt;
  }

  /// False at the end of the input and after an interrupt. C streams, because those of C++ read on after an interrupt.
  static bool read_until_newline(std::string& line) {
    int c;
    while ((c = std::getc(stdin)) != EOF && c != '\n') line += static_cast<char>(c);
    return c == '\n' || (!line.empty() && std::feof(stdin));
  }

  std::optional<std::string> read_message() {
    auto line = read_line("> ");
    if (!line) return std::nullopt;
    if (*line == "\"\"\"") return read_block();
    std::string message = *line;
    while (message.ends_with('\\')) {
      message.back() = '\n';
      auto next = read_line("... ");
      if (!next) break;
      message += *next;
    }
    return message;
  }

  std::string read_block() {
    std::string message;
    while (auto line = read_line("... ")) {
      if (*line == "\"\"\"") break;
      message += (message.empty() ? "" : "\n") + *line;
    }
    return message;
  }

  bool handle_command(const std::string& message) {
    if (message == "/help")
      print(kHelp);
    else if (message == "/clear")
      restart();
    else if (message == "/history")
      print(history_.to_json() + "\n");
    else if (message == "/stats")
      print_stats();
    else if (message == "/exit" || message == "/quit" || message == "/bye")
      ended_ = true;
    else if (message.starts_with("/system "))
      system_ = message.substr(8), restart();
    else
      return false;
    return true;
  }

  void answer(const std::string& message) {
    history_.add("user", message);
    std::optional<Answer> answer;
    try {
      answer_options_.prompt = pipeline_.apply_chat_template(history_);
      answer.emplace(answer_options_);
      auto stream = [&](std::string_view text) {
        answer->add(text);
        return interrupt_pending() ? StreamingStatus::stop : StreamingStatus::running;
      };
      GenerationResult result = pipeline_.generate(history_, config_, stream);
      answer->finish();
      history_.add_json(answer->message());
      metrics_ = result.metrics;
      print(take_interrupt() ? "\n(stopped)\n" : "\n");
    } catch (const Error& error) {
      if (answer) answer->finish();
      history_.pop_back();  // the conversation goes on without the message that failed
      std::cerr << "nibble: error: " << error.what() << "\n";
      if (!interactive_) throw;
    }
  }

  void print_stats() const {
    print(fmt::format("  {} tokens in, {} out; first after {:.0f} ms, then {:.1f} tokens/s\n", metrics_.num_input_tokens,
                      metrics_.num_generated_tokens, metrics_.ttft_ms.mean, metrics_.throughput_tps()));
  }

  LLMPipeline& pipeline_;
  GenerationConfig config_;
  ResponseParserOptions answer_options_;
  std::string system_;
  bool interactive_;
  bool ended_ = false;
  ChatHistory history_;
  PerfMetrics metrics_;
};

struct Options {
  ModelOptions model;
  GenerationOptions generation;
  std::string system;
  std::optional<std::string> chat_template;
};

void run(const Options& o) {
  LLMPipeline pipeline(o.model.model, o.model.device, o.model.property_map(), o.model.context());
  if (o.chat_template) pipeline.set_chat_template(open_chat_template(*o.chat_template));
  if (!pipeline.has_chat_template())
    throw Error(ErrorKind::unsupported,
                fmt::format("{}: the model has no chat template; give --chat-template or use nibble generate", o.model.model));
  Conversation(pipeline, o.generation.apply(pipeline.generation_config()), o.system).run();
}

}  // namespace

void add_chat(CLI::App& app) {
  auto* command = app.add_subcommand("chat", "Talk with a model in the terminal");
  auto o = std::make_shared<Options>();
  o->model.add_to(*command);
  command->add_option("--system", o->system, "system message");
  command->add_option("--chat-template", o->chat_template,
                      "a chat template to use instead of the model's: a .jinja file or a model directory");
  o->generation.add_to(*command);
  command->footer(
      "\nExamples:\n  nibble chat ./model\n  nibble chat ./model --system \"Answer in one sentence.\" --do-sample --temperature 0.7");
  command->callback([o] { run(*o); });
}

}  // namespace nibble::cli
