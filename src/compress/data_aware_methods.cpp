#include "compress/data_aware_methods.hpp"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "base/fail.hpp"
#include "compress/awq.hpp"
#include "compress/codebook_estimation.hpp"
#include "compress/gptq.hpp"
#include "compress/hessian.hpp"
#include "compress/scale_estimation.hpp"
#include "compress/scaled_weight.hpp"
#include "compress/stored_weight.hpp"
#include "tensor/convert.hpp"

namespace nibble {

namespace {

size_t rank_of(const WeightedLayer& layer) { return layer.constant->constant().shape().size(); }

/// f32 rows of a whole matrix.
std::vector<float> read_matrix(const WeightTask& task, const MatrixLayout& layout, size_t matrix, ThreadPool& threads) {
  std::vector<float> values(layout.rows * layout.columns);
  MatrixRows rows(task.weight, layout, matrix, 0, layout.rows);
  threads.parallel_for(layout.rows, kTileRows, [&](size_t begin, size_t end) {
    for (size_t row = begin; row < end; ++row) rows.read_row(row, 0, std::span(values).subspan(row * layout.columns, layout.columns));
  });
  if (size_t count = quantize_kernels().count_not_finite(values.data(), values.size()))
    fail(ErrorKind::corrupt,
         "weight '{}' has {} values that are infinite or not a number: the checkpoint is damaged or its training diverged", task.name,
         count);
  return values;
}

/// Puts a quantized matrix among the codes and scales of its weight. Values are rounded to the weight's own type first, as they would be
/// if they were written back.
void store_matrix(const GptqMatrix& quantized, const WeightTask& task, const MatrixLayout& layout, size_t matrix,
                  std::vector<uint8_t>& codes, GroupScales& given, ThreadPool& threads) {
  size_t groups = layout.columns / task.rule.group_size;
  bool asymmetric = weight_format(task.rule.mode).family == QuantizerFamily::asymmetric;
  ElementType type = task.weight.type();
  threads.parallel_for(layout.rows, kTileRows, [&](size_t begin, size_t end) {
    std::vector<float> values(layout.columns);
    std::vector<std::byte> packed(packed_bytes(type, layout.columns));
    std::vector<uint8_t> row_codes(layout.columns), zero_points(asymmetric ? groups : 0);
    for (size_t row = begin; row < end; ++row) {
      pack_from_float(type, std::span(quantized.values).subspan(row * layout.columns, layout.columns), packed.data(), 0);
      unpack_to_float(type, packed.data(), 0, values);
      auto scales = std::span(quantized.scales).subspan(row * groups, groups);
      for (size_t g = 0; g < zero_points.size(); ++g) zero_points[g] = static_cast<uint8_t>(quantized.zero_points[row * groups + g]);
      encode_groups(values, task.rule, scales, zero_points, row_codes);
      for (size_t c = 0; c < layout.columns; ++c) codes[layout.element(matrix, row, c)] = row_codes[c];
      for (size_t g = 0; g < groups; ++g) {
        size_t at = layout.group(matrix, row, g, groups);
        given.scales[at] = scales[g];
        if (asymmetric) given.zero_points[at] = zero_points[g];
      }
    }
  });
}

}  // namespace

bool reads_tokens(const WeightedLayer& layer) { return layer.port == 1 && !layer.layer->attributes().get_bool("transpose_a", false); }

bool is_stacked(const WeightedLayer& layer) {
  const PartialShape& x = layer.layer->input(1 - std::min<size_t>(layer.port, 1)).shape();
  return rank_of(layer) == 3 && x.rank_is_known() && x.rank() == 3;
}

void DataAwareMethods::check() const {
  if (!plan_.gptq && !plan_.lora_correction) return;
  std::string_view method = plan_.gptq ? "gptq" : "lora_correction";
  for (const WeightWork& work : works_) {
    if (!work.task || !work.layout) continue;
    const WeightedLayer& layer = work.weight.layer;
    if (!reads_tokens(layer))
      fail(ErrorKind::unsupported, "{} cannot take layer '{}', whose input is transposed: put it into the ignored scope", method,
           layer.layer->name());
    if (plan_.lora_correction && work.layout->matrices > 1)
      fail(ErrorKind::unsupported, "lora_correction cannot take layer '{}' with its {} matrices: put it into the ignored scope",
           layer.layer->name(), work.layout->matrices);
    if (plan_.gptq && work.layout->matrices > 1 && !is_stacked(layer))
      fail(ErrorKind::unsupported, "gptq cannot take layer '{}', whose {} matrices read one input: put it into the ignored scope",
           layer.layer->name(), work.layout->matrices);
  }
}

void DataAwareMethods::apply_awq(std::span<const AwqTarget> targets, StatisticsByLayer& statistics) {
  LayerProgress stage(progress_, plan_.awq_takes_data() ? "Scaling columns by their activity" : "Scaling columns", targets.size());
  for (const AwqTarget& target : targets) {
    scale_weight(target, statistics);
    stage.advance();
  }
}

void DataAwareMethods::scale_weight(const AwqTarget& target, StatisticsByLayer& statistics) {
  ThreadPool& threads = context_.threads();
  WeightWork& work = works_[target.weight];
  const WeightedLayer& layer = work.weight.layer;
  const ConstantValue weight = layer.constant->constant();
  std::vector<float> scales;
  if (plan_.awq_takes_data()) {
    std::optional<PreviousLayer> previous;
    if (target.previous) {
      previous.emplace();
      previous->row_means = row_magnitudes(target.previous->constant->constant(), target.previous_layout, threads);
      previous->columns = target.previous_layout.columns;
      const ActivationStatistics& means = *statistics.at(target.previous->layer).means;
      for (size_t m = 0; m < means.matrices(); ++m)
        for (float value : means.largest(m)) previous->largest_input = std::max(previous->largest_input, value);
    }
    scales = awq_scales(weight, target.layout, work.task->rule, *statistics.at(layer.layer).means, plan_.advanced.awq_params,
                        previous ? &*previous : nullptr, target.shared, threads);
  } else {
    scales = data_free_awq_scales(weight, target.layout, target.shared, threads);
  }
  std::vector<float> divisors(scales.size());
  std::transform(scales.begin(), scales.end(), divisors.begin(), [](float scale) { return 1.0f / scale; });
  if (auto found = statistics.find(layer.layer); found != statistics.end() && found->second.means) {
    found->second.means = std::make_shared<ActivationStatistics>(*found->second.means);
    found->second.means->scale(divisors);
  }
  divide_input(target, divisors);
  if (target.shared) {
    scales.reserve(scales.size() * target.layout.matrices);
    for (size_t m = 1; m < target.layout.matrices; ++m)
      scales.insert(scales.end(), scales.begin(), scales.begin() + static_cast<std::ptrdiff_t>(target.layout.columns));
  }
  edits_.set_constant(*layer.constant, {std::make_shared<ScaledWeight>(weight, target.layout, ScaledWeight::Axis::columns, scales), 0});
}

void DataAwareMethods::divide_input(const AwqTarget& target, const std::vector<float>& divisors) {
  if (target.previous) {
    Node& constant = *target.previous->constant;
    std::vector<float> factors;
    for (size_t m = 0; m < target.previous_layout.matrices; ++m) {
      auto first = divisors.begin() + static_cast<std::ptrdiff_t>(target.shared ? 0 : m * target.layout.columns);
      factors.insert(factors.end(), first, first + static_cast<std::ptrdiff_t>(target.layout.columns));
    }
    auto scaled = std::make_shared<ScaledWeight>(constant.constant(), target.previous_layout, ScaledWeight::Axis::rows, std::move(factors));
    return edits_.set_constant(constant, {scaled, 0});
  }
  Value x = target.reader->input(target.input);
  Shape shape(x.shape().rank(), 1);
  shape.back() = static_cast<int64_t>(target.layout.columns);
  if (divisors.size() > target.layout.columns) shape.front() = static_cast<int64_t>(target.layout.matrices);
  Tensor factors = convert(Tensor::from<float>(shape, divisors), x.type());
  std::string name = x.node->name() + "/awq_mul";
  Node& constant = graph_.add_constant(factors, name + "/scale");
  Node& multiply = graph_.add("Multiply", {x, constant.output()}, {{"auto_broadcast", "numpy"}}, name, "opset1");
  edits_.set_input(*target.reader, target.input, multiply.output());
}

void DataAwareMethods::estimate(StatisticsByLayer& statistics, const Tensor& first_codebook) {
  LayerProgress stage(progress_, "Estimating from activations", works_.size());
  for (WeightWork& work : works_) {
    auto found = statistics.find(work.weight.layer.layer);
    if (work.task && work.layout && reads_tokens(work.weight.layer) && found != statistics.end() && found->second.means)
      estimate_layer(work, *found->second.means, first_codebook);
    if (found != statistics.end()) statistics.erase(found);
    stage.advance();
  }
}

void DataAwareMethods::estimate_layer(WeightWork& work, const ActivationStatistics& inputs, const Tensor& first_codebook) {
  ThreadPool& threads = context_.threads();
  WeightTask& task = *work.task;
  if (inputs.columns() != work.layout->columns)
    fail(ErrorKind::corrupt, "the calibration gave layer '{}' inputs of {} columns, its weight has {}", work.weight.layer.layer->name(),
         inputs.columns(), work.layout->columns);
  if (task.rule.mode == CompressWeightsMode::adaptive_codebook) {
    task.codebook = estimate_codebook(task.weight, *work.layout, task.rule.group_size, first_codebook, inputs,
                                      plan_.advanced.adaptive_codebook_params, threads);
    task.levels = std::make_shared<const LevelTable>(level_table(to_floats(task.codebook)));
    task.rule.levels = task.levels.get();
  }
  if (plan_.scale_estimation && !plan_.gptq)
    task.given = std::make_shared<const GroupScales>(
        estimate_scales(task.weight, *work.layout, task.rule, inputs, plan_.advanced.scale_estimation_params, threads));
  if (plan_.lora_correction)
    work.adapters = lora_adapters(task.weight, *work.layout, task.rule, task.given.get(), inputs, work.weight.config->group_size != -1,
                                  plan_.advanced.lora_correction_params, threads);
}

void DataAwareMethods::run_gptq(Calibration& calibration) {
  std::unordered_map<const Node*, WeightWork*> by_layer;
  std::vector<Node*> layers;
  for (WeightWork& work : works_)
    if (work.task && work.layout) {
      by_layer.emplace(work.weight.layer.layer, &work);
      layers.push_back(work.weight.layer.layer);
    }
  LayerProgress stage(progress_, "Quantizing layers by GPTQ", layers.size());
  calibration.run(graph_, layers, [&](Node& layer, const LayerInputs& inputs) {
    quantize(*by_layer.at(&layer), inputs);
    stage.advance();
  });
  for (const Node* layer : layers)
    if (!by_layer.at(layer)->task->stored_codes)
      fail(ErrorKind::invalid_argument, "the calibration did not reach layer '{}'", layer->name());
}

void DataAwareMethods::quantize(WeightWork& work, const LayerInputs& inputs) {
  ThreadPool& threads = context_.threads();
  WeightTask& task = *work.task;
  const MatrixLayout& layout = *work.layout;
  const std::string& name = work.weight.layer.layer->name();
  bool stacked = is_stacked(work.weight.layer), asymmetric = weight_format(task.rule.mode).family == QuantizerFamily::asymmetric;
  auto limit = static_cast<size_t>(plan_.advanced.gptq_params.subset_size);
  std::unique_ptr<ActivationStatistics> means;
  if (plan_.scale_estimation) means = collect_means(inputs, limit, stacked, name, threads);
  auto given = std::make_shared<GroupScales>();
  given->scales.resize(task.layout.group_count());
  if (asymmetric) given->zero_points.resize(task.layout.group_count());
  std::vector<uint8_t> codes(task.layout.size());
  for (size_t m = 0; m < layout.matrices; ++m) {
    std::vector<float> hessian = input_hessian(inputs, limit, layout.columns, stacked, m, name, threads);
    GptqMatrix quantized = gptq(read_matrix(task, layout, m, threads), layout.rows, std::move(hessian), task.rule,
                                plan_.advanced.gptq_params, means.get(), m, name, threads);
    store_matrix(quantized, task, layout, m, codes, *given, threads);
  }
  task.given = std::move(given);
  Tensor packed(code_type(task), task.layout.codes);
  pack_codes(packed.type(), codes, packed.mutable_data(), 0);
  task.stored_codes = packed;
  edits_.set_constant(*work.weight.layer.constant, {std::make_shared<DequantizedWeight>(work.task), 0});
}

}  // namespace nibble
