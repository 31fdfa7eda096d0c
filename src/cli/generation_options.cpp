#include "cli/generation_options.hpp"

#include <type_traits>

namespace nibble::cli {

namespace {

std::string option_name(std::string field) {
  for (char& c : field)
    if (c == '_') c = '-';
  return "--" + field;
}

template <class T>
void add_value(CLI::App& command, json& fields, const std::string& field, const std::string& help) {
  auto* option = command.add_option_function<T>(
      option_name(field), [&fields, field](const T& value) { fields[field] = value; }, help);
  option->group("Generation");
  if constexpr (std::is_unsigned_v<T>) option->check(CLI::NonNegativeNumber);  // or -1 would become 2^64 - 1
}

void add_flag(CLI::App& command, json& fields, const std::string& field, const std::string& help, bool value = true) {
  command
      .add_flag_callback(
          option_name(field), [&fields, field, value] { fields[field] = value; }, help)
      ->group("Generation");
}

}  // namespace

void GenerationOptions::add_to(CLI::App& command) {
  add_value<uint64_t>(command, fields_, "max_new_tokens", "tokens to generate at most");
  add_value<uint64_t>(command, fields_, "max_length", "tokens of prompt and answer together at most");
  add_value<uint64_t>(command, fields_, "min_new_tokens", "no end before so many tokens");
  add_flag(command, fields_, "ignore_eos", "go on after an end-of-sequence token");
  add_flag(command, fields_, "echo", "repeat the prompt before the answer");
  add_value<std::vector<int64_t>>(command, fields_, "eos_token_id", "tokens that end a sequence (default: the model's)");
  add_value<std::vector<int64_t>>(command, fields_, "stop_token_ids", "further tokens that end the answer");
  add_value<std::vector<std::string>>(command, fields_, "stop_strings", "texts that end the answer");
  add_flag(command, fields_, "include_stop_str_in_output", "keep the stop string in the answer");
  add_flag(command, fields_, "do_sample", "draw tokens instead of taking the most probable");
  add_value<float>(command, fields_, "temperature", "flattens (> 1) or sharpens (< 1) the distribution");
  add_value<uint64_t>(command, fields_, "top_k", "draw from so many best tokens; 0: all");
  add_value<float>(command, fields_, "top_p", "draw from the best tokens that make up this probability");
  add_value<float>(command, fields_, "min_p", "draw from tokens of at least this share of the best probability");
  add_value<uint64_t>(command, fields_, "rng_seed", "seed of the random numbers");
  add_value<uint64_t>(command, fields_, "num_return_sequences", "answers to give (with --do-sample)");
  add_value<float>(command, fields_, "repetition_penalty", "above 1: fewer repetitions");
  add_value<float>(command, fields_, "presence_penalty", "penalty for tokens that are in the answer already");
  add_value<float>(command, fields_, "frequency_penalty", "the same, for each time they are");
  add_value<uint64_t>(command, fields_, "logprobs", "above 0: scores are log-probabilities");
}

GenerationConfig GenerationOptions::apply(const GenerationConfig& config) const { return with_json_fields(config, fields_.dump()); }

}  // namespace nibble::cli
