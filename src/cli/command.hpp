#pragma once

#include <CLI/CLI.hpp>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "nibble/chat.hpp"
#include "nibble/context.hpp"
#include "nibble/device.hpp"

// What the subcommands share. Each subcommand is one file with one function that adds it to the application; its work runs
// as the subcommand's callback and reports failure by throwing nibble::Error.
namespace nibble::cli {

using json = nlohmann::ordered_json;

/// The command line is wrong in a way that the parser cannot see: exit code 2.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

void add_export(CLI::App& app);
void add_compress(CLI::App& app);
void add_convert_tokenizer(CLI::App& app);
void add_generate(CLI::App& app);
void add_chat(CLI::App& app);
void add_logits(CLI::App& app);
void add_tokenize(CLI::App& app);  ///< and detokenize
void add_template(CLI::App& app);
void add_parse_response(CLI::App& app);
void add_inspect(CLI::App& app);
void add_eval(CLI::App& app);
void add_bench(CLI::App& app);
void add_devices(CLI::App& app);
void add_doctor(CLI::App& app);

/// Options of every command that loads a model.
struct ModelOptions {
  std::string model;
  std::string device;
  std::vector<std::string> properties;
  int threads = 0;
  bool progress = false;
  bool verbose = false;

  void add_to(CLI::App& command, bool with_device = true);
  /// NAME=VALUE pairs as a map; throws UsageError.
  Properties property_map() const;
  /// Logs warnings (everything with --verbose) to stderr.
  std::shared_ptr<Context> context() const;
};

/// One JSON document on stdout. Bytes that are not UTF-8 become U+FFFD.
void print_json(const json& document);
std::string dump_line(const json& document);
void print(std::string_view text);  ///< to stdout, unbuffered afterwards

/// "1,2,3" -> ids; throws UsageError.
std::vector<int64_t> parse_ids(const std::string& text);

/// A whole file; throws Error{not_found} that calls it `what` ("the prompt file").
std::string read_text_file(const std::string& path, std::string_view what);
/// The chat template of a model directory or a GGUF file, or in a file of its own; throws Error{not_found}.
ChatTemplate open_chat_template(const std::string& source);
/// Everything on standard input.
std::string read_stdin();
/// Calls `answer` for each non-empty line of standard input; gives the parsed line or throws what it wants reported for it.
void for_each_json_line(const std::function<void(const json& line)>& answer, const std::function<void(const std::string& error)>& report);

std::string human_bytes(double bytes);  ///< "1.7 MB"
/// Rows of cells as aligned columns, the first row as header; columns of numbers to the right.
std::string format_table(const std::vector<std::vector<std::string>>& rows);

}  // namespace nibble::cli
