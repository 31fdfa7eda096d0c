#include <fmt/format.h>

#include <iostream>

#include "cli/generation_options.hpp"
#include "nibble/error.hpp"
#include "nibble/llm_pipeline.hpp"
#include "nibble/system.hpp"

namespace nibble::cli {

namespace {

struct Options {
  ModelOptions model;
  GenerationOptions generation;
  std::optional<std::string> prompt, prompt_file, ids, chat_template;
  bool raw = false, as_json = false, jsonl = false;
};

json optional_number(double value) { return value < 0 ? json(nullptr) : json(value); }

json to_json(const PerfMetrics& m) {
  return {{"load_time_ms", m.load_time_ms},
          {"ttft_ms", optional_number(m.ttft_ms.mean)},
          {"tpot_ms", optional_number(m.tpot_ms.mean)},
          {"throughput_tps", m.throughput_tps()},
          {"generate_duration_ms", m.generate_duration_ms},
          {"inference_duration_ms", m.inference_duration_ms},
          {"sampling_duration_ms", m.sampling_duration_ms},
          {"tokenization_duration_ms", optional_number(m.tokenization_duration_ms)},
          {"chat_template_duration_ms", optional_number(m.chat_template_duration_ms)},
          {"detokenization_duration_ms", optional_number(m.detokenization_duration_ms)},
          {"num_input_tokens", m.num_input_tokens},
          {"num_generated_tokens", m.num_generated_tokens},
          {"peak_rss_mb", static_cast<double>(peak_resident_bytes()) / 1e6}};
}

json to_json(const GenerationResult& r) {
  json reasons = json::array();
  for (FinishReason reason : r.finish_reasons) reasons.push_back(to_string(reason));
  return {{"device", r.device},           {"texts", r.texts},          {"ids", r.ids},
          {"scores", r.scores},           {"finish_reasons", reasons}, {"prompt_tokens", r.prompt_ids.size()},
          {"metrics", to_json(r.metrics)}};
}

Prompt prompt_of(const Options& o) {
  if (o.prompt.has_value() + o.prompt_file.has_value() + o.ids.has_value() > 1)
    throw UsageError("give one of --prompt, --prompt-file and --ids");
  if (o.ids) return Prompt::from_ids(parse_ids(*o.ids));
  if (o.prompt) return Prompt::from_text(*o.prompt);
  return Prompt::from_text(o.prompt_file ? read_text_file(*o.prompt_file, "the prompt file") : read_stdin());
}

ChatHistory history_of(const json& line) {
  ChatHistory history = ChatHistory::from_json(line["messages"].dump());
  if (line.contains("tools")) history.set_tools(line["tools"].dump());
  if (line.contains("chat_template_kwargs")) history.set_extra_context(line["chat_template_kwargs"].dump());
  return history;
}

GenerationRequest request_of(const json& line, const GenerationConfig& defaults) {
  GenerationRequest request;
  request.config = line.contains("config") ? with_json_fields(defaults, line["config"].dump()) : defaults;
  if (line.contains("ids"))
    request.prompt = Prompt::from_ids(line["ids"].get<std::vector<int64_t>>());
  else if (line.contains("messages"))
    request.prompt = Prompt::from_history(history_of(line));
  else if (line.contains("prompt"))
    request.prompt = Prompt::from_text(line["prompt"].get<std::string>());
  else
    throw Error(ErrorKind::invalid_argument, "a line needs \"prompt\", \"messages\" or \"ids\"");
  return request;
}

/// Answers a group of requests together; where that fails, one by one, so that each line gets its own error.
class LineBatch {
 public:
  explicit LineBatch(LLMPipeline& pipeline) : pipeline_(pipeline) {}

  void add(GenerationRequest request) {
    constexpr size_t kBatch = 32;  // bounds the KV caches that are alive at a time
    requests_.push_back(std::move(request));
    if (requests_.size() == kBatch) flush();
  }

  void flush() {
    if (requests_.empty()) return;
    try {
      for (const auto& result : pipeline_.generate(requests_)) print(dump_line(to_json(result)) + "\n");
    } catch (const Error&) {
      for (const auto& request : requests_) answer_alone(request);
    }
    requests_.clear();
  }

  static void report(const std::string& error) { print(dump_line({{"error", error}}) + "\n"); }

 private:
  void answer_alone(const GenerationRequest& request) {
    try {
      print(dump_line(to_json(pipeline_.generate(std::vector{request}).front())) + "\n");
    } catch (const Error& error) {
      report(error.what());
    }
  }

  LLMPipeline& pipeline_;
  std::vector<GenerationRequest> requests_;
};

void run_lines(LLMPipeline& pipeline, const GenerationConfig& config) {
  LineBatch batch(pipeline);
  for_each_json_line([&](const json& line) { batch.add(request_of(line, config)); },
                     [&](const std::string& error) {
                       batch.flush();
                       LineBatch::report(error);
                     });
  batch.flush();
}

void run_streaming(LLMPipeline& pipeline, const GenerationRequest& request) {
  catch_interrupts();
  auto stream = [](std::string_view text) {
    print(text);
    return interrupt_pending() ? StreamingStatus::stop : StreamingStatus::running;
  };
  const Prompt& prompt = request.prompt;
  if (prompt.ids)
    pipeline.generate(*prompt.ids, request.config, stream);
  else
    pipeline.generate(*prompt.text, request.config, stream);
  print("\n");
  if (take_interrupt()) throw Error(ErrorKind::cancelled, "interrupted");
}

void print_answers(const GenerationResult& result) {
  for (size_t i = 0; i < result.texts.size(); ++i) {
    if (!result.texts[i].empty() || result.ids[i].empty())
      print(result.texts[i] + "\n");
    else
      print(fmt::format("{}\n", fmt::join(result.ids[i], ",")));
  }
}

void run(const Options& o) {
  if (o.jsonl && (o.prompt || o.prompt_file || o.ids)) throw UsageError("--jsonl reads its prompts from standard input");
  std::optional<Prompt> prompt;
  if (!o.jsonl) prompt = prompt_of(o);
  LLMPipeline pipeline(o.model.model, o.model.device, o.model.property_map(), o.model.context());
  if (o.chat_template) pipeline.set_chat_template(open_chat_template(*o.chat_template));
  GenerationConfig config = o.generation.apply(pipeline.generation_config());
  if (o.raw) config.apply_chat_template = false;
  if (o.jsonl) return run_lines(pipeline, config);
  GenerationRequest request{*prompt, config};
  if (o.as_json) return print(dump_line(to_json(pipeline.generate(std::vector{request}).front())) + "\n");
  if (pipeline.has_tokenizer() && config.num_return_sequences == 1) return run_streaming(pipeline, request);
  print_answers(pipeline.generate(std::vector{request}).front());
}

}  // namespace

void add_generate(CLI::App& app) {
  auto* command = app.add_subcommand("generate", "Generate text from a prompt");
  auto o = std::make_shared<Options>();
  o->model.add_to(*command);
  command->add_option("-p,--prompt", o->prompt, "the prompt (default: standard input)");
  command->add_option("--prompt-file", o->prompt_file, "file with the prompt");
  command->add_option("--ids", o->ids, "the prompt as token ids: 1,2,3");
  command->add_option("--chat-template", o->chat_template, "used instead of the model's: a .jinja file or a model directory");
  command->add_flag("--raw", o->raw, "leave the chat template out");
  command->add_flag("--json", o->as_json, "print the result as JSON, with ids, scores and metrics");
  command->add_flag("--jsonl", o->jsonl, "read a request from each line of standard input, print a JSON document for each");
  o->generation.add_to(*command);
  command->footer(
      "\nExamples:\n  nibble generate ./model -p \"Why is the sky blue?\" --max-new-tokens 100\n"
      "  echo \"Once upon a time\" | nibble generate ./model --raw --do-sample --temperature 0.7\n"
      "  echo '{\"prompt\": \"Hi\", \"config\": {\"max_new_tokens\": 20}}' | nibble generate ./model --jsonl");
  command->callback([o] { run(*o); });
}

}  // namespace nibble::cli
