#include "nibble/llm_pipeline.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/fail.hpp"
#include "base/json.hpp"
#include "generate/scheduler.hpp"
#include "pipeline/model_loader.hpp"

namespace nibble {

namespace fs = std::filesystem;

std::string_view to_string(FinishReason reason) {
  switch (reason) {
    case FinishReason::none: return "none";
    case FinishReason::stop: return "stop";
    case FinishReason::length: return "length";
  }
  return "none";
}

namespace {

using Clock = std::chrono::steady_clock;

double milliseconds(Clock::duration duration) { return std::chrono::duration<double, std::milli>(duration).count(); }

/// What `work` returns; its duration goes to `target_ms`.
template <class Work>
auto timed(double& target_ms, Work work) {
  auto start = Clock::now();
  auto result = work();
  target_ms = milliseconds(Clock::now() - start);
  return result;
}

MeanStd mean_std(const std::vector<double>& values) {
  if (values.empty()) return {};
  double count = static_cast<double>(values.size());
  double mean = std::accumulate(values.begin(), values.end(), 0.0) / count, squares = 0;
  for (double v : values) squares += (v - mean) * (v - mean);
  return {mean, std::sqrt(squares / count)};
}

std::optional<Tokenizer> load_tokenizer(const ModelFiles& files) {
  return has_tokenizer(files) ? std::optional(Tokenizer(files.directory)) : std::nullopt;
}

/// Positions that the model was trained for; answers without a limit of their own end there.
size_t context_length(const ModelFiles& files) {
  nlohmann::json json = read_model_config(files);
  auto length = json.find("max_position_embeddings");
  return length != json.end() && length->is_number_integer() && length->get<int64_t>() > 0 ? length->get<size_t>()
                                                                                           : GenerationConfig::kUnlimited;
}

/// A request with everything about it that is known before the model runs.
struct Prepared {
  GenerationConfig config;
  std::vector<int64_t> prompt;
  double tokenization_ms = -1, template_ms = -1;
  Clock::time_point start;
  std::vector<Sequence*> sequences;
};

}  // namespace

struct LLMPipeline::Impl {
  std::shared_ptr<Context> context;
  std::optional<Tokenizer> tokenizer;
  std::optional<ChatTemplate> chat_template, tool_template;  ///< the second one for conversations with tools, where there is another
  GenerationConfig config;
  std::unique_ptr<ModelRunner> runner;
  size_t max_context = GenerationConfig::kUnlimited;
  double load_time_ms = 0;

  const Tokenizer& require_tokenizer() const {
    if (!tokenizer)
      fail(ErrorKind::not_found,
           "the model directory has neither tokenizer.json, tokenizer.model nor openvino_tokenizer.xml: give token ids instead of text");
    return *tokenizer;
  }

  std::string render(const ChatHistory& history, bool add_generation_prompt) const {
    if (!chat_template) fail(ErrorKind::not_found, "the model has no chat template: give a prompt instead of a conversation");
    nlohmann::json variables{{"add_generation_prompt", add_generation_prompt}};
    if (tokenizer) {
      variables["bos_token"] = tokenizer->bos_token();
      variables["eos_token"] = tokenizer->eos_token();
      variables["pad_token"] = tokenizer->pad_token();
    }
    return template_for(history).render(history, variables.dump());
  }

  const ChatTemplate& template_for(const ChatHistory& history) const {
    return tool_template && !history.tools().empty() ? *tool_template : *chat_template;
  }

  std::vector<int64_t> encode(const std::string& text, bool add_special_tokens) const {
    return require_tokenizer().encode(text, {.add_special_tokens = add_special_tokens}).ids;
  }

  Prepared prepare(const GenerationRequest& request) const {
    Prepared p;
    p.start = Clock::now();
    p.config = request.config;
    if (p.config.eos_token_ids.empty()) p.config.eos_token_ids = config.eos_token_ids;
    p.config.validate();
    const Prompt& prompt = request.prompt;
    if (prompt.ids) {
      p.prompt = *prompt.ids;
    } else if (prompt.history || (chat_template && p.config.apply_chat_template)) {
      ChatHistory history;
      if (prompt.history)
        history = *prompt.history;
      else
        history.add("user", prompt.text.value_or(""));
      std::string text = timed(p.template_ms, [&] { return render(history, true); });
      p.prompt = timed(p.tokenization_ms, [&] { return encode(text, false); });
    } else {
      p.prompt = timed(p.tokenization_ms, [&] { return encode(prompt.text.value_or(""), true); });
    }
    if (p.prompt.empty())
      fail(ErrorKind::invalid_argument, "the prompt is empty and the tokenizer adds no beginning-of-text token: give some text");
    return p;
  }

  size_t max_tokens(const Prepared& p) const {
    if (p.config.max_new_tokens != GenerationConfig::kUnlimited) return p.config.max_new_tokens;
    size_t limit = p.config.max_length != GenerationConfig::kUnlimited ? p.config.max_length : max_context;
    if (limit == GenerationConfig::kUnlimited) return limit;
    if (limit <= p.prompt.size())
      fail(ErrorKind::invalid_argument, "the prompt has {} tokens, {} is {}: shorten the prompt or set max_new_tokens", p.prompt.size(),
           p.config.max_length != GenerationConfig::kUnlimited ? "max_length" : "the model's context length", limit);
    return limit - p.prompt.size();
  }

  void start(Scheduler& scheduler, Prepared& p, bool streams) {
    bool needs_text = streams || !p.config.stop_strings.empty();
    const Tokenizer* text_source = needs_text ? &require_tokenizer() : nullptr;
    for (size_t i = 0; i < p.config.num_return_sequences; ++i)
      p.sequences.push_back(&scheduler.add(p.config, p.prompt, i, text_source, max_tokens(p)));
  }

  std::vector<GenerationResult> run(const std::vector<GenerationRequest>& requests, const StreamerCallback& streamer) {
    std::vector<Prepared> prepared;
    for (const auto& request : requests) prepared.push_back(prepare(request));
    Scheduler scheduler(*runner);
    for (Prepared& p : prepared) start(scheduler, p, streamer != nullptr);
    if (streamer && (prepared.size() != 1 || prepared[0].sequences.size() != 1))
      fail(ErrorKind::invalid_argument, "streaming takes one prompt and one returned sequence");
    if (streamer && prepared[0].config.echo) stream_prompt(scheduler, *prepared[0].sequences[0], streamer);
    while (scheduler.has_work()) {
      auto advanced = scheduler.step();
      if (streamer) stream(scheduler, *advanced.front(), streamer);
    }
    std::vector<GenerationResult> results;
    for (Prepared& p : prepared) results.push_back(finish(p, scheduler.times()));
    return results;
  }

  static void stream_prompt(Scheduler& scheduler, Sequence& sequence, const StreamerCallback& streamer) {
    std::string text = sequence.text->continue_from(sequence.prompt);
    bool done = sequence.state != SequenceState::running;
    if (done) text += sequence.text->finish(false);
    if (text.empty() || streamer(text) == StreamingStatus::running || done) return;
    scheduler.stop(sequence);
  }

  static void stream(Scheduler& scheduler, Sequence& sequence, const StreamerCallback& streamer) {
    bool done = sequence.state != SequenceState::running;
    bool cut = done && !sequence.config.include_stop_str_in_output && sequence.generated.size() < sequence.token_times.size();
    std::string text = done ? sequence.text->finish(cut) : sequence.text->take();
    if (text.empty() || streamer(text) == StreamingStatus::running || done) return;
    scheduler.stop(sequence);
  }

  std::string decode(const std::vector<int64_t>& ids, bool skip_special_tokens) const {
    return tokenizer ? tokenizer->decode(ids, skip_special_tokens) : std::string();
  }

  GenerationResult finish(const Prepared& p, const StepTimes& times) const {
    GenerationResult result;
    result.device = runner->device_name();
    result.prompt_ids = p.prompt;
    result.metrics.detokenization_duration_ms = 0;
    for (const Sequence* s : p.sequences) {
      std::vector<int64_t> ids = s->generated;
      if (p.config.echo) ids.insert(ids.begin(), p.prompt.begin(), p.prompt.end());
      double decode_ms = 0;
      result.texts.push_back(timed(decode_ms, [&] { return decode(ids, p.config.skip_special_tokens); }));
      result.metrics.detokenization_duration_ms += decode_ms;
      result.ids.push_back(std::move(ids));
      result.scores.push_back(s->score);
      result.finish_reasons.push_back(s->token_times.empty()               ? FinishReason::none
                                      : s->state == SequenceState::stopped ? FinishReason::stop
                                                                           : FinishReason::length);
    }
    measure(result.metrics, p, times);
    return result;
  }

  void measure(PerfMetrics& m, const Prepared& p, const StepTimes& times) const {
    m.load_time_ms = load_time_ms;
    m.num_input_tokens = p.prompt.size();
    m.generate_duration_ms = milliseconds(Clock::now() - p.start);
    m.inference_duration_ms = times.inference_ms;
    m.sampling_duration_ms = times.sampling_ms;
    m.tokenization_duration_ms = p.tokenization_ms;
    m.chat_template_duration_ms = p.template_ms;
    std::vector<double> first;
    for (const Sequence* s : p.sequences) {
      m.num_generated_tokens += s->token_times.size();
      if (!s->token_times.empty()) first.push_back(milliseconds(s->token_times.front() - p.start));
      for (size_t i = 1; i < s->token_times.size(); ++i)
        m.token_times_ms.push_back(milliseconds(s->token_times[i] - s->token_times[i - 1]));
    }
    m.ttft_ms = mean_std(first);
    m.tpot_ms = mean_std(m.token_times_ms);
  }
};

LLMPipeline::LLMPipeline(const fs::path& directory, const std::string& device, const Properties& properties,
                         std::shared_ptr<Context> context)
    : impl_(std::make_unique<Impl>()) {
  auto start = Clock::now();
  ModelFiles files = find_model(directory);
  impl_->context = context ? std::move(context) : std::make_shared<Context>();
  impl_->tokenizer = load_tokenizer(files);
  impl_->chat_template = load_chat_template(files.directory);
  impl_->tool_template = load_chat_template(files.directory, "tool_use");
  if (!impl_->chat_template && impl_->tokenizer)  // a tokenizer IR brings its own
    if (auto source = impl_->tokenizer->chat_template()) impl_->chat_template.emplace(std::move(*source), "chat_template");
  impl_->config = load_generation_config(files.directory);
  impl_->max_context = context_length(files);
  impl_->runner = make_runner(load_model(directory, device, properties, *impl_->context));
  impl_->load_time_ms = milliseconds(Clock::now() - start);
}

LLMPipeline::~LLMPipeline() = default;
LLMPipeline::LLMPipeline(LLMPipeline&&) noexcept = default;
LLMPipeline& LLMPipeline::operator=(LLMPipeline&&) noexcept = default;

GenerationResult LLMPipeline::generate(const std::string& prompt, const StreamerCallback& streamer) {
  return generate(prompt, impl_->config, streamer);
}

GenerationResult LLMPipeline::generate(const std::string& prompt, const GenerationConfig& config, const StreamerCallback& streamer) {
  return impl_->run({{Prompt::from_text(prompt), config}}, streamer).front();
}

GenerationResult LLMPipeline::generate(const ChatHistory& history, const GenerationConfig& config, const StreamerCallback& streamer) {
  return impl_->run({{Prompt::from_history(history), config}}, streamer).front();
}

GenerationResult LLMPipeline::generate(const std::vector<int64_t>& ids, const GenerationConfig& config, const StreamerCallback& streamer) {
  return impl_->run({{Prompt::from_ids(ids), config}}, streamer).front();
}

std::vector<GenerationResult> LLMPipeline::generate(const std::vector<GenerationRequest>& requests) { return impl_->run(requests, {}); }

const GenerationConfig& LLMPipeline::generation_config() const { return impl_->config; }

void LLMPipeline::set_generation_config(GenerationConfig config) {
  if (config.eos_token_ids.empty()) config.eos_token_ids = impl_->config.eos_token_ids;
  config.validate();
  impl_->config = std::move(config);
}

bool LLMPipeline::has_tokenizer() const { return impl_->tokenizer.has_value(); }
const Tokenizer& LLMPipeline::tokenizer() const { return impl_->require_tokenizer(); }
bool LLMPipeline::has_chat_template() const { return impl_->chat_template.has_value(); }

const ChatTemplate& LLMPipeline::chat_template(const ChatHistory& history) const {
  if (!impl_->chat_template) fail(ErrorKind::not_found, "the model has no chat template");
  return impl_->template_for(history);
}

void LLMPipeline::set_chat_template(ChatTemplate chat_template) {
  impl_->chat_template = std::move(chat_template);
  impl_->tool_template.reset();
}

std::string LLMPipeline::apply_chat_template(const ChatHistory& history, bool add_generation_prompt) const {
  return impl_->render(history, add_generation_prompt);
}

std::string LLMPipeline::device() const { return std::string(impl_->runner->device_name()); }
double LLMPipeline::load_time_ms() const { return impl_->load_time_ms; }

}  // namespace nibble
