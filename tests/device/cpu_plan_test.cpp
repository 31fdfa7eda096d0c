#include "device/cpu/plan.hpp"

#include <map>
#include <numeric>
#include <random>

#include "cpu_session.hpp"
#include "device/cpu/lowering.hpp"

// Slots of a plan share buffers: never two that are live at the same time.

namespace nibble::cpu {
namespace {

/// Replays who writes and who reads each buffer, and reports reads of what is gone.
class Replay {
 public:
  explicit Replay(const Plan& plan) : plan_(plan) {
    for (size_t slot = 0; slot < plan.slots.size(); ++slot)
      if (plan.slots[slot].kind != Slot::Kind::activation) write(slot);
  }
  void run() {
    for (size_t i = 0; i < plan_.steps.size(); ++i) {
      SCOPED_TRACE("step " + std::to_string(i));
      const Step& step = *plan_.steps[i];
      for (View in : step.inputs()) expect_there(in.slot);
      for (View out : step.outputs()) expect_no_input(step, out.slot);
      for (View out : step.outputs()) write(out.slot);
      for (View out : step.outputs()) expect_there(out.slot);
    }
    expect_there(plan_.logits.slot);
  }

 private:
  size_t buffer(size_t slot) const { return plan_.slots[slot].buffer; }

  void write(size_t slot) {
    ASSERT_LT(buffer(slot), plan_.buffer_widths.size());
    EXPECT_GE(plan_.buffer_widths[buffer(slot)], plan_.slots[slot].width);
    owners_[buffer(slot)] = slot;
  }
  void expect_there(size_t slot) const {
    auto owner = owners_.find(buffer(slot));
    ASSERT_NE(owner, owners_.end()) << "slot " << slot << " was never written";
    EXPECT_EQ(owner->second, slot) << "slot " << slot << " was overwritten";
  }
  /// What a step reads may only be written over by the one input that it says so of.
  void expect_no_input(const Step& step, size_t out) const {
    size_t over = 0;
    for (View in : step.inputs()) over += in.slot != out && buffer(in.slot) == buffer(out);
    bool takes_over = step.in_place() && buffer(step.in_place()->slot) == buffer(out);
    EXPECT_EQ(over, takes_over ? 1u : 0u) << "slot " << out;
  }

  const Plan& plan_;
  std::map<size_t, size_t> owners_;  // slot by buffer
};

class PlanOfModel : public testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Directories, PlanOfModel, testing::ValuesIn(test::fixture_directories(test::data_path("ir"))),
                         test::directory_name);

TEST_P(PlanOfModel, NoTwoLiveSlotsShareABuffer) {
  ThreadPool threads(1);
  Graph graph = test::IrFixture(GetParam()).graph();
  std::string obstacle;
  auto model = lower(graph, {}, threads, obstacle);
  ASSERT_TRUE(model) << obstacle;
  Replay(model->plan).run();
}

TEST_P(PlanOfModel, BuffersServeSeveralSlots) {
  ThreadPool threads(1);
  Graph graph = test::IrFixture(GetParam()).graph();
  std::string obstacle;
  auto model = lower(graph, {}, threads, obstacle);
  const Plan& plan = model->plan;
  size_t arena = std::accumulate(plan.buffer_widths.begin(), plan.buffer_widths.end(), size_t{0}), slots = 0;
  for (const Slot& slot : plan.slots) slots += slot.width;
  EXPECT_LT(2 * arena, slots) << "the arena is less than half of what the slots need";
}

/// A step that reads and writes views, and does nothing.
class ViewsStep : public Step {
 public:
  ViewsStep(std::vector<View> inputs, std::vector<View> outputs, bool in_place)
      : inputs_(std::move(inputs)), outputs_(std::move(outputs)), in_place_(in_place) {}
  std::string_view kind() const override { return "Views"; }
  std::string detail(const Plan&) const override { return ""; }
  std::vector<View> inputs() const override { return inputs_; }
  std::vector<View> outputs() const override { return outputs_; }
  void run(Execution&) const override {}
  const View* in_place() const override { return in_place_ ? &inputs_.back() : nullptr; }

 private:
  std::vector<View> inputs_, outputs_;
  bool in_place_;
};

View new_slot(Plan& plan, size_t width, Slot::Kind kind = Slot::Kind::activation) {
  plan.slots.push_back({kind, width, 0});
  return {plan.slots.size() - 1, 0, width};
}

/// Steps that read any earlier slots, some of them twice, and write one or two new ones.
Plan random_plan(unsigned seed) {
  std::mt19937 random(seed);
  Plan plan;
  std::vector<View> known{new_slot(plan, 1, Slot::Kind::token_ids), new_slot(plan, 16, Slot::Kind::positional)};
  for (size_t i = 0; i < 25; ++i) {
    std::vector<View> inputs, outputs;
    for (size_t k = 0; k < 1 + random() % 3; ++k) inputs.push_back(known[known.size() - 1 - random() % std::min<size_t>(known.size(), 6)]);
    for (size_t k = 0; k < 1 + random() % 2; ++k) outputs.push_back(new_slot(plan, 16 << random() % 3));
    bool in_place = random() % 2 == 0 && inputs.back().width == outputs.front().width;
    known.insert(known.end(), outputs.begin(), outputs.end());
    plan.steps.push_back(std::make_unique<ViewsStep>(std::move(inputs), std::move(outputs), in_place));
  }
  plan.logits = known[known.size() - 1 - random() % 4];
  plan.place_slots();
  return plan;
}

TEST(Plan, RandomStepsNeverShareBuffersOfLiveSlots) {
  for (unsigned seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    Replay(random_plan(seed)).run();
    if (testing::Test::HasFailure()) return;
  }
}

TEST(Plan, AnOutputTakesTheMemoryOfAnInputThatNothingReadsLater) {
  Plan plan;
  View in = new_slot(plan, 32), first = new_slot(plan, 32), second = new_slot(plan, 32);
  plan.steps.push_back(std::make_unique<ViewsStep>(std::vector<View>{}, std::vector{in}, false));
  plan.steps.push_back(std::make_unique<ViewsStep>(std::vector{in}, std::vector{first}, true));
  plan.steps.push_back(std::make_unique<ViewsStep>(std::vector{in, first}, std::vector{second}, true));
  plan.logits = second;
  plan.place_slots();
  EXPECT_NE(plan.slots[first.slot].buffer, plan.slots[in.slot].buffer) << "the input is read again";
  EXPECT_EQ(plan.slots[second.slot].buffer, plan.slots[first.slot].buffer);
}

TEST(Plan, RowsOfEveryBufferAreSelected) {
  Plan plan;
  View a = new_slot(plan, 3), b = new_slot(plan, 20), c = new_slot(plan, 1);
  plan.steps.push_back(std::make_unique<ViewsStep>(std::vector<View>{}, std::vector{a, b}, false));
  plan.steps.push_back(std::make_unique<ViewsStep>(std::vector{a, b}, std::vector{c}, false));
  plan.logits = c;
  plan.place_slots();
  ThreadPool threads(1);
  Execution execution(plan, threads);
  execution.start(5);
  auto value = [](View view, size_t r, size_t i) { return static_cast<float>(1000 * view.slot + 100 * r + i); };
  for (View view : {a, b})
    for (size_t r = 0; r < 5; ++r)
      for (size_t i = 0; i < view.width; ++i) execution.row(view, r)[i] = value(view, r, i);
  execution.select_rows(std::vector<size_t>{1, 3, 4});
  ASSERT_EQ(execution.rows(), 3u);
  for (View view : {a, b})
    for (size_t r = 0; r < 3; ++r)
      for (size_t i = 0; i < view.width; ++i) EXPECT_EQ(execution.row(view, r)[i], value(view, std::array<size_t, 3>{1, 3, 4}[r], i));
}

TEST(Plan, ScratchKeepsItsContentWhileItIsLargeEnough) {
  Plan plan;
  ThreadPool threads(1);
  Execution execution(plan, threads);
  std::byte* first = execution.scratch(2, 100);
  first[99] = std::byte{7};
  EXPECT_EQ(execution.scratch(2, 50), first);
  EXPECT_EQ(execution.scratch(2, 100)[99], std::byte{7});
  EXPECT_NE(execution.scratch(0, 100), first);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(execution.scratch(1, 5000)) % 64, 0u);
}

}  // namespace
}  // namespace nibble::cpu
