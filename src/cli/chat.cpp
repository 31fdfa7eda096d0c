#include <fmt/format.h>

#include <cstdio>
#include <iostream>

#include "cli/generation_options.hpp"
#include "nibble/error.hpp"
#include "nibble/llm_pipeline.hpp"
#include "nibble/system.hpp"

namespace nibble::cli {

namespace {

constexpr const char* kHelp =
    "  Enter sends a message. A line that ends in \\ goes on in the next one; a line of \"\"\" starts and ends a long message.\n"
    "  Ctrl-C stops an answer. /clear forgets the conversation, /system TEXT starts a new one with a system message,\n"
    "  /history shows it, /stats times of the last answer, /exit or Ctrl-D ends.\n";

class Conversation {
 public:
  Conversation(LLMPipeline& pipeline, GenerationConfig config, std::string system)
      : pipeline_(pipeline), config_(std::move(config)), system_(std::move(system)), interactive_(is_terminal(StandardStream::input)) {
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
    auto stream = [](std::string_view text) {
      print(text);
      return interrupt_pending() ? StreamingStatus::stop : StreamingStatus::running;
    };
    try {
      GenerationResult result = pipeline_.generate(history_, config_, stream);
      history_.add("assistant", result.texts[0]);
      metrics_ = result.metrics;
      print(take_interrupt() ? "\n(stopped)\n" : "\n");
    } catch (const Error& error) {
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
};

void run(const Options& o) {
  LLMPipeline pipeline(o.model.model, o.model.device, o.model.property_map(), o.model.context());
  if (!pipeline.has_chat_template())
    throw Error(ErrorKind::unsupported, fmt::format("{}: the model has no chat template; use nibble generate", o.model.model));
  Conversation(pipeline, o.generation.apply(pipeline.generation_config()), o.system).run();
}

}  // namespace

void add_chat(CLI::App& app) {
  auto* command = app.add_subcommand("chat", "Talk with a model in the terminal");
  auto o = std::make_shared<Options>();
  o->model.add_to(*command);
  command->add_option("--system", o->system, "system message");
  o->generation.add_to(*command);
  command->footer(
      "\nExamples:\n  nibble chat ./model\n  nibble chat ./model --system \"Answer in one sentence.\" --do-sample --temperature 0.7");
  command->callback([o] { run(*o); });
}

}  // namespace nibble::cli
