#pragma once

#include <CLI/CLI.hpp>
#include <map>
#include <string>

#include "nibble/compress.hpp"

namespace nibble::cli {

/// The options of export and compress that say how weights are stored. `without` says in the help what happens without a format.
void add_weight_options(CLI::App& command, WeightOptions& options, const std::string& without);

/// "14 int4_asym, 2 int8_asym".
std::string list_layers(const std::map<std::string, uint64_t>& layers);

}  // namespace nibble::cli
