#include "cli/weight_options.hpp"

#include <fmt/format.h>

namespace nibble::cli {

namespace {

void add_formats(CLI::App& command, WeightOptions& o, const std::string& without) {
  command.add_option("--for", o.target,
                     "cpu, gpu or npu: 4-bit weights in the form that suits it best; says which options that is, and why");
  command.add_option("--weight-format", o.weight_format,
                     fmt::format("fp32, fp16, int8, int4, nf4, mxfp4, mxfp8, fp8, fp4, nvfp4 or cb4 (default: {})", without));
  command.add_flag("--sym", o.sym, "symmetric codes");
  command.add_option("--group-size", o.group_size, "weights that share a scale; -1: one scale per output channel (default 128 for int4)");
  command.add_option("--group-size-fallback", o.group_size_fallback, "error, ignore or adjust, where the group size does not divide a row")
      ->capture_default_str();
  command.add_option("--ratio", o.ratio, "share of the weights that gets the main format")->check(CLI::Range(0.0, 1.0));
  command.add_flag("--all-layers", o.all_layers, "compress embeddings and the last layer to the main format too");
  command.add_option("--backup-precision", o.backup_precision, "for the other layers: none, int8_sym or int8_asym");
  command.add_option("--sensitivity-metric", o.sensitivity_metric,
                     "how layers are ranked when the ratio is below 1: weight_quantization_error or, with data, hessian_input_activation, "
                     "mean_activation_variance, max_activation_variance (the default then), mean_activation_magnitude");
  command.add_option("--model-id", o.model_id,
                     "hub id of the model: int4 without other options takes the configuration known to be good for it (default: what the "
                     "model's files say)");
}

void add_search(CLI::App& command, WeightOptions& o) {
  auto* budget =
      command.add_option("--budget-gb", o.budget_gb,
                         "size of the .bin at most, in 10^9 bytes: each weight gets the precision that measurement says is worth "
                         "its bytes, from the weight format (default int4) over finer groups and int8 to floats");
  auto* limit = command.add_option("--max-kl", o.max_kl,
                                   "the smallest .bin whose KL divergence from the source, measured on held-out text, is at most this "
                                   "(nats per token)");
  budget->excludes(limit);
}

void add_methods(CLI::App& command, WeightOptions& o) {
  command.add_flag("--awq", o.awq, "activation-aware scaling of columns; without a dataset from the weights alone");
  command.add_flag("--scale-estimation", o.scale_estimation, "choose scales by the error of the layers' outputs; needs a dataset");
  command.add_flag("--gptq", o.gptq, "quantize column by column, each making up for those before; needs a dataset");
  command.add_flag("--lora-correction", o.lora_correction, "add low-rank adapters that make up for the error; needs a dataset");
  command.add_option("--dataset", o.dataset,
                     "data to look at: auto (a text that comes with nibble), a .txt file, a .jsonl file with {\"text\"}, {\"messages\"} or "
                     "{\"ids\"} in each line, or a name such as wikitext2 (looked for in $NIBBLE_DATASETS and ~/.cache/nibble/datasets)");
  command.add_option("--num-samples", o.num_samples, "samples of the dataset (default 128)")->check(CLI::PositiveNumber);
  command.add_option("--seqlen", o.seqlen, "tokens of a sample (default 128; 32 for wikitext2 and c4, 256 for gsm8k)")
      ->check(CLI::PositiveNumber);
  command.add_option("--eval", o.eval_text,
                     "text file: report the result's perplexity on it, and KL divergence from and agreement with the source");
}

}  // namespace

void add_weight_options(CLI::App& command, WeightOptions& options, const std::string& without) {
  add_formats(command, options, without);
  add_search(command, options);
  add_methods(command, options);
}

std::string list_layers(const std::map<std::string, uint64_t>& layers) {
  std::string text;
  for (const auto& [precision, count] : layers) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, precision);
  return text;
}

}  // namespace nibble::cli
