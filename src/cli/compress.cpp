#include "nibble/compress.hpp"

#include <fmt/format.h>

#include "cli/command.hpp"
#include "cli/compression_details.hpp"
#include "cli/progress_bar.hpp"
#include "cli/weight_options.hpp"
#include "nibble/system.hpp"

namespace nibble::cli {

namespace {

struct Options {
  ModelOptions model;
  std::string output;
  WeightOptions weights;
  bool as_json = false;
};

json to_json(const CompressReport& r, const Options& o) {
  json document{{"model", o.model.model},
                {"output", o.output},
                {"format", r.format},
                {"weight_bytes", r.weight_bytes},
                {"original_bytes", r.original_bytes},
                {"bits_per_weight", r.bits_per_weight},
                {"layers", r.layers},
                {"notes", r.notes},
                {"seconds", r.seconds},
                {"peak_rss_mb", static_cast<double>(peak_resident_bytes()) / 1e6}};
  add_details(document, r);
  return document;
}

void print_report(const CompressReport& r, const Options& o) {
  print(fmt::format("{}: weights as {}\n  layers: {}\n", o.output, r.format, list_layers(r.layers)));
  for (const std::string& note : r.notes) print(fmt::format("  {}\n", note));
  print(fmt::format("  {} of weights (before: {}), {:.2f} bits per weight, {:.1f} s\n", human_bytes(static_cast<double>(r.weight_bytes)),
                    human_bytes(static_cast<double>(r.original_bytes)), r.bits_per_weight, r.seconds));
  print_details(r);
}

void run(const Options& o) {
  ProgressBar progress(o.model.progress);
  auto context = o.model.context();
  CompressReport report = compress_model(o.model.model, o.output, o.weights, *context, &progress);
  if (o.as_json)
    print_json(to_json(report, o));
  else
    print_report(report, o);
}

}  // namespace

void add_compress(CLI::App& app) {
  auto* command = app.add_subcommand("compress", "Compress the weights of an OpenVINO IR");
  auto o = std::make_shared<Options>();
  o->model.add_to(*command, false);
  command->add_option("output", o->output, "directory (or, for an .xml, another .xml) to make; must not exist or be empty")->required();
  add_weight_options(*command, o->weights, "none; say one that compresses");
  command->add_option("-t,--threads", o->model.threads, "threads to use (default: one per core)")->check(CLI::Range(0, 4096));
  command->add_flag("--json", o->as_json, "print the result as JSON");
  command->footer(
      "\nExamples:\n  nibble compress ./llama-fp16 ./llama-int4 --weight-format int4\n"
      "  nibble compress model.xml model-int8.xml --weight-format int8\n"
      "  nibble compress ./llama-fp16 ./llama-int4 --weight-format int4 --dataset my-texts.jsonl --gptq --num-samples 64\n"
      "  nibble compress ./llama-fp16 ./llama-0.7gb --budget-gb 0.7 --eval validation.txt");
  command->callback([o] { run(*o); });
}

}  // namespace nibble::cli
