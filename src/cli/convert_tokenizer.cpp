#include <fmt/format.h>

#include "cli/command.hpp"
#include "nibble/tokenizer.hpp"

namespace nibble::cli {

namespace {

struct Options {
  ModelOptions model;
  std::string output;
  TokenizerIrOptions tokenizer;
  bool no_detokenizer = false, not_add_special_tokens = false, not_skip_special_tokens = false, as_json = false;
};

void run(Options& o) {
  o.tokenizer.detokenizer = !o.no_detokenizer;
  o.tokenizer.add_special_tokens = !o.not_add_special_tokens;
  o.tokenizer.skip_special_tokens = !o.not_skip_special_tokens;
  auto context = o.model.context();
  const std::vector<std::string> notes = convert_tokenizer(o.model.model, o.output, o.tokenizer, *context);
  if (o.as_json) return print_json({{"model", o.model.model}, {"output", o.output}, {"notes", notes}});
  print(fmt::format("{}: openvino_tokenizer.xml{}\n", o.output, o.tokenizer.detokenizer ? ", openvino_detokenizer.xml" : ""));
  for (const std::string& note : notes) print(fmt::format("  {}\n", note));
}

}  // namespace

void add_convert_tokenizer(CLI::App& app) {
  auto* command =
      app.add_subcommand("convert-tokenizer", "Write a tokenizer as OpenVINO IR, for OpenVINO GenAI and its tokenizers extension");
  auto o = std::make_shared<Options>();
  TokenizerIrOptions& t = o->tokenizer;
  command->add_option("model", o->model.model, "directory with tokenizer.json or tokenizer.model, or GGUF file")->required();
  command->add_option("output", o->output, "directory for openvino_tokenizer.xml and openvino_detokenizer.xml; made where it is missing")
      ->required();
  command->add_flag("--no-detokenizer", o->no_detokenizer, "write the tokenizer only");
  command->add_flag("--not-add-special-tokens", o->not_add_special_tokens, "add no beginning- or end-of-text tokens by default");
  command->add_flag("--not-skip-special-tokens", o->not_skip_special_tokens, "keep special tokens in decoded text by default");
  command->add_flag("--left-padding", t.left_padding, "pad and truncate on the left (default: as tokenizer_config.json says)");
  command->add_option("--max-length", t.max_length, "cut texts to this many tokens")->check(CLI::Range(1, 1 << 30));
  command->add_option("--utf8-replace-mode", t.utf8_replace_mode, "what becomes of invalid UTF-8 in decoded text")
      ->check(CLI::IsMember({"replace", "ignore", "disable"}))
      ->capture_default_str();
  command->add_flag("--json", o->as_json, "print the result as JSON");
  command->footer(
      "\nExamples:\n  nibble convert-tokenizer ./TinyLlama ./TinyLlama-ov --left-padding\n"
      "  nibble convert-tokenizer model.gguf ./tokenizer-ov");
  command->callback([o] { run(*o); });
}

}  // namespace nibble::cli
