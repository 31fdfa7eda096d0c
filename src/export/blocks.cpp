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
  Value scaled = b.multiply(x, inverse);
  return weight ? b.multiply(weight, scaled) : scaled;
}

Value layer_norm(GraphBuilder& b, Value x, Value weight, Value bias, double epsilon) {
  Attributes attributes{{"eps", fmt::format("{}", epsilon)}, {"normalize_variance", "true"}, {"eps_mode", "inside_sqrt"}};
  Value result = b.op("MVN", {x, b.i64s({-1})}, std::move(attributes), "aten::layer_norm", "opset6");
  if (weight) result = b.binary("Multiply", result, weight, "aten::layer_norm");
  return bias ? b.binary("Add", result, bias, "aten::layer_norm") : result;
}

Value normalized(GraphBuilder& b, ModelWeights& weights, Value x, const std::string& path, const NormConfig& config, int64_t size,
                 const Shape& shape) {
  GraphBuilder::Module module(b, path);
  Shape aligned = shape.empty() ? Shape{size} : shape;  // [heads, D] for x [B,S,heads,D]
  aligned.insert(aligned.begin(), x.shape().rank() - aligned.size(), 1);
  auto vector = [&](std::string_view what, float plus) { return weights.vector(fmt::format("{}.{}", path, what), aligned, plus); };
  Value weight = config.has_weight ? vector("weight", config.plus_one ? 1.0f : 0.0f) : Value{};
  if (config.kind == NormKind::rms) return rms_norm(b, x, weight, config.epsilon);
  return layer_norm(b, x, weight, config.has_bias ? vector("bias", 0) : Value{}, config.epsilon);
}

Value linear(GraphBuilder& b, ModelWeights& weights, Value x, const std::string& path, int64_t in, int64_t out, bool bias) {
  GraphBuilder::Module module(b, path);
  std::string name = path + ".weight";
  LinearWeight weight = weights.linear_weight(name, {out, in});
  std::string torch_name = weights.consumer_name(name, "linear");
  Value product = b.matmul(weight.order ? weights.in_order(x, weight.order) : x, weight.matrix, true, torch_name);
  return bias ? b.binary("Add", product, weights.vector(path + ".bias", out, x.shape().rank()), torch_name) : product;
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

Value mlp(GraphBuilder& b, ModelWeights& weights, Value x, const std::string& path, int64_t hidden, const MlpConfig& config) {
  auto project = [&](Value v, std::string_view what, int64_t in, int64_t out) {
    return linear(b, weights, v, fmt::format("{}.{}_proj", path, what), in, out, config.has_bias);
  };
  auto activated = [&](Value v) {
    GraphBuilder::Module module(b, path + ".act_fn");
    return activation(b, v, config.activation);
  };
  if (!config.is_gated) return project(activated(project(x, "up", hidden, config.intermediate)), "down", config.intermediate, hidden);
  Value gate = activated(project(x, "gate", hidden, config.intermediate));
  Value up = project(x, "up", hidden, config.intermediate);
  GraphBuilder::Module module(b, path);
  return project(b.multiply(gate, up), "down", config.intermediate, hidden);
}

}  // namespace nibble
