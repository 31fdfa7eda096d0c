#pragma once

#include "cli/command.hpp"
#include "nibble/generation_config.hpp"

namespace nibble::cli {

/// Every field of GenerationConfig as an option with its name in kebab case; what is given replaces the model's default.
class GenerationOptions {
 public:
  void add_to(CLI::App& command);
  /// `config` with the options of the command line applied.
  GenerationConfig apply(const GenerationConfig& config) const;

 private:
  json fields_ = json::object();
};

}  // namespace nibble::cli
