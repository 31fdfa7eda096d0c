#include <fmt/format.h>

#include <csignal>
#include <cstdlib>
#include <iostream>
#include <new>

#include "cli/command.hpp"
#include "nibble/error.hpp"

namespace {

constexpr int kFailed = 1, kUsage = 2, kInterrupted = 130;

int report(const char* message, int code) {
  std::cerr << "nibble: error: " << message << "\n";
  return code;
}

void add_commands(CLI::App& app) {
  using namespace nibble::cli;
  add_export(app);
  add_compress(app);
  add_convert_tokenizer(app);
  add_generate(app);
  add_chat(app);
  add_logits(app);
  add_tokenize(app);
  add_template(app);
  add_parse_response(app);
  add_inspect(app);
  add_eval(app);
  add_bench(app);
  add_devices(app);
  add_doctor(app);
}

int run(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
    return 0;
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsage;
  } catch (const nibble::cli::UsageError& error) {
    return report(error.what(), kUsage);
  } catch (const nibble::Error& error) {
    return report(error.what(), error.kind() == nibble::ErrorKind::cancelled ? kInterrupted : kFailed);
  } catch (const std::bad_alloc&) {
    return report("out of memory", kFailed);
  } catch (const std::exception& error) {
    return report(error.what(), kFailed);
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  std::signal(SIGINT, [](int) { std::_Exit(kInterrupted); });  // until a command that has something to clean up catches it
#ifdef SIGXFSZ
  std::signal(SIGXFSZ, SIG_IGN);  // files beyond the limit are errors like a full disk
#endif
  CLI::App app("Exports, compresses and runs language models on the machine you have.", "nibble");
  app.set_version_flag("--version", NIBBLE_VERSION);
  app.require_subcommand(1);
  app.footer(
      "\nExamples:\n  nibble export ./Llama-3.2-1B-Instruct ./llama-int4 --weight-format int4\n  nibble chat ./llama-int4\n  nibble "
      "COMMAND --help");
  add_commands(app);
  return run(app, argc, argv);
}
