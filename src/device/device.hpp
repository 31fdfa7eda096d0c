#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.hpp"
#include "nibble/context.hpp"
#include "nibble/device.hpp"
#include "nibble/tensor.hpp"

namespace nibble {

class ModelRunner;

struct PortInfo {
  std::string name;
  ElementType type;
  PartialShape shape;
};

/// An operation of a device's plan.
struct PlanStep {
  std::string kind;    ///< "Linear", "PagedAttention", ...
  std::string detail;  ///< shapes, types, kernel
  std::string node;    ///< of the graph
  bool unfused = false;
};

/// What numbers most weights are multiplied as. int4: 4-bit weights with 8-bit activations.
enum class Arithmetic { f32, bf16, int8, int4 };

/// How a device runs a model.
struct PlanReport {
  std::vector<PlanStep> steps;
  std::string isa;  ///< of the kernels: "avx2", ...; empty where there is no plan
  Arithmetic arithmetic = Arithmetic::f32;
  std::string obstacle;  ///< why the model runs op by op, if it does
  std::string weights;   ///< where the packed weights came from
  size_t weight_bytes = 0;
};

/// One run of a model at a time, with its own state (KV cache). Not thread-safe; different requests may run concurrently.
class InferRequest {
 public:
  virtual ~InferRequest() = default;
  /// Throws Error{not_found} for an unknown input, Error{invalid_argument} where type or shape do not fit.
  virtual void set_input(std::string_view name, Tensor tensor) = 0;
  /// Runs once: outputs are there and the states advanced, or an Error is thrown and the states are as before.
  virtual void infer() = 0;
  virtual Tensor output(std::string_view name) const = 0;
  /// Makes the next run start from the states' initial values.
  virtual void reset_state() = 0;
};

/// A model made ready for a device. Immutable, thread-safe.
class CompiledModel {
 public:
  virtual ~CompiledModel() = default;
  virtual std::string_view device_name() const = 0;
  virtual const std::vector<PortInfo>& inputs() const = 0;
  virtual const std::vector<PortInfo>& outputs() const = 0;
  virtual std::unique_ptr<InferRequest> create_request() const = 0;
  /// A runner of batches of sequences, where the device has one for this model; else nullptr.
  virtual std::unique_ptr<ModelRunner> create_runner() const;
  /// What runs, in order, where the device plans ahead; else nullopt.
  virtual std::optional<PlanReport> plan() const { return std::nullopt; }
  bool has_input(std::string_view name) const;
};

/// Something that runs graphs. Immutable, thread-safe.
class Device {
 public:
  virtual ~Device() = default;
  virtual std::string_view name() const = 0;
  virtual std::string_view description() const = 0;
  /// Takes the graph over. Throws Error{unsupported} naming the node that it cannot run, Error{invalid_argument} for a
  /// property that it does not know. `context` must outlive the result.
  virtual std::unique_ptr<CompiledModel> compile(Graph graph, const Properties& properties, Context& context) const = 0;
};

std::span<const Device* const> devices();
/// Throws Error{not_found} naming the devices there are; an empty name gives the default one.
const Device& find_device(std::string_view name);

}  // namespace nibble
