#pragma once

#include <algorithm>
#include <array>
#include <vector>

#include "graph/node.hpp"

namespace nibble {

/// The attribute auto_broadcast and, for pdpd, axis: how the second input's dimensions meet the first's.
struct AutoBroadcast {
  enum class Rule { none, numpy, pdpd };
  Rule rule = Rule::numpy;
  int64_t axis = -1;  ///< pdpd: dimension of the first input that the second's dimension 0 meets; -1 = the last ones

  AutoBroadcast() = default;
  explicit AutoBroadcast(const Attributes& attributes);
};

/// Shape of a result that `a` and `b` are broadcast to; throws Error{corrupt} when they cannot be.
PartialShape broadcast_shapes(const PartialShape& a, const PartialShape& b, const AutoBroadcast& broadcast = {});
/// `shape` with dimensions of 1 added, so that its dimensions face those of a tensor with `rank` dimensions.
PartialShape align_shape(const PartialShape& shape, size_t rank, const AutoBroadcast& broadcast = {});

/// Walks N dense arrays broadcast to one shape, in rows: within a row an array either advances by one element or stands
/// still, so that loops over a row vectorize. Neighbouring dimensions that all arrays treat alike are joined into one.
template <size_t N>
class BroadcastWalk {
 public:
  using Offsets = std::array<size_t, N>;
  /// Every one of `shapes` must broadcast to `shape` by the numpy rule.
  BroadcastWalk(const Shape& shape, const std::array<Shape, N>& shapes);

  size_t row_size() const { return dims_.front().size; }
  /// 1 when array `i` advances along a row, 0 when it stands still.
  size_t step(size_t i) const { return dims_.front().strides[i]; }
  /// Calls row(first, offsets) in order: `first` counts elements of the result, offsets[i] is where array i stands.
  template <class Row>
  void for_each_row(Row&& row) const;

 private:
  struct Dim {
    size_t size;
    Offsets strides;
  };
  void push(size_t size, const Offsets& strides);
  std::vector<Dim> dims_;  // innermost first
  size_t rows_ = 1;
};

template <size_t N>
BroadcastWalk<N>::BroadcastWalk(const Shape& shape, const std::array<Shape, N>& shapes) {
  Offsets next;
  next.fill(1);
  for (size_t back = 1; back <= shape.size(); ++back) {
    Offsets strides{};
    for (size_t i = 0; i < N; ++i) {
      int64_t dim = back <= shapes[i].size() ? shapes[i][shapes[i].size() - back] : 1;
      if (dim != 1) strides[i] = next[i];
      next[i] *= static_cast<size_t>(dim);
    }
    push(static_cast<size_t>(shape[shape.size() - back]), strides);
  }
  if (dims_.empty()) dims_.push_back({1, {}});
  for (size_t d = 1; d < dims_.size(); ++d) rows_ *= dims_[d].size;
  if (row_size() == 0) rows_ = 0;
}

template <size_t N>
void BroadcastWalk<N>::push(size_t size, const Offsets& strides) {
  if (size == 1) return;
  bool joins = !dims_.empty();
  for (size_t i = 0; joins && i < N; ++i) joins = strides[i] == dims_.back().strides[i] * dims_.back().size;
  if (joins)
    dims_.back().size *= size;
  else
    dims_.push_back({size, strides});
}

template <size_t N>
template <class Row>
void BroadcastWalk<N>::for_each_row(Row&& row) const {
  std::vector<size_t> index(dims_.size(), 0);
  Offsets offsets{};
  for (size_t r = 0; r < rows_; ++r) {
    row(r * row_size(), static_cast<const Offsets&>(offsets));
    for (size_t d = 1; d < dims_.size(); ++d) {
      for (size_t i = 0; i < N; ++i) offsets[i] += dims_[d].strides[i];
      if (++index[d] < dims_[d].size) break;
      for (size_t i = 0; i < N; ++i) offsets[i] -= dims_[d].strides[i] * dims_[d].size;
      index[d] = 0;
    }
  }
}

/// out[i] = op(a[i], b[i]) over two broadcast arrays.
template <class A, class Out, class Op>
void zip(const BroadcastWalk<2>& walk, const A* a, const A* b, Out* out, Op op) {
  size_t n = walk.row_size();
  walk.for_each_row([&](size_t first, const auto& offsets) {
    const A* x = a + offsets[0];
    const A* y = b + offsets[1];
    Out* to = out + first;
    if (walk.step(0) && walk.step(1))
      for (size_t i = 0; i < n; ++i) to[i] = op(x[i], y[i]);
    else if (walk.step(0))
      for (size_t i = 0; i < n; ++i) to[i] = op(x[i], *y);
    else if (walk.step(1))
      for (size_t i = 0; i < n; ++i) to[i] = op(*x, y[i]);
    else
      std::fill_n(to, n, op(*x, *y));
  });
}

/// groups[k] = op(groups[k], x[i]) for every element i in order, where k is the place of i in the walk's only array.
template <class X, class Acc, class Op>
void fold(const BroadcastWalk<1>& walk, const X* x, Acc* groups, Op op) {
  size_t n = walk.row_size();
  walk.for_each_row([&](size_t first, const auto& offsets) {
    Acc* group = groups + offsets[0];
    if (walk.step(0)) {
      for (size_t i = 0; i < n; ++i) group[i] = op(group[i], x[first + i]);
    } else {
      Acc value = *group;
      for (size_t i = 0; i < n; ++i) value = op(value, x[first + i]);
      *group = value;
    }
  });
}

}  // namespace nibble
