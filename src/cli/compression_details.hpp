#pragma once

#include "cli/command.hpp"
#include "nibble/compress.hpp"

namespace nibble::cli {

/// Adds "rows", "memory", "search" and "evaluation" to a report.
void add_details(json& document, const CompressionDetails& details);

/// Tables of what the weights take, how precisions were chosen, what memory is needed and what the text says.
void print_details(const CompressionDetails& details);

json perplexity_json(const Perplexity& perplexity);

}  // namespace nibble::cli
