#include "device/cpu/selection_steps.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/fail.hpp"

namespace nibble::cpu {

namespace {

/// The element of a group that an index names, counted from its end where it is negative.
size_t element_at(float index, size_t size) {
  auto count = static_cast<float>(size);
  if (!(index >= -count && index < count)) fail(ErrorKind::corrupt, "index {} of {} elements", index, size);
  return static_cast<size_t>(index < 0 ? index + count : index);
}

float at(const BinaryStep::Operand& operand, const float* row, size_t i) {
  size_t element = operand.index.empty() ? i : operand.index[i];
  return operand.constant.empty() ? row[element] : operand.constant[element];
}

}  // namespace

std::string GatherElementsStep::detail(const Plan&) const { return fmt::format("{} of {} columns", out_.width, x_.width); }

void GatherElementsStep::run(Execution& execution) const {
  size_t groups = x_.width / size_, picks = out_.width / groups;
  execution.for_rows(static_cast<double>(out_.width), [&](size_t begin, size_t end) {
    for (size_t r = begin; r < end; ++r) {
      const float *x = execution.row(x_, r), *indices = execution.row(indices_, r);
      float* out = execution.row(out_, r);
      for (size_t i = 0; i < out_.width; ++i) out[i] = x[i / picks * size_ + element_at(indices[i], size_)];
    }
  });
}

std::string ScatterElementsStep::detail(const Plan&) const { return fmt::format("{} of {} columns", indices_.width, out_.width); }

std::vector<View> ScatterElementsStep::inputs() const {
  std::vector<View> views{indices_};
  for (const Source* source : {&x_, &updates_})
    if (!source->is_number) views.push_back(source->view);
  return views;
}

void ScatterElementsStep::run(Execution& execution) const {
  size_t groups = out_.width / size_, picks = indices_.width / groups;
  execution.for_rows(static_cast<double>(out_.width), [&](size_t begin, size_t end) {
    for (size_t r = begin; r < end; ++r) {
      float* out = execution.row(out_, r);
      const float* indices = execution.row(indices_, r);
      const float* updates = updates_.is_number ? nullptr : execution.row(updates_.view, r);
      if (x_.is_number)
        std::fill_n(out, out_.width, x_.number);
      else
        std::copy_n(execution.row(x_.view, r), out_.width, out);
      for (size_t i = 0; i < indices_.width; ++i)
        out[i / picks * size_ + element_at(indices[i], size_)] = updates ? updates[i] : updates_.number;
    }
  });
}

std::string SelectStep::detail(const Plan&) const { return fmt::format("{} columns", out_.width); }

std::vector<View> SelectStep::inputs() const {
  std::vector<View> views;
  for (const BinaryStep::Operand* operand : {&condition_, &yes_, &no_})
    if (operand->constant.empty()) views.push_back(operand->view);
  return views;
}

void SelectStep::run(Execution& execution) const {
  execution.for_rows(static_cast<double>(out_.width), [&](size_t begin, size_t end) {
    for (size_t r = begin; r < end; ++r) {
      auto row = [&](const BinaryStep::Operand& operand) { return operand.constant.empty() ? execution.row(operand.view, r) : nullptr; };
      const float *condition = row(condition_), *yes = row(yes_), *no = row(no_);
      float* out = execution.row(out_, r);
      for (size_t i = 0; i < out_.width; ++i) out[i] = at(condition_, condition, i) != 0 ? at(yes_, yes, i) : at(no_, no, i);
    }
  });
}

}  // namespace nibble::cpu
