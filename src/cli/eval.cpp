#include <fmt/format.h>

#include <filesystem>

#include "cli/command.hpp"
#include "cli/compression_details.hpp"
#include "cli/progress_bar.hpp"
#include "nibble/error.hpp"
#include "nibble/evaluate.hpp"
#include "nibble/system.hpp"

namespace nibble::cli {

namespace {

struct Options {
  ModelOptions model;
  std::string text, reference, tokenizer;
  size_t window = 512;
  bool as_json = false;
};

json to_json(const Evaluation& e, const Options& o, const std::string& device) {
  json document{{"model", o.model.model}, {"device", device}, {"window", o.window}};
  document.update(perplexity_json(e.model));
  if (e.reference) {
    document["reference"] = perplexity_json(*e.reference);
    document["reference"]["model"] = o.reference;
    document["mean_kl"] = e.divergence->mean_kl;
    document["top1_agreement"] = e.divergence->top1_agreement;
  }
  document["peak_rss_mb"] = static_cast<double>(peak_resident_bytes()) / 1e6;
  return document;
}

void print_evaluation(const Evaluation& e, const Options& o) {
  std::vector<std::vector<std::string>> rows{{"model", "perplexity", "nats/token", "KL", "same best token", "tokens/s"}};
  auto add = [&](const std::string& name, const Perplexity& p, const std::string& kl, const std::string& agreement) {
    rows.push_back({name, fmt::format("{:.4f}", p.perplexity), fmt::format("{:.4f}", p.nll_per_token), kl, agreement,
                    fmt::format("{:.0f}", static_cast<double>(p.tokens) / p.seconds)});
  };
  if (e.reference) add(o.reference, *e.reference, "0", "100 %");
  add(o.model.model, e.model, e.divergence ? fmt::format("{:.6f}", e.divergence->mean_kl) : "-",
      e.divergence ? fmt::format("{:.2f} %", 100 * e.divergence->top1_agreement) : "-");
  print(format_table(rows));
  print(fmt::format("{} tokens, {} of them predicted, in windows of {}\n", e.model.tokens, e.model.predicted_tokens, o.window));
}

/// Where the tokenizer is: as given, or with the model, or with the reference.
std::string tokenizer_directory(const Options& o) {
  if (!o.tokenizer.empty()) return o.tokenizer;
  for (const std::string& model : {o.model.model, o.reference}) {
    std::filesystem::path directory = model;
    if (directory.extension() == ".gguf") return directory;
    if (std::filesystem::is_regular_file(directory)) directory = directory.has_parent_path() ? directory.parent_path() : ".";
    if (!model.empty() && (std::filesystem::exists(directory / "tokenizer.json") || std::filesystem::exists(directory / "tokenizer.model")))
      return directory;
  }
  throw Error(ErrorKind::not_found,
              fmt::format("{}: there is no tokenizer; name a directory that has one with --tokenizer", o.model.model));
}

void run(const Options& o) {
  std::string text = read_text_file(o.text, "the text");
  ProgressBar progress(o.model.progress);
  auto context = o.model.context();
  LanguageModel model(o.model.model, o.model.device, o.model.property_map(), context);
  std::optional<LanguageModel> reference;
  if (!o.reference.empty()) reference.emplace(o.reference, o.model.device, o.model.property_map(), context);
  Evaluation evaluation = evaluate(model, reference ? &*reference : nullptr, tokenizer_directory(o), text, o.window, &progress);
  if (o.as_json) return print_json(to_json(evaluation, o, model.device()));
  print_evaluation(evaluation, o);
}

}  // namespace

void add_eval(CLI::App& app) {
  auto* command = app.add_subcommand("eval", "Measure how well a model predicts a text");
  auto o = std::make_shared<Options>();
  o->model.add_to(*command);
  command->add_option("--text", o->text, "text file")->required();
  command->add_option("--reference", o->reference, "second model: mean KL divergence from it, share of the same best token");
  command->add_option("--tokenizer", o->tokenizer, "directory with the tokenizer (default: the model's)");
  command->add_option("--window", o->window, "tokens that are run from an empty context")
      ->capture_default_str()
      ->check(CLI::Range(2, 1 << 24));
  command->add_flag("--json", o->as_json, "print the result as JSON");
  command->footer(
      "\nExamples:\n  nibble eval ./model-int4 --text validation.txt\n  nibble eval ./model-int4 --text validation.txt --reference "
      "./model-fp16 --json");
  command->callback([o] { run(*o); });
}

}  // namespace nibble::cli
