#include "device/cpu/plan.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "base/fail.hpp"

namespace nibble::cpu {

namespace {

constexpr size_t kAlignment = 64;  // bytes: a cache line, a 512-bit register

size_t round_up(size_t value, size_t unit) { return (value + unit - 1) / unit * unit; }

void* allocate(size_t bytes) {
  void* memory = std::aligned_alloc(kAlignment, round_up(std::max<size_t>(bytes, 1), kAlignment));
  if (!memory) fail(ErrorKind::exhausted, "no memory for {} bytes of activations: run fewer tokens at once", bytes);
  return memory;
}

}  // namespace

void Execution::Free::operator()(void* memory) const { std::free(memory); }

size_t Execution::stride(size_t slot) const { return plan_.buffer_widths[plan_.slots[slot].buffer]; }

size_t Execution::buffer(size_t slot) const {
  size_t at = 0;
  for (size_t b = 0; b < plan_.slots[slot].buffer; ++b) at += plan_.buffer_widths[b];
  return at * laid_out_;
}

void Execution::start(size_t rows) {
  rows_ = laid_out_ = rows;
  size_t width = 0;
  for (size_t w : plan_.buffer_widths) width += w;
  if (width * rows <= capacity_) return;
  arena_.reset();
  arena_.reset(static_cast<float*>(allocate(width * rows * sizeof(float))));
  capacity_ = width * rows;
}

void Execution::select_rows(std::span<const size_t> rows) {
  float* base = arena_.get();
  for (size_t width : plan_.buffer_widths) {
    for (size_t i = 0; i < rows.size(); ++i)
      if (rows[i] != i) std::memcpy(base + i * width, base + rows[i] * width, width * sizeof(float));
    base += width * laid_out_;
  }
  rows_ = rows.size();
}

std::byte* Execution::scratch(size_t index, size_t bytes) {
  if (scratch_.size() <= index) scratch_.resize(index + 1);
  auto& [memory, size] = scratch_[index];
  if (size < bytes) {
    memory.reset();
    size = 0;
    memory.reset(static_cast<std::byte*>(allocate(bytes)));
    size = bytes;
  }
  return memory.get();
}

namespace {

/// Linear scan over the steps: a buffer is free again after the last reader of its slot.
class SlotPlacer {
 public:
  explicit SlotPlacer(Plan& plan) : plan_(plan), last_use_(plan.slots.size(), 0), placed_(plan.slots.size(), false) {}

  void run() {
    find_last_uses();
    for (size_t slot = 0; slot < plan_.slots.size(); ++slot)
      if (plan_.slots[slot].kind != Slot::Kind::activation) place(slot);
    for (size_t i = 0; i < plan_.steps.size(); ++i) {
      place_outputs(*plan_.steps[i], i);
      release(i);
    }
  }

 private:
  void find_last_uses() {
    for (size_t i = 0; i < plan_.steps.size(); ++i) {
      for (View view : plan_.steps[i]->inputs()) last_use_[view.slot] = i;
      for (View view : plan_.steps[i]->outputs()) last_use_[view.slot] = std::max(last_use_[view.slot], i);
    }
    last_use_[plan_.logits.slot] = plan_.steps.size();
  }

  void place_outputs(const Step& step, size_t index) {
    for (View view : step.outputs()) {
      if (placed_[view.slot]) continue;
      const View* over = step.in_place();
      bool takes_over = over && reads_once(step, over->slot) && placed_[over->slot] && last_use_[over->slot] == index &&
                        plan_.slots[over->slot].width == view.width && plan_.slots[view.slot].width == view.width &&
                        plan_.slots[over->slot].kind == Slot::Kind::activation;
      if (takes_over) {
        plan_.slots[view.slot].buffer = plan_.slots[over->slot].buffer;
        placed_[view.slot] = true;
        last_use_[over->slot] = plan_.steps.size() + 1;  // its buffer goes on under the new name
      } else {
        place(view.slot);
      }
    }
  }

  /// A step may not write over what it reads in another way too.
  static bool reads_once(const Step& step, size_t slot) {
    std::vector<View> inputs = step.inputs();
    return std::count_if(inputs.begin(), inputs.end(), [&](View view) { return view.slot == slot; }) == 1;
  }

  void place(size_t slot) {
    size_t width = round_up(plan_.slots[slot].width, kAlignment / sizeof(float));
    auto best = std::min_element(free_.begin(), free_.end(), [&](size_t a, size_t b) { return misfit(a, width) < misfit(b, width); });
    size_t buffer;
    if (best != free_.end() && misfit(*best, width) <= width) {
      buffer = *best;
      free_.erase(best);
      plan_.buffer_widths[buffer] = std::max(plan_.buffer_widths[buffer], width);
    } else {
      buffer = plan_.buffer_widths.size();
      plan_.buffer_widths.push_back(width);
    }
    plan_.slots[slot].buffer = buffer;
    placed_[slot] = true;
  }

  /// How badly a free buffer suits a width.
  size_t misfit(size_t buffer, size_t width) const {
    size_t has = plan_.buffer_widths[buffer];
    return has > width ? has - width : width - has;
  }

  void release(size_t step) {
    for (size_t slot = 0; slot < plan_.slots.size(); ++slot)
      if (placed_[slot] && last_use_[slot] == step && plan_.slots[slot].kind == Slot::Kind::activation) {
        free_.push_back(plan_.slots[slot].buffer);
        last_use_[slot] = plan_.steps.size() + 1;
      }
  }

  Plan& plan_;
  std::vector<size_t> last_use_;
  std::vector<bool> placed_;
  std::vector<size_t> free_;
};

}  // namespace

void Plan::place_slots() {
  buffer_widths.clear();
  SlotPlacer(*this).run();
}

size_t Plan::unfused_count() const {
  return static_cast<size_t>(std::count_if(steps.begin(), steps.end(), [](const auto& step) { return step->is_unfused(); }));
}

void Plan::run(Execution& execution) const {
  for (size_t i = 0; i < steps.size(); ++i) {
    if (i == rows_selected_before && execution.wanted_rows.size() < execution.rows()) execution.select_rows(execution.wanted_rows);
    if (execution.rows() == 0) return;
    steps[i]->run(execution);
  }
}

}  // namespace nibble::cpu
