#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "calibrate/lockstep_calibration.hpp"
#include "device/device.hpp"
#include "graph/graph.hpp"
#include "ir/reader.hpp"
#include "tensor/convert.hpp"

namespace nibble::test {

using Samples = std::vector<std::vector<int64_t>>;
/// Inputs of layers by the layers' names, one per sample.
using LayerValues = std::map<std::string, std::vector<Tensor>>;

inline std::filesystem::path data_path(std::string_view name) {
  return std::string(NIBBLE_SOURCE_DIR) + "/tests/data/" + std::string(name);
}

inline bool is_constant(Value value) {
  while (!value.node->is("Constant")) {
    if (value.node->input_count() == 0 || value.node->is("ReadValue")) return false;
    value = value.node->input(0);
  }
  return true;
}

/// MatMul nodes with a weight on the right that read what depends on the tokens, in the order of execution.
inline std::vector<Node*> layers_of(const Graph& graph) {
  std::vector<Node*> layers;
  for (Node* node : graph.topological_order())
    if (node->is("MatMul") && is_constant(node->input(1)) && node->name().find("rotary") == std::string::npos) layers.push_back(node);
  return layers;
}

inline Samples random_samples(const std::vector<size_t>& lengths, int64_t vocabulary, unsigned seed = 1) {
  std::mt19937 random(seed);
  Samples samples;
  for (size_t length : lengths) {
    std::vector<int64_t> ids(length);
    for (int64_t& id : ids) id = static_cast<int64_t>(random() % static_cast<unsigned>(vocabulary));
    samples.push_back(std::move(ids));
  }
  return samples;
}

/// What layers read, from the calibration.
inline LayerValues calibrated(Graph& graph, const Samples& samples, const LockstepOptions& options, int threads = 2) {
  Context context({threads, {}});
  LockstepCalibration calibration(samples, context, nullptr, options);
  LayerValues values;
  calibration.run(graph, layers_of(graph), [&](Node& layer, const LayerInputs& inputs) {
    for (size_t i = 0; i < inputs.count(); ++i) values[layer.name()].push_back(inputs.sample(i).clone());
  });
  return values;
}

/// The inputs of a language model for one sequence from its beginning.
inline void set_prompt(const CompiledModel& model, InferRequest& request, const std::vector<int64_t>& ids) {
  auto length = static_cast<int64_t>(ids.size());
  std::vector<int64_t> ones(ids.size(), 1), positions(ids.size());
  for (size_t i = 0; i < ids.size(); ++i) positions[i] = static_cast<int64_t>(i);
  request.set_input("input_ids", Tensor::from<int64_t>({1, length}, ids));
  if (model.has_input("attention_mask")) request.set_input("attention_mask", Tensor::from<int64_t>({1, length}, ones));
  if (model.has_input("position_ids")) request.set_input("position_ids", Tensor::from<int64_t>({1, length}, positions));
  if (model.has_input("beam_idx")) request.set_input("beam_idx", Tensor::from<int32_t>({1}, std::vector<int32_t>{0}));
}

/// The same from the REFERENCE device, sample by sample.
inline LayerValues reference(Graph graph, const Samples& samples) {
  LayerValues values;
  std::vector<std::string> names;
  for (Node* layer : layers_of(graph)) {
    Node& result = graph.add("Result", {layer->input(0)}, {}, "input of " + layer->name());
    result.output_info().names = {result.name()};
    names.push_back(layer->name());
  }
  Context context({2, {}});
  auto model = find_device("REFERENCE").compile(std::move(graph), {}, context);
  for (const auto& ids : samples) {
    auto request = model->create_request();
    set_prompt(*model, *request, ids);
    request->infer();
    for (const auto& name : names) values[name].push_back(convert(request->output("input of " + name), ElementType::f32));
  }
  return values;
}

/// The largest difference relative to the largest magnitude.
inline double difference(const Tensor& a, const Tensor& b) {
  EXPECT_EQ(a.shape(), b.shape());
  if (a.shape() != b.shape()) return 1e9;
  double largest = 1e-20, off = 0;
  auto x = a.as<float>(), y = b.as<float>();
  for (size_t i = 0; i < x.size(); ++i) {
    largest = std::max(largest, static_cast<double>(std::abs(y[i])));
    off = std::max(off, static_cast<double>(std::abs(x[i] - y[i])));
  }
  return x.empty() ? 0 : off / largest;
}

/// Over all layers and samples.
inline double difference(const LayerValues& a, const LayerValues& b) {
  EXPECT_EQ(a.size(), b.size());
  double worst = 0;
  for (const auto& [layer, expected] : b) {
    EXPECT_TRUE(a.count(layer)) << layer;
    if (!a.count(layer)) return 1e9;
    for (size_t i = 0; i < expected.size(); ++i) worst = std::max(worst, difference(a.at(layer).at(i), expected[i]));
  }
  return worst;
}

}  // namespace nibble::test
