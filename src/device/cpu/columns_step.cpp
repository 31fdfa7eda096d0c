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

void ColumnsStep::append(Run& table, const Element& element) {
  ++table.count;
  table.columns.push_back(element.column);
  table.multiplier_columns.push_back(element.multiplier_column);
  table.factors.push_back(element.factor);
}

std::vector<ColumnsStep::Run> ColumnsStep::find_runs(const std::vector<Element>& elements) {
  constexpr size_t kWorthRun = 4;  // elements: shorter ones (interleaved pairs) go to a table
  std::vector<Run> runs;
  for (size_t i = 0; i < elements.size();) {
    Run best{i, 1, elements[i], 1, {}, {}, {}};
    for (int multiplier_step : {1, 0}) {
      size_t count = run_length(elements, i, multiplier_step);
      if (count > best.count) best = {i, count, elements[i], multiplier_step, {}, {}, {}};
    }
    i += best.count;
    if (best.first.slot < 0) continue;
    if (best.count >= kWorthRun) {
      runs.push_back(std::move(best));
      continue;
    }
    bool continues = !runs.empty() && !runs.back().columns.empty() && runs.back().begin + runs.back().count == best.begin &&
                     runs.back().first.slot == best.first.slot && runs.back().first.multiplier == best.first.multiplier;
    if (!continues) runs.push_back({best.begin, 0, best.first, 1, {}, {}, {}});
    for (size_t k = 0; k < best.count; ++k) append(runs.back(), elements[best.begin + k]);
  }
  return runs;
}

ColumnsStep::ColumnsStep(const Form& form, View out) : out_(out), rotary_(form.terms.size() == 2 && form.has_multiplier()) {
  for (const auto& elements : form.terms) {
    terms_.push_back({find_runs(elements)});
    for (const Element& e : elements) {
      note(inputs_, e.slot, e.column);
      note(inputs_, e.multiplier, e.multiplier_column);
    }
  }
}

std::string ColumnsStep::detail(const Plan&) const {
  size_t runs = 0;
  for (const Term& term : terms_) runs += term.runs.size();
  return fmt::format("{} columns in {} runs", out_.width, runs);
}

void ColumnsStep::run_table(const Run& run, const float* x, const float* by, float* to) {
  for (size_t i = 0; i < run.count; ++i) {
    float value = run.factors[i] * x[run.columns[i]];
    to[i] += by ? value * by[run.multiplier_columns[i]] : value;
  }
}

void ColumnsStep::run_row(Execution& execution, size_t r) const {
  auto start = [&](int32_t slot) { return execution.row({static_cast<size_t>(slot), 0, 1}, r); };
  float* out = execution.row(out_, r);
  std::fill_n(out, out_.width, 0.0f);
  for (const Term& term : terms_) {
    for (const Run& run : term.runs) {
      const Element& e = run.first;
      const float* x = start(e.slot);
      const float* by = e.multiplier < 0 ? nullptr : start(e.multiplier);
      float* to = out + run.begin;
      if (!run.columns.empty()) {
        run_table(run, x, by, to);
        continue;
      }
      x += e.column;
      auto step = static_cast<size_t>(run.multiplier_step);
      if (by) by += e.multiplier_column;
      for (size_t i = 0; i < run.count; ++i) to[i] += by ? e.factor * x[i] * by[i * step] : e.factor * x[i];
    }
  }
}

void ColumnsStep::run(Execution& execution) const {
  execution.for_rows(static_cast<double>(out_.width), [&](size_t begin, size_t end) {
    for (size_t r = begin; r < end; ++r) run_row(execution, r);
  });
}

}  // namespace nibble::cpu
