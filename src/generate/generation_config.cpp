#include "nibble/generation_config.hpp"

#include <functional>
#include <map>
#include <nlohmann/json.hpp>

#include "base/fail.hpp"
#include "base/json.hpp"
#include "checkpoint/gguf/gguf_model.hpp"
#include "checkpoint/gguf/gguf_tokenizer.hpp"

namespace nibble {

namespace {

using nlohmann::json;

void require(bool ok, std::string_view field, const auto& value, std::string_view allowed) {
  if (!ok) fail(ErrorKind::invalid_argument, "{} is {}, it must be {}", field, value, allowed);
}

[[noreturn]] void wrong_type(const std::string& field, const json& value, std::string_view expected) {
  fail(ErrorKind::invalid_argument, "generation config: \"{}\" should be {}, it is {}", field, expected, value.dump().substr(0, 80));
}

void read(const std::string& field, const json& value, size_t& target) {
  if (!value.is_number_integer() || value.get<double>() < 0) wrong_type(field, value, "a whole number of at least 0");
  target = value.get<size_t>();
}

void read(const std::string& field, const json& value, float& target) {
  if (!value.is_number()) wrong_type(field, value, "a number");
  target = value.get<float>();
}

void read(const std::string& field, const json& value, bool& target) {
  if (!value.is_boolean()) wrong_type(field, value, "true or false");
  target = value.get<bool>();
}

void read(const std::string& field, const json& value, std::set<int64_t>& target) {
  json list = value.is_array() ? value : json::array({value});
  target.clear();
  for (const auto& id : list) {
    if (!id.is_number_integer()) wrong_type(field, value, "a token id or a list of them");
    target.insert(id.get<int64_t>());
  }
}

void read(const std::string& field, const json& value, std::vector<std::string>& target) {
  json list = value.is_array() ? value : json::array({value});
  target.clear();
  for (const auto& text : list) {
    if (!text.is_string()) wrong_type(field, value, "a string or a list of strings");
    target.push_back(text.get<std::string>());
  }
}

using Setter = std::function<void(GenerationConfig&, const std::string&, const json&)>;

template <class T>
Setter setter(T GenerationConfig::*member) {
  return [member](GenerationConfig& config, const std::string& field, const json& value) { read(field, value, config.*member); };
}

const std::map<std::string, Setter>& setters() {
  using C = GenerationConfig;
  static const std::map<std::string, Setter> all{
      {"max_new_tokens", setter(&C::max_new_tokens)},
      {"max_length", setter(&C::max_length)},
      {"min_new_tokens", setter(&C::min_new_tokens)},
      {"ignore_eos", setter(&C::ignore_eos)},
      {"echo", setter(&C::echo)},
      {"eos_token_id", setter(&C::eos_token_ids)},
      {"stop_token_ids", setter(&C::stop_token_ids)},
      {"stop_strings", setter(&C::stop_strings)},
      {"include_stop_str_in_output", setter(&C::include_stop_str_in_output)},
      {"do_sample", setter(&C::do_sample)},
      {"temperature", setter(&C::temperature)},
      {"top_k", setter(&C::top_k)},
      {"top_p", setter(&C::top_p)},
      {"min_p", setter(&C::min_p)},
      {"rng_seed", setter(&C::rng_seed)},
      {"num_return_sequences", setter(&C::num_return_sequences)},
      {"repetition_penalty", setter(&C::repetition_penalty)},
      {"presence_penalty", setter(&C::presence_penalty)},
      {"frequency_penalty", setter(&C::frequency_penalty)},
      {"logprobs", setter(&C::logprobs)},
      {"skip_special_tokens", setter(&C::skip_special_tokens)},
      {"apply_chat_template", setter(&C::apply_chat_template)},
  };
  return all;
}

/// Files carry fields of other tools, and nulls: only what is known and given counts.
void apply_known_fields(GenerationConfig& config, const json& fields, const std::filesystem::path& path) {
  for (const auto& [field, value] : fields.items()) {
    auto found = setters().find(field);
    if (found == setters().end() || value.is_null()) continue;
    try {
      found->second(config, field, value);
    } catch (const Error& error) {
      fail(ErrorKind::corrupt, "{}: {}", path.string(), error.what());
    }
  }
}

}  // namespace

void GenerationConfig::validate() const {
  require(max_new_tokens > 0 || echo, "max_new_tokens", max_new_tokens, "at least 1 (0 only with echo)");
  require(min_new_tokens <= max_new_tokens, "min_new_tokens", min_new_tokens, "no more than max_new_tokens");
  require(!ignore_eos || max_new_tokens != kUnlimited || max_length != kUnlimited, "ignore_eos", ignore_eos,
          "accompanied by max_new_tokens or max_length, or the answer never ends");
  bool ends = !eos_token_ids.empty() || !stop_token_ids.empty() || !stop_strings.empty() || max_new_tokens != kUnlimited ||
              max_length != kUnlimited;
  require(ends, "max_new_tokens", "unlimited", "given where the model has no end-of-sequence token");
  require(repetition_penalty > 0, "repetition_penalty", repetition_penalty, "positive");
  require(presence_penalty >= -2 && presence_penalty <= 2, "presence_penalty", presence_penalty, "between -2 and 2");
  require(frequency_penalty >= -2 && frequency_penalty <= 2, "frequency_penalty", frequency_penalty, "between -2 and 2");
  require(num_return_sequences > 0, "num_return_sequences", num_return_sequences, "at least 1");
  require(num_return_sequences == 1 || do_sample, "num_return_sequences", num_return_sequences, "1 unless do_sample is set");
  if (!do_sample) return;
  require(temperature > 0, "temperature", temperature, "positive");
  require(top_p > 0 && top_p <= 1, "top_p", top_p, "above 0 and at most 1");
  require(min_p >= 0 && min_p < 1, "min_p", min_p, "at least 0 and below 1");
}

GenerationConfig load_generation_config(const std::filesystem::path& directory) {
  GenerationConfig config;
  if (auto gguf = find_gguf(directory)) apply_known_fields(config, gguf_generation_config(open_gguf_file(*gguf).metadata), *gguf);
  auto own = directory / "generation_config.json", model = directory / "config.json";
  if (std::filesystem::exists(own)) apply_known_fields(config, read_json_object(own), own);
  if (config.eos_token_ids.empty() && std::filesystem::exists(model)) {
    json fields = read_json_object(model);
    if (fields.contains("eos_token_id")) apply_known_fields(config, json{{"eos_token_id", fields["eos_token_id"]}}, model);
  }
  return config;
}

GenerationConfig with_json_fields(GenerationConfig config, std::string_view json_object) {
  json fields = parse_json(json_object, "generation config");
  if (!fields.is_object())
    fail(ErrorKind::invalid_argument, "generation config: expected a JSON object, got {}", json_object.substr(0, 80));
  for (const auto& [field, value] : fields.items()) {
    auto found = setters().find(field);
    if (found == setters().end()) fail(ErrorKind::invalid_argument, "generation config: there is no field \"{}\"", field);
    found->second(config, field, value);
  }
  return config;
}

}  // namespace nibble
