#pragma once

#include "export/exporter.hpp"

namespace nibble {

/// What an export adds to its directory: the tokenizer that lies there as OpenVINO IR, padded on the left as generation needs it. Where
/// that cannot be, a warning and a note say why. Empty when the options want none.
FurtherFiles tokenizer_writer(const ExportOptions& options, Context& context);

}  // namespace nibble
