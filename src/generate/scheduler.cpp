#include "generate/scheduler.hpp"

#include <algorithm>

namespace nibble {

namespace {

double milliseconds_since(Sequence::Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Sequence::Clock::now() - start).count();
}

}  // namespace

Sequence::Sequence(SequenceId id_, const GenerationConfig& config_, std::vector<int64_t> prompt_, size_t index, const Tokenizer* tokenizer)
    : id(id_), config(config_), prompt(std::move(prompt_)), sampler(config, prompt, index) {
  if (tokenizer) text.emplace(*tokenizer, config.stop_strings, config.skip_special_tokens);
}

Scheduler::~Scheduler() {
  for (Entry* entry : running_) runner_.release(entry->sequence->id);
}

Sequence& Scheduler::add(const GenerationConfig& config, std::vector<int64_t> prompt, size_t index, const Tokenizer* tokenizer,
                         size_t max_tokens) {
  auto sequence = std::make_unique<Sequence>(next_id_++, config, std::move(prompt), index, tokenizer);
  entries_.push_back({std::move(sequence), max_tokens});
  Entry& entry = entries_.back();
  if (max_tokens == 0)
    entry.sequence->state = SequenceState::too_long;
  else
    running_.push_back(&entry);
  return *entry.sequence;
}

std::vector<Sequence*> Scheduler::step() {
  std::vector<TokenSpan> batch;
  for (const Entry* entry : running_) {
    const Sequence& s = *entry->sequence;
    std::span<const int64_t> tokens =
        s.generated.empty() ? std::span<const int64_t>(s.prompt) : std::span<const int64_t>(s.generated).last(1);
    batch.push_back({s.id, tokens, false});
  }
  auto start = Sequence::Clock::now();
  Tensor logits = runner_.forward(batch);
  times_.inference_ms += milliseconds_since(start);

  start = Sequence::Clock::now();
  auto vocab = static_cast<size_t>(logits.shape()[1]);
  std::vector<Sequence*> advanced;
  for (size_t i = 0; i < running_.size(); ++i) {
    auto row = logits.as<float>().subspan(i * vocab, vocab);
    std::vector<float> scratch(row.begin(), row.end());
    append(*running_[i], scratch, Sequence::Clock::now());
    advanced.push_back(running_[i]->sequence.get());
  }
  retire();
  times_.sampling_ms += milliseconds_since(start);
  return advanced;
}

void Scheduler::append(Entry& entry, std::span<float> logits, Sequence::Clock::time_point now) {
  Sequence& s = *entry.sequence;
  SampledToken token = s.sampler.sample(logits);
  s.generated.push_back(token.id);
  s.score += token.log_probability;
  s.token_times.push_back(now);
  s.state = next_state(entry);
}

SequenceState Scheduler::next_state(const Entry& entry) const {
  Sequence& s = *entry.sequence;
  int64_t last = s.generated.back();
  bool is_eos = s.config.eos_token_ids.count(last) && !s.config.ignore_eos;
  bool is_stop = is_eos || s.config.stop_token_ids.count(last);
  bool found_string = s.text && s.text->put(last);
  if (found_string && !s.config.include_stop_str_in_output) s.generated.resize(s.text->tokens_before_stop());
  if (is_stop || found_string) return SequenceState::stopped;
  return s.generated.size() >= entry.max_tokens ? SequenceState::too_long : SequenceState::running;
}

void Scheduler::stop(Sequence& sequence, SequenceState state) {
  sequence.state = state;
  retire();
}

void Scheduler::retire() {
  for (const Entry* entry : running_)
    if (entry->sequence->state != SequenceState::running) runner_.release(entry->sequence->id);
  std::erase_if(running_, [](const Entry* entry) { return entry->sequence->state != SequenceState::running; });
}

}  // namespace nibble
