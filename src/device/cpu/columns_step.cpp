#include <fmt/format.h>

#include <algorithm>

#include "device/cpu/steps.hpp"

namespace nibble::cpu {

namespace {

/// What runs of `a` and `b` must share.
bool goes_on(const Element& first, const Element& e, int multiplier_step, size_t i) {
  auto n = static_cast<int32_t>(i);
  return e.slot == first.slot && e.multiplier == first.multiplier && e.factor == first.factor &&
         (e.slot < 0 || e.column == first.column + n) &&
         (e.multiplier < 0 || e.multiplier_column == first.multiplier_column + n * multiplier_step);
}

size_t run_length(const std::vector<Element>& elements, size_t begin, int multiplier_step) {
  size_t count = 0;
  while (begin + count < elements.size() && goes_on(elements[begin], elements[begin + count], multiplier_step, count)) ++count;
  return count;
}

void note(std::vector<View>& views, int32_t slot, int32_t column) {
  if (slot < 0) return;
  for (View& view : views)
    if (view.slot == static_cast<size_t>(slot)) {
      size_t begin = std::min(view.offset, static_cast<size_t>(column));
      size_t end = std::max(view.offset + view.width, static_cast<size_t>(column) + 1);
      view.offset = begin;
      view.width = end - begin;
      return;
    }
  views.push_back({static_cast<size_t>(slot), static_cast<size_t>(column), 1});
}

}  // namespace

ColumnsStep::ColumnsStep(const Form& form, View out) : out_(out), rotary_(form.terms.size() == 2 && form.has_multiplier()) {
  for (const auto& elements : form.terms) {
    Term term;
    for (size_t i = 0; i < elements.size();) {
      Run best{i, 1, elements[i], 1};
      for (int multiplier_step : {1, 0}) {
        size_t count = run_length(elements, i, multiplier_step);
        if (count > best.count) best = {i, count, elements[i], multiplier_step};
      }
      if (elements[i].slot >= 0) term.runs.push_back(best);
      i += best.count;
    }
    for (const Element& e : elements) {
      note(inputs_, e.slot, e.column);
      note(inputs_, e.multiplier, e.multiplier_column);
    }
    terms_.push_back(std::move(term));
  }
}

std::string ColumnsStep::detail(const Plan&) const {
  size_t runs = 0;
  for (const Term& term : terms_) runs += term.runs.size();
  return fmt::format("{} columns in {} runs", out_.width, runs);
}

void ColumnsStep::run_row(Execution& execution, size_t r) const {
  float* out = execution.row(out_, r);
  std::fill_n(out, out_.width, 0.0f);
  for (const Term& term : terms_) {
    for (const Run& run : term.runs) {
      const Element& e = run.first;
      const float* x = execution.row({static_cast<size_t>(e.slot), static_cast<size_t>(e.column), 1}, r);
      float* to = out + run.begin;
      if (e.multiplier < 0) {
        for (size_t i = 0; i < run.count; ++i) to[i] += e.factor * x[i];
        continue;
      }
      const float* by = execution.row({static_cast<size_t>(e.multiplier), static_cast<size_t>(e.multiplier_column), 1}, r);
      auto step = static_cast<size_t>(run.multiplier_step);
      for (size_t i = 0; i < run.count; ++i) to[i] += e.factor * x[i] * by[i * step];
    }
  }
}

void ColumnsStep::run(Execution& execution) const {
  execution.for_rows(static_cast<double>(out_.width), [&](size_t begin, size_t end) {
    for (size_t r = begin; r < end; ++r) run_row(execution, r);
  });
}

}  // namespace nibble::cpu
