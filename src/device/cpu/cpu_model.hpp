#pragma once

#include <memory>
#include <string>

#include "device/cpu/lowering.hpp"
#include "device/device.hpp"
#include "device/model_runner.hpp"

namespace nibble::cpu {

/// A language model ready to run: what its runners share. Immutable.
struct PagedModel {
  std::unique_ptr<LoweredModel> lowered;
  std::shared_ptr<ThreadPool> own_threads;  ///< where a property asked for other threads than the context's
  ThreadPool* threads = nullptr;
  std::vector<PortInfo> inputs, outputs;  ///< of the graph as it was given
};

/// Runs batches of spans over a paged cache of keys and values.
std::unique_ptr<ModelRunner> make_paged_runner(std::shared_ptr<const PagedModel> model);

/// The same model as a request with padded rows: tokens whose mask is 0 are left out and get logits of 0.
std::unique_ptr<InferRequest> make_paged_request(std::shared_ptr<const PagedModel> model);

}  // namespace nibble::cpu
