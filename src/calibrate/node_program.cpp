#include "calibrate/node_program.hpp"

#include <algorithm>
#include <unordered_map>

#include "base/fail.hpp"
#include "calibrate/constant_chain.hpp"
#include "calibrate/fused_norms.hpp"
#include "calibrate/kernel_ops.hpp"
#include "calibrate/value_hash.hpp"
#include "device/cpu/gather_rows.hpp"
#include "device/cpu/kernels/row_ops.hpp"
#include "graph/op_set.hpp"
#include "tensor/convert.hpp"

namespace nibble {

namespace {

/// Rows of a constant table [rows, columns] that would have to be decompressed, by indices that are not constant.
bool is_lookup(const Node& node, ConstantReader& constants) {
  if (!node.is("Gather") || node.input_count() != 3 || node.attributes().get_int("batch_dims", 0) != 0) return false;
  if (!constants.is_constant(node.input(0)) || constants.is_constant(node.input(1)) || !constants.is_constant(node.input(2))) return false;
  const PartialShape& table = node.input(0).shape();
  if (!table.rank_is_known() || table.rank() != 2 || !table.is_static() || element_count(table.dims()) == 0) return false;
  if (!is_float(node.output_info().type) || node.input(0).node->is("Constant")) return false;
  return to_int64s(constants.read(node.input(2))) == std::vector<int64_t>{0};
}

}  // namespace

class NodeProgram::Evaluate : public Step {
 public:
  explicit Evaluate(const Node& evaluated) : kernel_(find_kernel_op(evaluated)) {}

  std::vector<Tensor> run(std::span<const Tensor> values, ThreadPool& threads) const override {
    std::vector<Tensor> outputs(node->output_count());
    EvalContext context{*node, values, outputs, threads};
    if (!kernel_ || !kernel_(context)) node->op().evaluate(context);
    return outputs;
  }

 private:
  KernelOp kernel_;
};

/// Rows of a table that stays as the model holds it.
class NodeProgram::LookUp : public Step {
 public:
  LookUp(const Node& gather, ThreadPool& threads) : table_(matrix_of(gather, threads)) {}

  std::vector<Tensor> run(std::span<const Tensor> values, ThreadPool&) const override {
    std::vector<int64_t> rows = to_int64s(values[0]);
    Shape shape = values[0].shape();
    shape.push_back(static_cast<int64_t>(table_.columns()));
    Tensor out = Tensor::uninitialized(ElementType::f32, shape);
    float* to = out.as_mutable<float>().data();
    for (size_t i = 0; i < rows.size(); ++i) table_.lookup(rows[i], to + i * table_.columns());
    return {convert(out, node->output_info().type)};
  }

 private:
  static cpu::WeightMatrix matrix_of(const Node& gather, ThreadPool& threads) {
    auto matrix = ConstantChain(gather, 0, threads).matrix();
    if (!matrix) fail(ErrorKind::unsupported, "{}: a table of this kind cannot be looked up", describe(gather));
    return *matrix;
  }

  cpu::Embedding table_;
};

/// A norm, in the place of the nodes that compute it one after the other.
class NodeProgram::Norm : public Step {
 public:
  Norm(const cpu::NormMatch& match, cpu::ConstantValues& constants)
      : ops_(cpu::row_ops(cpu::selected_isa())), is_layer_norm_(match.is_layer_norm), epsilon_(match.epsilon) {
    auto width = static_cast<size_t>(match.x.shape().dims().back());
    auto vector = [&](Value value) {
      std::vector<float> values = value ? constants.floats(value) : std::vector<float>();
      if (values.size() == 1) values.resize(width, values[0]);
      return values;
    };
    weight_ = vector(match.weight);
    bias_ = vector(match.bias);
  }

  std::vector<Tensor> run(std::span<const Tensor> values, ThreadPool&) const override {
    const Tensor& x = values[0];
    Tensor out = Tensor::uninitialized(ElementType::f32, x.shape());
    auto width = static_cast<size_t>(x.shape().back());
    const float *from = x.as<float>().data(), *weight = weight_.empty() ? nullptr : weight_.data();
    float* to = out.as_mutable<float>().data();
    for (size_t at = 0; at < x.size(); at += width) {
      if (is_layer_norm_)
        ops_.layer_norm(from + at, weight, bias_.empty() ? nullptr : bias_.data(), epsilon_, width, to + at);
      else
        ops_.rms_norm(from + at, weight, epsilon_, width, to + at);
    }
    return {out};
  }

 private:
  const cpu::RowOps& ops_;
  bool is_layer_norm_;
  float epsilon_;
  std::vector<float> weight_, bias_;
};

/// A state before its first run: its initial value, or an empty one for a batch of one.
class NodeProgram::ReadState : public Step {
 public:
  std::vector<Tensor> run(std::span<const Tensor> values, ThreadPool&) const override {
    if (!values.empty()) return {values[0]};
    Shape shape = node->output_info().shape.dims();
    for (size_t i = 0; i < shape.size(); ++i)
      if (shape[i] < 0) shape[i] = i == 0 ? 1 : 0;
    return {Tensor(node->output_info().type, shape)};
  }
};

class NodeProgram::Builder {
 public:
  Builder(NodeProgram& program, ConstantReader& constants) : program_(program), constants_(constants) {}

  void add(std::span<Node* const> nodes, std::span<const Value> results) {
    cpu::ConstantValues* constants = constants_.graph_constants();
    FusedNorms norms = constants ? find_norms(nodes, results, *constants) : FusedNorms();
    for (Node* node : nodes) {
      auto norm = norms.results.find(node);
      if (norm != norms.results.end())
        add(*node, norm->second);
      else if (!norms.inner.count(node))
        add(*node);
    }
  }

  void finish(std::span<const Value> results) {
    for (Value result : results) program_.result_slots_.push_back(slot(result));
    find_last_uses();
    program_.steps_.assign(steps_.begin(), steps_.end());
  }

 private:
  void add(Node& node, const cpu::NormMatch& norm) {
    auto step = std::make_shared<Norm>(norm, *constants_.graph_constants());
    step->node = &node;
    step->inputs.push_back(slot(norm.x));
    step->first_output = new_slots(node);
    steps_.push_back(std::move(step));
  }

  void add(Node& node) {
    bool looks_up = is_lookup(node, constants_);
    std::shared_ptr<Step> step = looks_up ? std::make_shared<LookUp>(node, serial_) : plain_step(node);
    step->node = &node;
    for (size_t i = looks_up ? 1 : 0; i < (looks_up ? 2 : node.input_count()); ++i) step->inputs.push_back(slot(node.input(i)));
    step->first_output = new_slots(node);
    steps_.push_back(std::move(step));
  }

  static std::shared_ptr<Step> plain_step(const Node& node) {
    if (node.is("ReadValue")) return std::make_shared<ReadState>();
    if (!node.op().evaluate) fail(ErrorKind::unsupported, "{}: calibration cannot run this operation", describe(node));
    return std::make_shared<Evaluate>(node);
  }

  /// Its outputs, one after the other.
  size_t new_slots(Node& node) {
    size_t first = program_.constants_.size();
    for (size_t i = 0; i < node.output_count(); ++i) slots_[{&node, i}] = first + i;
    program_.constants_.resize(first + node.output_count());
    return first;
  }

  size_t slot(Value value) {
    auto [known, is_new] = slots_.try_emplace(value, program_.constants_.size());
    if (!is_new) return known->second;
    bool is_constant = constants_.is_constant(value);
    program_.constants_.push_back(is_constant ? constants_.read(value) : Tensor());
    if (!is_constant) {
      program_.inputs_.push_back(value);
      program_.input_slots_.push_back(known->second);
    }
    return known->second;
  }

  void find_last_uses() {
    std::vector<bool> kept(program_.constants_.size(), false);
    for (size_t s : program_.result_slots_) kept[s] = true;
    for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) {
      auto expire = [&](size_t s) {
        if (!kept[s] && !program_.constants_[s]) (*step)->expired.push_back(s);
        kept[s] = true;
      };
      for (size_t s : (*step)->inputs) expire(s);
      for (size_t i = 0; i < (*step)->node->output_count(); ++i) expire((*step)->first_output + i);
    }
  }

  NodeProgram& program_;
  ConstantReader& constants_;
  ThreadPool serial_{1};
  std::vector<std::shared_ptr<Step>> steps_;
  std::unordered_map<Value, size_t, ValueHash> slots_;
};

NodeProgram::NodeProgram(std::span<Node* const> nodes, std::span<const Value> results, ConstantReader& constants) {
  Builder builder(*this, constants);
  builder.add(nodes, results);
  builder.finish(results);
}

std::vector<Tensor> NodeProgram::run(std::span<const Tensor> inputs, ThreadPool& threads) const {
  std::vector<Tensor> values = constants_, results;
  for (size_t i = 0; i < inputs.size(); ++i) values[input_slots_[i]] = inputs[i];
  for (const auto& step : steps_) {
    std::vector<Tensor> read;
    for (size_t slot : step->inputs) read.push_back(values[slot]);
    try {
      std::vector<Tensor> made = step->run(read, threads);
      for (size_t i = 0; i < made.size(); ++i) values[step->first_output + i] = std::move(made[i]);
    } catch (const Error& error) {
      fail(error.kind(), "{}: {}", describe(*step->node), error.what());
    }
    for (size_t slot : step->expired) values[slot] = {};
  }
  for (size_t slot : result_slots_) results.push_back(values[slot]);
  return results;
}

}  // namespace nibble
