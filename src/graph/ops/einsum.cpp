#include <algorithm>
#include <cctype>
#include <map>

#include "graph/ops/compute.hpp"
#include "graph/ops/dimensions.hpp"
#include "graph/ops/elements.hpp"
#include "graph/ops/tables.hpp"

namespace nibble {

namespace {

/// A letter of the equation, or kEllipsis + n for the dimension that is n-th from the end of those "..." stands for.
using Label = int;
constexpr Label kEllipsis = 256;
using Term = std::vector<Label>;

struct Equation {
  std::vector<std::string> inputs;
  std::string output;
};

[[noreturn]] void fail_equation(const std::string& text) { fail(ErrorKind::corrupt, "equation=\"{}\" is not an Einsum equation", text); }

/// The output when the equation names none: "..." and the letters that occur once, in order.
std::string implicit_output(const std::vector<std::string>& inputs) {
  std::map<char, int> counts;
  std::string output;
  for (const auto& term : inputs)
    for (char c : term) ++counts[c];
  if (counts.count('.')) output = "...";
  for (auto [letter, count] : counts)
    if (letter != '.' && count == 1) output += letter;
  return output;
}

Equation parse_equation(const Node& node) {
  std::string text = node.attributes().get_string("equation");
  std::erase(text, ' ');
  size_t arrow = text.find("->");
  Equation equation;
  std::string inputs = text.substr(0, arrow);
  for (size_t start = 0; start <= inputs.size();) {
    size_t comma = std::min(inputs.find(',', start), inputs.size());
    equation.inputs.push_back(inputs.substr(start, comma - start));
    start = comma + 1;
  }
  if (equation.inputs.size() != node.input_count()) fail_equation(text);
  equation.output = arrow == std::string::npos ? implicit_output(equation.inputs) : text.substr(arrow + 2);
  return equation;
}

/// The labels of a term; `covered` is the number of dimensions its "..." stands for.
Term expand(const std::string& term, size_t covered) {
  Term labels;
  for (size_t i = 0; i < term.size(); ++i) {
    if (std::isalpha(static_cast<unsigned char>(term[i]))) {
      labels.push_back(term[i]);
    } else if (term.compare(i, 3, "...") == 0 && std::find(labels.begin(), labels.end(), kEllipsis) == labels.end()) {
      for (size_t n = covered; n-- > 0;) labels.push_back(kEllipsis + static_cast<Label>(n));
      i += 2;
    } else {
      fail_equation(term);
    }
  }
  return labels;
}

/// The equation applied to shapes: each input's labels, the output's, and the dimension of every label.
struct Contraction {
  std::vector<Term> inputs;
  Term output;
  std::map<Label, int64_t> dims;
  Contraction(const Equation& equation, const std::vector<PartialShape>& shapes);
  PartialShape shape_of(const Term& term) const;

 private:
  void meet(Label label, int64_t dim);
};

size_t letters(const std::string& term) { return term.size() - static_cast<size_t>(std::count(term.begin(), term.end(), '.')); }

Contraction::Contraction(const Equation& equation, const std::vector<PartialShape>& shapes) {
  size_t most_covered = 0;
  for (size_t i = 0; i < shapes.size(); ++i) {
    const std::string& term = equation.inputs[i];
    size_t rank = shapes[i].rank(), named = letters(term);
    size_t covered = named < rank && term.find("...") != std::string::npos ? rank - named : 0;
    inputs.push_back(expand(term, covered));
    if (inputs[i].size() != rank) fail(ErrorKind::corrupt, "Einsum term '{}' does not fit an input of rank {}", term, rank);
    for (size_t d = 0; d < rank; ++d) meet(inputs[i][d], shapes[i][d]);
    most_covered = std::max(most_covered, covered);
  }
  output = expand(equation.output, most_covered);
  for (Label label : output)
    if (!dims.count(label) || std::count(output.begin(), output.end(), label) > 1) fail_equation(equation.output);
}

/// Dimensions of one label agree or are 1.
void Contraction::meet(Label label, int64_t dim) {
  auto [found, fresh] = dims.emplace(label, dim);
  if (fresh || found->second == dim || dim == 1) return;
  if (found->second != 1 && found->second >= 0 && dim >= 0)
    fail(ErrorKind::corrupt, "Einsum: one label stands for dimensions {} and {}", found->second, dim);
  found->second = std::max(found->second, dim);
}

PartialShape Contraction::shape_of(const Term& term) const {
  Shape shape;
  for (Label label : term) shape.push_back(dims.at(label));
  return shape;
}

void infer_einsum(Node& node) {
  Equation equation = parse_equation(node);
  ElementType type = ElementType::dynamic;
  std::vector<PartialShape> shapes;
  for (Value input : node.inputs()) {
    type = merge_types(type, input.type());
    if (input.shape().rank_is_known()) shapes.push_back(input.shape());
  }
  bool all_known = shapes.size() == node.input_count();
  set_output(node, 0, type, PartialShape{});
  if (!all_known) return;
  Contraction contraction(equation, shapes);
  node.output_info().shape = contraction.shape_of(contraction.output);
}

/// How far an input moves when a label advances by one; a repeated label walks a diagonal.
std::vector<size_t> label_strides(const Term& order, const Term& term, const Shape& shape) {
  std::vector<size_t> dense = dense_strides(shape), strides(order.size(), 0);
  for (size_t i = 0; i < order.size(); ++i)
    for (size_t d = 0; d < term.size(); ++d)
      if (term[d] == order[i] && shape[d] != 1) strides[i] += dense[d];
  return strides;
}

size_t offset_at(const Odometer& at, const std::vector<size_t>& strides) {
  size_t offset = 0;
  for (size_t i = 0; i < strides.size(); ++i) offset += static_cast<size_t>(at[i]) * strides[i];
  return offset;
}

/// Adds up the products of all inputs over every index: output labels come first in the order, summed ones after.
template <class C>
void contract(const Contraction& contraction, const std::vector<Tensor>& inputs, C* out) {
  Term order = contraction.output;
  for (const auto& [label, dim] : contraction.dims)
    if (std::find(order.begin(), order.end(), label) == order.end()) order.push_back(label);
  Shape all = contraction.shape_of(order).dims();
  if (element_count(all) == 0) return;
  size_t group = 1;
  for (size_t i = contraction.output.size(); i < all.size(); ++i) group *= static_cast<size_t>(all[i]);
  std::vector<std::vector<size_t>> strides;
  for (size_t i = 0; i < inputs.size(); ++i) strides.push_back(label_strides(order, contraction.inputs[i], inputs[i].shape()));
  using Sum = std::conditional_t<std::is_floating_point_v<C>, C, uint64_t>;
  Odometer at(all);
  for (size_t n = 0;; ++n) {
    Sum product = 1;
    for (size_t i = 0; i < inputs.size(); ++i) product *= static_cast<Sum>(inputs[i].as<C>()[offset_at(at, strides[i])]);
    C& sum = out[n / group];
    sum = static_cast<C>(static_cast<Sum>(sum) + product);
    if (!at.next()) return;
  }
}

void evaluate_einsum(EvalContext& context) {
  std::vector<PartialShape> shapes;
  for (const Tensor& input : context.inputs) shapes.emplace_back(input.shape());
  Contraction contraction(parse_equation(context.node), shapes);
  ElementType type = context.inputs[0].type();
  with_compute_type(type, [&](auto zero) {
    using C = decltype(zero);
    std::vector<Tensor> inputs;
    for (const Tensor& input : context.inputs) inputs.push_back(to_compute<C>(input));
    Tensor out = make_output(element_type_of<C>::value, contraction.shape_of(contraction.output).dims());
    contract(contraction, inputs, out.as_mutable<C>().data());
    context.outputs[0] = convert(out, type);
  });
}

}  // namespace

std::span<const OpDef> einsum_ops() {
  static const std::vector<OpDef> ops{{"Einsum", {"opset7"}, 1, -1, 1, infer_einsum, evaluate_einsum}};
  return ops;
}

}  // namespace nibble
