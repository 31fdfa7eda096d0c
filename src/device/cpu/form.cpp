#include "device/cpu/form.hpp"

#include <algorithm>
#include <array>
#include <numeric>

#include "base/fail.hpp"
#include "graph/op_set.hpp"
#include "tensor/convert.hpp"

namespace nibble::cpu {

bool Form::has_multiplier() const {
  for (const auto& term : terms)
    for (const Element& e : term)
      if (e.multiplier >= 0) return true;
  return false;
}

Form identity_form(View view, Shape shape) {
  std::vector<Element> elements(view.width);
  for (size_t i = 0; i < view.width; ++i)
    elements[i] = {static_cast<int32_t>(view.slot), static_cast<int32_t>(view.offset + i), -1, 0, 1.0f};
  return {std::move(shape), {std::move(elements)}};
}

std::optional<View> as_view(const Form& form) {
  if (form.terms.size() != 1 || form.size() == 0) return std::nullopt;
  const auto& elements = form.terms[0];
  Element expected = elements[0];
  if (expected.slot < 0 || expected.multiplier >= 0 || expected.factor != 1) return std::nullopt;
  for (const Element& e : elements) {
    if (!(e == expected)) return std::nullopt;
    ++expected.column;
  }
  return View{static_cast<size_t>(elements[0].slot), static_cast<size_t>(elements[0].column), elements.size()};
}

bool is_movement(const Node& node) {
  static constexpr std::array<std::string_view, 13> kinds{"Reshape",      "Transpose", "Unsqueeze",     "Squeeze", "Slice",
                                                          "StridedSlice", "Split",     "VariadicSplit", "Concat",  "Gather",
                                                          "Broadcast",    "Tile",      "Identity"};
  return std::find(kinds.begin(), kinds.end(), node.type()) != kinds.end();
}

namespace {

/// The elements of several forms one after another, term by term; forms of fewer terms have zeros there.
class Pool {
 public:
  explicit Pool(std::span<const MoveInput> inputs) {
    size_t count = 1;
    for (const MoveInput& input : inputs)
      if (input.form) count = std::max(count, input.form->terms.size());
    terms_.resize(count);
  }
  size_t size() const { return terms_.front().size(); }

  /// Appends a form: gives the index of each of its elements, in its shape.
  Tensor add(const Form& form) {
    std::vector<float> indices(form.size());
    std::iota(indices.begin(), indices.end(), static_cast<float>(size()));
    for (size_t t = 0; t < terms_.size(); ++t) {
      if (t < form.terms.size())
        terms_[t].insert(terms_[t].end(), form.terms[t].begin(), form.terms[t].end());
      else
        terms_[t].resize(terms_[t].size() + indices.size());
    }
    return Tensor::from<float>(form.shape, indices);
  }

  /// The form whose elements have these indices.
  Form pick(const Tensor& indices) const {
    Form form{indices.shape(), {}};
    for (const auto& from : terms_) {
      auto& to = form.terms.emplace_back();
      to.reserve(indices.size());
      for (float index : indices.as<float>()) to.push_back(from[static_cast<size_t>(index)]);
    }
    // A term of zeros only says nothing.
    auto is_zero = [](const Element& e) { return e.slot < 0; };
    while (form.terms.size() > 1 && std::all_of(form.terms.back().begin(), form.terms.back().end(), is_zero)) form.terms.pop_back();
    return form;
  }

 private:
  std::vector<std::vector<Element>> terms_;
};

}  // namespace

std::vector<Form> move(const Node& node, std::span<const MoveInput> inputs, ThreadPool& threads) {
  std::vector<Tensor> tensors, outputs(node.output_count());
  Pool pool(inputs);
  for (const MoveInput& input : inputs) tensors.push_back(input.form ? pool.add(*input.form) : input.tensor);
  if (pool.size() >= (size_t{1} << 24)) fail(ErrorKind::unsupported, "{}: too many elements for one token", describe(node));
  EvalContext context{node, tensors, outputs, threads};
  node.op().evaluate(context);
  std::vector<Form> forms;
  for (const Tensor& output : outputs) forms.push_back(pool.pick(output));
  return forms;
}

Shape broadcast_shape(const Shape& a, const Shape& b) {
  Shape out(std::max(a.size(), b.size()), 1);
  for (size_t back = 1; back <= out.size(); ++back) {
    int64_t x = back <= a.size() ? a[a.size() - back] : 1, y = back <= b.size() ? b[b.size() - back] : 1;
    if (x != y && x != 1 && y != 1)
      fail(ErrorKind::corrupt, "shapes {} and {} do not go together", nibble::to_string(a), nibble::to_string(b));
    out[out.size() - back] = x == 1 ? y : x;
  }
  return out;
}

std::vector<size_t> broadcast_indices(const Shape& from, const Shape& to) {
  size_t count = element_count(to);
  std::vector<size_t> indices(count, 0);
  size_t inner = 1, stride = 1;
  for (size_t back = 1; back <= to.size(); ++back) {
    auto dim = static_cast<size_t>(to[to.size() - back]);
    auto own = back <= from.size() ? static_cast<size_t>(from[from.size() - back]) : size_t{1};
    if (own != 1)
      for (size_t i = 0; i < count; ++i) indices[i] += i / inner % dim * stride;
    inner *= std::max<size_t>(dim, 1);
    stride *= own;
  }
  return indices;
}

namespace {

Form broadcast(const Form& form, const Shape& shape) {
  if (form.shape == shape) return form;
  std::vector<size_t> indices = broadcast_indices(form.shape, shape);
  Form out{shape, {}};
  for (const auto& term : form.terms) {
    std::vector<Element> elements(indices.size());
    for (size_t i = 0; i < indices.size(); ++i) elements[i] = term[indices[i]];
    out.terms.push_back(std::move(elements));
  }
  return out;
}

}  // namespace

Form scaled(const Form& form, const Tensor& values) {
  Form out = broadcast(form, broadcast_shape(form.shape, values.shape()));
  std::vector<float> factors = to_floats(values);
  std::vector<size_t> at = broadcast_indices(values.shape(), out.shape);
  for (auto& term : out.terms)
    for (size_t i = 0; i < term.size(); ++i) term[i].factor *= factors[at[i]];
  return out;
}

std::optional<Form> multiplied(const Form& form, const Form& positional) {
  if (form.has_multiplier() || positional.terms.size() != 1) return std::nullopt;
  Form out = broadcast(form, broadcast_shape(form.shape, positional.shape));
  std::vector<size_t> at = broadcast_indices(positional.shape, out.shape);
  for (auto& term : out.terms)
    for (size_t i = 0; i < term.size(); ++i) {
      const Element& by = positional.terms[0][at[i]];
      term[i].multiplier = by.slot;
      term[i].multiplier_column = by.column;
      term[i].factor *= by.factor;
      if (by.slot < 0) term[i] = {};
    }
  return out;
}

Form sum(const Form& a, const Form& b) {
  Shape shape = broadcast_shape(a.shape, b.shape);
  Form out = broadcast(a, shape), more = broadcast(b, shape);
  out.terms.insert(out.terms.end(), more.terms.begin(), more.terms.end());
  return out;
}

Form negated(Form form) {
  for (auto& term : form.terms)
    for (Element& e : term) e.factor = -e.factor;
  return form;
}

}  // namespace nibble::cpu
