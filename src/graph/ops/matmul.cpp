#include <algorithm>

#include "base/thread_pool.hpp"
#include "graph/ops/broadcast.hpp"
#include "graph/ops/compute.hpp"
#include "graph/ops/dimensions.hpp"
#include "graph/ops/dot.hpp"
#include "graph/ops/elements.hpp"
#include "graph/ops/tables.hpp"

namespace nibble {

namespace {

constexpr size_t kRowBlock = 32;  // a task is 32 x 64 results: its rows of both inputs stay in L2 for usual depths
constexpr size_t kColumnBlock = 64;
constexpr size_t kWorthThreads = 1 << 16;  // multiplications below which waking threads costs more than it gives

/// The matrix dimensions of an input after its transposition; a vector is one row (left input) or one column (right input).
struct Operand {
  PartialShape batch;
  int64_t outer, depth;  ///< rows of the left input, columns of the right one; the common dimension
  bool vector;
};

Operand read_operand(const PartialShape& shape, bool transpose, bool left) {
  if (shape.rank() == 0) fail(ErrorKind::corrupt, "MatMul takes no scalars");
  if (shape.rank() == 1) return {Shape{}, 1, shape[0], true};
  Shape batch(shape.dims().begin(), shape.dims().end() - 2);
  int64_t row_count = shape[shape.rank() - 2], column_count = shape[shape.rank() - 1];
  return transpose != left ? Operand{batch, row_count, column_count, false} : Operand{batch, column_count, row_count, false};
}

struct Product {
  Operand a, b;
  PartialShape shape;
  Product(const Attributes& attributes, const PartialShape& left, const PartialShape& right)
      : a(read_operand(left, attributes.get_bool("transpose_a", false), true)),
        b(read_operand(right, attributes.get_bool("transpose_b", false), false)) {
    merge_dims(a.depth, b.depth);
    Shape dims = broadcast_shapes(a.batch, b.batch).dims();
    if (!a.vector) dims.push_back(a.outer);
    if (!b.vector) dims.push_back(b.outer);
    shape = dims;
  }
};

void infer_matmul(Node& node) {
  const PartialShape& a = node.input(0).shape();
  const PartialShape& b = node.input(1).shape();
  PartialShape shape;
  if (a.rank_is_known() && b.rank_is_known()) shape = Product(node.attributes(), a, b).shape;
  set_output(node, 0, merge_types(node.input(0).type(), node.input(1).type()), shape);
}

/// The matrices of `tensor`, each transposed; in square blocks, so that both sides are read and written by cache lines.
template <class C>
Tensor transposed(const Tensor& tensor, size_t rows, size_t columns) {
  constexpr size_t kBlock = 16;
  Tensor out(tensor.type(), tensor.shape());
  const C* from = tensor.as<C>().data();
  C* to = out.as_mutable<C>().data();
  size_t matrices = tensor.size() / std::max<size_t>(1, rows * columns);
  for (size_t m = 0; m < matrices; ++m, from += rows * columns, to += rows * columns)
    for (size_t r0 = 0; r0 < rows; r0 += kBlock)
      for (size_t c = 0; c < columns; ++c)
        for (size_t r = r0; r < std::min(r0 + kBlock, rows); ++r) to[c * rows + r] = from[r * columns + c];
  return out;
}

/// The elements of an input with the common dimension innermost.
template <class C>
Tensor depth_innermost(const Tensor& tensor, const Operand& operand, bool is_so) {
  Tensor values = to_compute<C>(tensor);
  if (is_so || operand.vector) return values;
  return transposed<C>(values, static_cast<size_t>(operand.depth), static_cast<size_t>(operand.outer));
}

/// multiply_rows for the types that need not be fast. Integers wrap on overflow.
template <class C>
void multiply_rows_plainly(const C* a, size_t a_rows, const C* b, size_t b_rows, size_t depth, C* out, size_t out_stride) {
  using Sum = std::conditional_t<std::is_floating_point_v<C>, C, uint64_t>;
  for (size_t i = 0; i < a_rows; ++i)
    for (size_t j = 0; j < b_rows; ++j) {
      Sum sum = 0;
      for (size_t k = 0; k < depth; ++k) sum += static_cast<Sum>(a[i * depth + k]) * static_cast<Sum>(b[j * depth + k]);
      out[i * out_stride + j] = static_cast<C>(sum);
    }
}

template <class C>
void multiply_block(const C* a, size_t a_rows, const C* b, size_t b_rows, size_t depth, C* out, size_t out_stride) {
  if constexpr (std::is_same_v<C, float>)
    multiply_rows(a, a_rows, b, b_rows, depth, out, out_stride);
  else
    multiply_rows_plainly(a, a_rows, b, b_rows, depth, out, out_stride);
}

/// For each matrix of the result, in order, which matrices of the inputs it is the product of.
std::vector<std::array<size_t, 2>> matrix_pairs(const Product& product) {
  BroadcastWalk<2> walk(broadcast_shapes(product.a.batch, product.b.batch).dims(), {product.a.batch.dims(), product.b.batch.dims()});
  std::vector<std::array<size_t, 2>> pairs;
  walk.for_each_row([&](size_t, const auto& at) {
    for (size_t i = 0; i < walk.row_size(); ++i) pairs.push_back({at[0] + i * walk.step(0), at[1] + i * walk.step(1)});
  });
  return pairs;
}

template <class C>
void multiply(const Product& product, const C* a, const C* b, C* out, ThreadPool& threads) {
  auto rows = static_cast<size_t>(product.a.outer), columns = static_cast<size_t>(product.b.outer);
  auto depth = static_cast<size_t>(product.a.depth);
  auto pairs = matrix_pairs(product);
  size_t row_blocks = (rows + kRowBlock - 1) / kRowBlock, column_blocks = (columns + kColumnBlock - 1) / kColumnBlock;
  size_t tasks = pairs.size() * row_blocks * column_blocks;
  bool small = pairs.size() * rows * columns * depth < kWorthThreads;
  threads.parallel_for(tasks, small ? tasks : 1, [&](size_t begin, size_t end) {
    for (size_t task = begin; task < end; ++task) {
      size_t column = task % column_blocks * kColumnBlock, row = task / column_blocks % row_blocks * kRowBlock;
      size_t matrix = task / column_blocks / row_blocks;
      multiply_block(a + (pairs[matrix][0] * rows + row) * depth, std::min(kRowBlock, rows - row),
                     b + (pairs[matrix][1] * columns + column) * depth, std::min(kColumnBlock, columns - column), depth,
                     out + (matrix * rows + row) * columns + column, columns);
    }
  });
}

void evaluate_matmul(EvalContext& context) {
  const Tensor& a = context.inputs[0];
  const Tensor& b = context.inputs[1];
  const Attributes& attributes = context.node.attributes();
  ElementType type = merge_types(a.type(), b.type());
  Product product(attributes, a.shape(), b.shape());
  with_compute_type(type, [&](auto zero) {
    using C = decltype(zero);
    Tensor left = depth_innermost<C>(a, product.a, !attributes.get_bool("transpose_a", false));
    Tensor right = depth_innermost<C>(b, product.b, attributes.get_bool("transpose_b", false));
    Tensor out = make_output(left.type(), product.shape.dims());
    multiply(product, left.as<C>().data(), right.as<C>().data(), out.as_mutable<C>().data(), context.threads);
    context.outputs[0] = convert(out, type);
  });
}

}  // namespace

std::span<const OpDef> matmul_ops() {
  static const std::vector<OpDef> ops{{"MatMul", {"opset1"}, 2, 2, 1, infer_matmul, evaluate_matmul}};
  return ops;
}

}  // namespace nibble
