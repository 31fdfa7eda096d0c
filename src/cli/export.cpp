#include <fmt/format.h>

#include "cli/command.hpp"
#include "cli/progress_bar.hpp"
#include "nibble/export.hpp"
#include "nibble/system.hpp"

namespace nibble::cli {

namespace {

struct Options {
  ModelOptions model;
  std::string output;
  ExportOptions export_options;
  bool as_json = false;
  bool disable_convert_tokenizer = false;
};

json to_json(const ExportReport& r, const Options& o) {
  return {{"model", o.model.model},
          {"output", o.output},
          {"model_type", r.model_type},
          {"format", r.format},
          {"parameters", r.parameters},
          {"weight_bytes", r.weight_bytes},
          {"bits_per_weight", r.bits_per_weight},
          {"layers", r.layers},
          {"seconds", r.seconds},
          {"peak_rss_mb", static_cast<double>(peak_resident_bytes()) / 1e6}};
}

void print_report(const ExportReport& r, const Options& o) {
  std::string layers;
  for (const auto& [precision, count] : r.layers) layers += fmt::format("{}{} {}", layers.empty() ? "" : ", ", count, precision);
  print(fmt::format("{}: {} model, {:.2f} million weights as {}\n", o.output, r.model_type, static_cast<double>(r.parameters) / 1e6,
                    r.format));
  if (!layers.empty()) print(fmt::format("  layers: {}\n", layers));
  print(fmt::format("  {} of weights, {:.2f} bits per weight, {:.1f} s\n", human_bytes(static_cast<double>(r.weight_bytes)),
                    r.bits_per_weight, r.seconds));
}

void run(const Options& o) {
  ProgressBar progress(o.model.progress);
  auto context = o.model.context();
  ExportReport report = export_model(o.model.model, o.output, o.export_options, *context, &progress);
  if (o.as_json)
    print_json(to_json(report, o));
  else
    print_report(report, o);
}

}  // namespace

void add_export(CLI::App& app) {
  auto* command = app.add_subcommand("export", "Export a Hugging Face model to an OpenVINO IR directory");
  auto o = std::make_shared<Options>();
  ExportOptions& e = o->export_options;
  o->model.add_to(*command, false);
  command->add_option("output", o->output, "directory to make; must not exist or be empty")->required();
  command->add_option("--task", e.task, "what the model is for")->capture_default_str();
  command->add_option("--weight-format", e.weight_format, "fp32, fp16, int8, int4 (default: as stored; int8 from a billion parameters on)");
  command->add_flag("--sym", e.sym, "symmetric codes");
  command->add_option("--group-size", e.group_size, "weights that share a scale; -1: one scale per output channel (default 128 for int4)");
  command->add_option("--group-size-fallback", e.group_size_fallback, "error, ignore or adjust, where the group size does not divide a row")
      ->capture_default_str();
  command->add_option("--ratio", e.ratio, "share of the weights that gets the main format")->check(CLI::Range(0.0, 1.0));
  command->add_flag("--all-layers", e.all_layers, "compress embeddings and the last layer to the main format too");
  command->add_option("--backup-precision", e.backup_precision, "for the other layers: none, int8_sym or int8_asym");
  command->add_option("--sensitivity-metric", e.sensitivity_metric, "how layers are ranked when the ratio is below 1");
  command->add_flag("--disable-convert-tokenizer", o->disable_convert_tokenizer,
                    "accepted for compatibility: tokenizer files are copied as they are");
  command->add_option("-t,--threads", o->model.threads, "threads to use (default: one per core)")->check(CLI::Range(0, 4096));
  command->add_flag("--json", o->as_json, "print the result as JSON");
  command->footer(
      "\nExamples:\n  nibble export ./TinyLlama ./tinyllama-fp16 --weight-format fp16\n"
      "  nibble export ./TinyLlama ./tinyllama-int4 --weight-format int4 --sym --group-size 64");
  command->callback([o] { run(*o); });
}

}  // namespace nibble::cli
