#include <fmt/format.h>

#include "cli/command.hpp"
#include "nibble/evaluate.hpp"
#include "nibble/system.hpp"

namespace nibble::cli {

namespace {

struct Options {
  ModelOptions model;
  std::string ids, chunks, out;
  int64_t pad_id = 0;
  bool as_json = false;
};

std::vector<std::vector<int64_t>> parse_rows(const std::string& text) {
  std::vector<std::vector<int64_t>> rows;
  size_t begin = 0;
  for (;;) {
    size_t end = text.find(';', begin);
    rows.push_back(parse_ids(text.substr(begin, end - begin)));
    if (rows.back().empty()) throw UsageError("--ids has an empty row");
    if (end == std::string::npos) return rows;
    begin = end + 1;
  }
}

void run(const Options& o) {
  auto rows = parse_rows(o.ids);
  LanguageModel model(o.model.model, o.model.device, o.model.property_map(), o.model.context());
  Tensor logits = model.logits(rows, parse_ids(o.chunks), o.pad_id);
  catch_interrupts();  // from here on an interrupt would leave half a file behind
  save_safetensors(o.out, {{"logits", logits}});
  if (o.as_json)
    print_json({{"device", model.device()}, {"out", o.out}, {"shape", logits.shape()}});
  else
    print(fmt::format("{}: logits {} from {}\n", o.out, to_string(logits.shape()), model.device()));
}

}  // namespace

void add_logits(CLI::App& app) {
  auto* command = app.add_subcommand("logits", "Write a model's logits for token ids");
  auto o = std::make_shared<Options>();
  o->model.add_to(*command);
  command->add_option("--ids", o->ids, "token ids 1,2,3; several rows separated by ';', padded on the left")->required();
  command->add_option("-o,--out", o->out, "safetensors file to write: logits [rows, tokens, vocab] f32")->required();
  command->add_option("--chunks", o->chunks, "numbers of tokens to feed at a time through the cache: 24,1,1");
  command->add_option("--pad-id", o->pad_id, "token id of padding")->capture_default_str();
  command->add_flag("--json", o->as_json, "print the result as JSON");
  command->footer(
      "\nExamples:\n  nibble logits ./model --ids 1,15,27 --out logits.safetensors\n  nibble logits ./model --ids '1,2,3;4,5' --chunks 2,1 "
      "--out l.safetensors");
  command->callback([o] { run(*o); });
}

}  // namespace nibble::cli
