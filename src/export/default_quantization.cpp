#include "export/default_quantization.hpp"

namespace nibble {

namespace {

const std::vector<DefaultQuantization>& entries() {
  static const std::vector<std::string> outside_experts{".*self_attn.*", ".*router.*"};
  static const std::vector<DefaultQuantization> table{
      {.model_id = "databricks/dolly-v2-3b", .group_size = 128, .ratio = 1.0, .scale_estimation = true, .dataset = "wikitext2"},
      {.model_id = "EleutherAI/gpt-j-6b", .group_size = 64},
      {.model_id = "facebook/opt-6.7b", .group_size = 64, .ratio = 0.8},
      {.model_id = "togethercomputer/RedPajama-INCITE-7B-Instruct", .group_size = 128},
      {.model_id = "HuggingFaceH4/zephyr-7b-beta", .sym = true, .group_size = 128, .ratio = 0.8, .awq = true},
      {.model_id = "meta-llama/Llama-2-7b-hf", .sym = true, .group_size = 128, .ratio = 0.6},
      {.model_id = "meta-llama/Llama-2-7b-chat-hf", .sym = true, .group_size = 128, .ratio = 1.0, .awq = true},
      {.model_id = "meta-llama/Llama-2-13b-chat-hf", .sym = true, .group_size = 64, .ratio = 0.8},
      {.model_id = "stabilityai/stablelm-3b-4e1t", .sym = true, .group_size = 64, .ratio = 0.8, .awq = true},
      {.model_id = "stabilityai/stablelm-zephyr-3b", .group_size = 128, .ratio = 0.9, .scale_estimation = true, .dataset = "wikitext2"},
      {.model_id = "stabilityai/stable-code-3b", .sym = true, .group_size = 64, .ratio = 0.8},
      {.model_id = "pansophic/rocket-3B", .sym = true, .group_size = 128, .ratio = 0.8},
      {.model_id = "THUDM/chatglm2-6b", .sym = true, .group_size = 128, .ratio = 0.72},
      {.model_id = "Qwen/Qwen-7B-Chat", .sym = true, .group_size = 128, .ratio = 0.6},
      {.model_id = "Qwen/Qwen2.5-1.5B-Instruct",
       .group_size = 128,
       .ratio = 0.9,
       .awq = true,
       .scale_estimation = true,
       .dataset = "wikitext2"},
      {.model_id = "Qwen/Qwen2.5-7B-Instruct", .group_size = 128, .ratio = 1.0, .awq = true},
      {.model_id = "Qwen/Qwen2.5-Coder-3B-Instruct", .group_size = 64, .ratio = 1.0, .scale_estimation = true, .dataset = "wikitext2"},
      {.model_id = "Qwen/Qwen3-1.7B",
       .sym = true,
       .group_size = 64,
       .ratio = 1.0,
       .awq = true,
       .scale_estimation = true,
       .dataset = "wikitext2"},
      {.model_id = "Qwen/Qwen3-4B", .sym = true, .group_size = 128, .ratio = 1.0, .awq = true},
      {.model_id = "Qwen/Qwen3-8B", .group_size = 128, .ratio = 1.0, .scale_estimation = true, .dataset = "wikitext2"},
      {.model_id = "openlm-research/open_llama_3b", .group_size = 64, .all_layers = true},
      {.model_id = "openlm-research/open_llama_3b_v2", .group_size = 64, .ratio = 1.0, .awq = true, .dataset = "wikitext2"},
      {.model_id = "tiiuae/falcon-7b-instruct", .group_size = 64},
      {.model_id = "psmathur/orca_mini_3b", .sym = true, .group_size = 64, .all_layers = true},
      {.model_id = "bigscience/bloomz-560m", .sym = true, .group_size = 64, .ratio = 0.8, .awq = true, .dataset = "wikitext2"},
      {.model_id = "mistralai/Mixtral-8x7B-v0.1", .sym = true, .group_size = 128, .ratio = 0.8},
      {.model_id = "facebook/opt-2.7b", .sym = true, .group_size = 128, .ratio = 0.7},
      {.model_id = "togethercomputer/RedPajama-INCITE-Chat-3B-v1",
       .group_size = 128,
       .ratio = 1.0,
       .scale_estimation = true,
       .dataset = "wikitext2"},
      {.model_id = "lmsys/vicuna-7b-v1.5", .group_size = 128, .ratio = 1.0},
      {.model_id = "stabilityai/stablelm-tuned-alpha-3b", .group_size = 128, .ratio = 0.8},
      {.model_id = "mistralai/Mistral-7B-v0.1", .sym = true, .group_size = 128, .ratio = 0.9},
      {.model_id = "baichuan-inc/Baichuan2-7B-Chat", .group_size = 128, .ratio = 0.8},
      {.model_id = "baichuan-inc/Baichuan2-13B-Chat", .group_size = 128, .ratio = 1.0, .awq = true},
      {.model_id = "lmsys/longchat-7b-16k", .group_size = 128, .ratio = 1.0, .awq = true, .scale_estimation = true, .dataset = "wikitext2"},
      {.model_id = "bigcode/starcoder2-3b", .group_size = 128, .ratio = 0.9},
      {.model_id = "bigcode/starcoder2-15b", .group_size = 64, .ratio = 1.0},
      {.model_id = "TinyLlama/TinyLlama-1.1B-Chat-v1.0", .group_size = 64, .ratio = 1.0, .awq = true},
      {.model_id = "microsoft/phi-2", .group_size = 64, .ratio = 1.0, .awq = true, .scale_estimation = true, .dataset = "wikitext2"},
      {.model_id = "stabilityai/stablelm-tuned-alpha-7b", .group_size = 64, .ratio = 1.0, .scale_estimation = true, .dataset = "wikitext2"},
      {.model_id = "meta-llama/Meta-Llama-3.1-8B-Instruct", .group_size = 64, .ratio = 0.8, .awq = true},
      {.model_id = "meta-llama/Llama-3.2-1B-Instruct", .group_size = 128, .ratio = 1.0, .awq = true},
      {.model_id = "meta-llama/Meta-Llama-3.1-8B", .group_size = 64, .ratio = 0.8, .awq = true},
      {.model_id = "microsoft/Phi-3-mini-4k-instruct", .group_size = 64, .ratio = 1.0, .scale_estimation = true, .dataset = "wikitext2"},
      {.model_id = "microsoft/Phi-3.5-mini-instruct", .group_size = 64, .ratio = 1.0, .awq = true},
      {.model_id = "microsoft/Phi-4-mini-instruct", .group_size = 64, .ratio = 1.0, .awq = true},
      {.model_id = "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B", .group_size = 32, .ratio = 0.7, .awq = true},
      {.model_id = "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", .group_size = 128, .ratio = 1.0, .awq = true},
      {.model_id = "deepseek-ai/DeepSeek-R1-Distill-Llama-8B", .group_size = 64, .ratio = 0.8, .awq = true},
      {.model_id = "Qwen/Qwen3-30B-A3B", .group_size = -1},
      {.model_id = "inceptionai/jais-13b", .group_size = 128, .ratio = 1.0, .group_size_fallback = "adjust"},
      {.model_id = "HuggingFaceTB/SmolVLM2-256M-Video-Instruct", .group_size = 128, .ratio = 1.0, .group_size_fallback = "adjust"},
      {.model_id = "meta-llama/Llama-3.1-8B-Instruct", .group_size = 64, .ratio = 0.8, .awq = true},
      {.model_id = "meta-llama/Llama-3.1-8B", .group_size = 64, .ratio = 0.8, .awq = true},
      {.model_id = "openai/gpt-oss-20b", .sym = true, .group_size = 32, .int8_patterns = outside_experts},
      {.model_id = "openai/gpt-oss-120b", .sym = true, .group_size = 32, .int8_patterns = outside_experts},
  };
  return table;
}

std::string_view after_last_slash(std::string_view text) {
  while (text.ends_with('/')) text.remove_suffix(1);
  size_t slash = text.rfind('/');
  return slash == std::string_view::npos ? text : text.substr(slash + 1);
}

}  // namespace

const DefaultQuantization* find_default_quantization(std::span<const std::string> model_ids) {
  for (const std::string& id : model_ids)
    for (const DefaultQuantization& entry : entries())
      if (entry.model_id == id) return &entry;
  for (const std::string& id : model_ids)
    for (const DefaultQuantization& entry : entries())
      if (!id.empty() && after_last_slash(entry.model_id) == after_last_slash(id)) return &entry;
  return nullptr;
}

WeightOptions default_options(const DefaultQuantization& entry) {
  WeightOptions options;
  options.weight_format = "int4";
  options.sym = entry.sym;
  options.group_size = entry.group_size;
  options.group_size_fallback = entry.group_size_fallback;
  options.ratio = entry.ratio;
  options.all_layers = entry.all_layers;
  options.awq = entry.awq;
  options.scale_estimation = entry.scale_estimation;
  options.dataset = entry.dataset;
  return options;
}

}  // namespace nibble
