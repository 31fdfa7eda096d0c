#include "export/blocks.hpp"

#include <cmath>

#include "base/fail.hpp"

namespace nibble {

Value rms_norm(GraphBuilder& b, Value x, Value weight, double epsilon) {
  size_t rank = x.shape().rank();
  Value square = b.binary("Power", x, b.f32(2.0f, rank), "aten::pow");
  Value mean = b.op("ReduceMean", {square, b.i64s({-1})}, {{"keep_dims", "true"}}, "aten::mean");
  Value root = b.op("Sqrt", {b.add(mean, b.f32(static_cast<float>(epsilon), rank))}, {}, "aten::rsqrt");
  Value inverse = b.binary("Divide", b.f32(1.0f, rank), root, "aten::rsqrt");
  return b.multiply(weight, b.multiply(x, inverse));
}

Value linear(GraphBuilder& b, ModelWeights& weights, Value x, const std::string& path, int64_t in, int64_t out, bool bias) {
  GraphBuilder::Module module(b, path);
  std::string name = path + ".weight";
  Value matrix = weights.matrix(name, {out, in}, "linear");
  std::string torch_name = weights.consumer_name(name, "linear");
  Value product = b.matmul(x, matrix, true, torch_name);
  return bias ? b.binary("Add", product, weights.vector(path + ".bias", out, 3), torch_name) : product;
}

namespace {

Value quick_gelu(GraphBuilder& b, Value x) {
  Value gate = b.op("Sigmoid", {b.multiply(x, b.f32(1.702f))}, {}, "aten::sigmoid");
  return b.multiply(x, gate);
}

Value relu_squared(GraphBuilder& b, Value x) { return b.binary("Power", b.op("Relu", {x}, {}, "aten::relu"), b.f32(2.0f), "aten::pow"); }

}  // namespace

Value activation(GraphBuilder& b, Value x, std::string_view name) {
  auto is = [&](auto... names) { return ((name == names) || ...); };
  if (is("silu", "swish")) return b.op("Swish", {x}, {}, "aten::silu");
  if (is("gelu", "gelu_python")) return b.op("Gelu", {x}, {{"approximation_mode", "ERF"}}, "aten::gelu");
  if (is("gelu_new", "gelu_fast", "gelu_pytorch_tanh", "gelu_python_tanh", "gelu_accurate"))
    return b.op("Gelu", {x}, {{"approximation_mode", "TANH"}}, "aten::gelu");
  if (is("relu")) return b.op("Relu", {x}, {}, "aten::relu");
  if (is("relu2")) return relu_squared(b, x);
  if (is("quick_gelu")) return quick_gelu(b, x);
  if (is("sigmoid")) return b.op("Sigmoid", {x}, {}, "aten::sigmoid");
  if (is("tanh")) return b.op("Tanh", {x}, {}, "aten::tanh");
  if (is("mish")) return b.op("Mish", {x}, {}, "aten::mish");
  if (is("linear")) return x;
  fail(ErrorKind::unsupported, "activation \"{}\" is not known", name);
}

Value gated_mlp(GraphBuilder& b, ModelWeights& weights, Value x, const std::string& path, const DecoderConfig& config) {
  Value gate = linear(b, weights, x, path + ".gate_proj", config.hidden, config.intermediate, config.mlp_bias);
  {
    GraphBuilder::Module module(b, path + ".act_fn");
    gate = activation(b, gate, config.activation);
  }
  Value up = linear(b, weights, x, path + ".up_proj", config.hidden, config.intermediate, config.mlp_bias);
  GraphBuilder::Module module(b, path);
  Value product = b.multiply(gate, up);
  return linear(b, weights, product, path + ".down_proj", config.intermediate, config.hidden, config.mlp_bias);
}

}  // namespace nibble
