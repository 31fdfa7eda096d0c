#include <fmt/format.h>

#include "cli/command.hpp"
#include "cli/compression_details.hpp"
#include "cli/progress_bar.hpp"
#include "cli/weight_options.hpp"
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
  json document{{"model", o.model.model},
                {"output", o.output},
                {"model_type", r.model_type},
                {"format", r.format},
                {"parameters", r.parameters},
                {"weight_bytes", r.weight_bytes},
                {"bits_per_weight", r.bits_per_weight},
                {"layers", r.layers},
                {"notes", r.notes},
                {"kept_bytes", r.kept_bytes},
                {"seconds", r.seconds},
                {"peak_rss_mb", static_cast<double>(peak_resident_bytes()) / 1e6}};
  add_details(document, r);
  return document;
}

void print_report(const ExportReport& r, const Options& o) {
  print(fmt::format("{}: {} model, {:.2f} million weights as {}\n", o.output, r.model_type, static_cast<double>(r.parameters) / 1e6,
                    r.format));
  for (const std::string& note : r.notes) print(fmt::format("  {}\n", note));
  if (!r.layers.empty()) print(fmt::format("  layers: {}\n", list_layers(r.layers)));
  if (r.kept_bytes) print(fmt::format("  {} were there from an earlier run\n", human_bytes(static_cast<double>(r.kept_bytes))));
  print(fmt::format("  {} of weights, {:.2f} bits per weight, {:.1f} s\n", human_bytes(static_cast<double>(r.weight_bytes)),
                    r.bits_per_weight, r.seconds));
  print_details(r);
}

void run(Options& o) {
  o.export_options.convert_tokenizer = !o.disable_convert_tokenizer;
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
  auto* command = app.add_subcommand("export", "Export a Hugging Face model or a GGUF file to an OpenVINO IR directory");
  auto o = std::make_shared<Options>();
  ExportOptions& e = o->export_options;
  o->model.add_to(*command, false);
  command->add_option("output", o->output, "directory to make; must not exist or be empty")->required();
  command->add_option("--task", e.task, "what the model is for")->capture_default_str();
  add_weight_options(*command, e, "as stored; int8 from a billion parameters on");
  command->add_option("--as", e.family, "take the model for one of this family (model_type), whatever its config.json says");
  command->add_option("--merge-adapter", e.adapters, "directory of a LoRA adapter (PEFT) to merge; may be given several times")
      ->allow_extra_args(false);
  command->add_flag("--disable-convert-tokenizer", o->disable_convert_tokenizer,
                    "write no openvino_tokenizer.xml and openvino_detokenizer.xml");
  command->add_flag("--resume", e.resume,
                    "go on with an export that was interrupted; with this option an interrupt keeps what is written (in OUTPUT.partial)");
  command->add_option("-t,--threads", o->model.threads, "threads to use (default: one per core)")->check(CLI::Range(0, 4096));
  command->add_flag("--json", o->as_json, "print the result as JSON");
  command->footer(
      "\nExamples:\n  nibble export ./TinyLlama ./tinyllama-fp16 --weight-format fp16\n"
      "  nibble export ./TinyLlama ./tinyllama-int4 --weight-format int4 --sym --group-size 64\n"
      "  nibble export ./TinyLlama ./tinyllama-npu --for npu\n"
      "  nibble export ./TinyLlama ./tinyllama-int4 --weight-format int4 --dataset auto --awq --scale-estimation\n"
      "  nibble export ./TinyLlama ./tinyllama-0.8gb --budget-gb 0.8 --eval validation.txt");
  command->callback([o] { run(*o); });
}

}  // namespace nibble::cli
