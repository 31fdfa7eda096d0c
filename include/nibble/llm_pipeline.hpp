#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "nibble/chat.hpp"
#include "nibble/context.hpp"
#include "nibble/device.hpp"
#include "nibble/generation_config.hpp"
#include "nibble/tokenizer.hpp"

namespace nibble {

enum class FinishReason {
  none,    ///< nothing was generated
  stop,    ///< an end-of-sequence or stop token, a stop string, or the streamer asked
  length,  ///< a maximal length
};
std::string_view to_string(FinishReason reason);  ///< "none", "stop", "length"

enum class StreamingStatus {
  running,  ///< go on
  stop,     ///< end here and return what there is
};
/// Gets the text as it becomes certain: whole characters, no part of a stop string that will be cut.
using StreamerCallback = std::function<StreamingStatus(std::string_view text)>;

struct MeanStd {
  double mean = -1, std = -1;  ///< -1: there is nothing to measure
};

/// Times of one generate call, in milliseconds; names as in OpenVINO GenAI.
struct PerfMetrics {
  double load_time_ms = 0;
  size_t num_input_tokens = 0;
  size_t num_generated_tokens = 0;
  double generate_duration_ms = 0;
  double inference_duration_ms = 0;
  double sampling_duration_ms = 0;
  double tokenization_duration_ms = -1;  ///< -1: did not happen
  double chat_template_duration_ms = -1;
  double detokenization_duration_ms = -1;
  MeanStd ttft_ms;                     ///< time to first token, tokenization included, over the sequences
  MeanStd tpot_ms;                     ///< time for each further token
  std::vector<double> token_times_ms;  ///< when each further token of any sequence came after the one before

  /// Further tokens per second: 1000 / tpot.
  double throughput_tps() const { return tpot_ms.mean > 0 ? 1000.0 / tpot_ms.mean : 0.0; }
};

/// The answers to one prompt; lists have one entry for each returned sequence.
struct GenerationResult {
  std::string device;              ///< that really ran
  std::vector<std::string> texts;  ///< empty strings where the model directory has no tokenizer
  std::vector<std::vector<int64_t>> ids;
  std::vector<float> scores;
  std::vector<FinishReason> finish_reasons;
  std::vector<int64_t> prompt_ids;
  PerfMetrics metrics;
};

/// What a prompt may be: exactly one of the three is set.
struct Prompt {
  std::optional<std::string> text;
  std::optional<ChatHistory> history;
  std::optional<std::vector<int64_t>> ids;

  static Prompt from_text(std::string text) { return {std::move(text), {}, {}}; }
  static Prompt from_history(ChatHistory history) { return {{}, std::move(history), {}}; }
  static Prompt from_ids(std::vector<int64_t> ids) { return {{}, {}, std::move(ids)}; }
};

struct GenerationRequest {
  Prompt prompt;
  GenerationConfig config;
};

/// A language model that answers prompts. Opens an OpenVINO IR directory, a Hugging Face checkpoint directory or
/// a GGUF file.
/// generate() may be called from one thread at a time; several pipelines may share a Context.
class LLMPipeline {
 public:
  /// Throws Error when the directory holds no such model or the device cannot run it.
  explicit LLMPipeline(const std::filesystem::path& directory, const std::string& device = {}, const Properties& properties = {},
                       std::shared_ptr<Context> context = nullptr);
  ~LLMPipeline();
  LLMPipeline(LLMPipeline&&) noexcept;
  LLMPipeline& operator=(LLMPipeline&&) noexcept;

  /// `config` defaults to the model's own. A text prompt is wrapped as a user's turn when the model has a chat template.
  GenerationResult generate(const std::string& prompt, const StreamerCallback& streamer = {});
  GenerationResult generate(const std::string& prompt, const GenerationConfig& config, const StreamerCallback& streamer = {});
  GenerationResult generate(const ChatHistory& history, const GenerationConfig& config, const StreamerCallback& streamer = {});
  GenerationResult generate(const std::vector<int64_t>& ids, const GenerationConfig& config, const StreamerCallback& streamer = {});
  /// Answers all requests together, in their order.
  std::vector<GenerationResult> generate(const std::vector<GenerationRequest>& requests);

  const GenerationConfig& generation_config() const;
  void set_generation_config(GenerationConfig config);
  bool has_tokenizer() const;
  /// Throws Error{not_found} where the directory has none.
  const Tokenizer& tokenizer() const;
  bool has_chat_template() const;
  /// The template for a history: of several named ones "tool_use" where the history has tools, as in transformers.
  /// Throws Error{not_found} where the model has none.
  const ChatTemplate& chat_template(const ChatHistory& history = {}) const;
  /// Takes the place of the model's own ones.
  void set_chat_template(ChatTemplate chat_template);
  /// The text that the model sees for a history, ready for encoding without special tokens.
  std::string apply_chat_template(const ChatHistory& history, bool add_generation_prompt = true) const;
  /// The device that runs the model.
  std::string device() const;
  double load_time_ms() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace nibble
