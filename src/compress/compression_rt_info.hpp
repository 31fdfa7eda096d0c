#pragma once

#include "compress/compression_options.hpp"
#include "graph/graph.hpp"

namespace nibble {

/// The <nncf> element that NNCF 3.4 leaves in a model's rt_info: tools read from it how a model was compressed.
void write_compression_rt_info(RtInfo& model, const WeightCompression& options, const CompressionPlan& plan);

}  // namespace nibble
