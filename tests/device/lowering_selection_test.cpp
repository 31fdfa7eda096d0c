#include "lowering_edits.hpp"

// Operations that routers are made of, on the logits of an exported model.

namespace nibble {

using test::Edit;
using test::Editor;
using test::Edits;
using test::Planned;

namespace {

class LoweringSelection : public test::Lowering {};

TEST_P(LoweringSelection, ComputesWhatTheGraphSays) { expect_what_the_graph_says(); }
TEST_P(LoweringSelection, PlansWhatItCan) { expect_plan(); }

Attributes numpy() { return {{"auto_broadcast", "numpy"}}; }

Value greater(Editor& e, Value a, Value b) { return e.add("Greater", {a, b}, numpy()); }

/// The k largest logits, and where they are.
struct Top {
  Value values, indices;
};
Top top(Editor& e, Value x, int64_t k) {
  Attributes attributes{{"axis", "-1"}, {"mode", "max"}, {"sort", "value"}, {"index_element_type", "i64"}};
  Value values = e.graph().add("TopK", {x, e.int_scalar(k)}, std::move(attributes), "", "opset11").output();
  return {values, {values.node, 1}};
}

Value at(Editor& e, Value x, Value indices) { return e.add("GatherElements", {x, indices}, {{"axis", "-1"}}); }

Value scatter(Editor& e, Value x, Value indices, Value updates, const char* reduction = "none") {
  Attributes attributes{{"reduction", reduction}, {"use_init_val", "true"}};
  return e.graph().add("ScatterElementsUpdate", {x, indices, updates, e.int_scalar(-1)}, std::move(attributes), "", "opset12").output();
}

Value like(Editor& e, Value x, float number) {
  return e.add("Broadcast", {e.number(number), e.add("ShapeOf", {x}, {{"output_type", "i64"}})}, {{"mode", "numpy"}});
}

std::vector<Edit> elementwise() {
  Edits edits;
  edits.logits("AtLeastANumber", [](Editor& e, Value x) { return e.add("Maximum", {x, e.number(0.5f)}, numpy()); });
  edits.logits("AtMostAVector", [](Editor& e, Value x) { return e.add("Minimum", {e.random({256}), x}, numpy()); });
  edits.logits("LargerOfTwo", [](Editor& e, Value x) { return e.add("Maximum", {x, e.add("Multiply", {x, x})}, numpy()); });
  edits.logits("Absolute", [](Editor& e, Value x) { return e.add("Abs", {x}); });
  edits.logits("Compares", [](Editor& e, Value x) { return e.floats(greater(e, x, e.random({256}))); });
  edits.logits("SelectsByItself", [](Editor& e, Value x) {
    return e.add("Select", {greater(e, x, e.number(0)), x, e.add("Multiply", {x, e.number(0.1f)})}, numpy());
  });
  edits.logits("SelectsANumber", [](Editor& e, Value x) { return e.add("Select", {greater(e, x, e.number(1)), e.number(1), x}, numpy()); });
  edits.logits("SelectsAVector", [](Editor& e, Value x) {
    return e.add("Select", {greater(e, e.number(0), x), x, e.random({1, 1, 256})}, numpy());
  });
  return edits.all();
}

INSTANTIATE_TEST_SUITE_P(Elementwise, LoweringSelection, testing::ValuesIn(elementwise()), test::edit_name);

std::vector<Edit> reductions() {
  Edits edits;
  for (const char* keep : {"true", "false"}) {
    auto reduced = [keep](Editor& e, Value x, const char* type) {
      Value y = e.add(type, {x, e.ints({-1})}, {{"keep_dims", keep}});
      return keep == std::string("true") ? y : e.add("Unsqueeze", {y, e.ints({-1})});
    };
    std::string suffix = keep == std::string("true") ? "KeptDimension" : "";
    edits.logits("SubtractsTheMaximum" + suffix, [reduced](Editor& e, Value x) {
      return e.add("Subtract", {x, reduced(e, x, "ReduceMax")}, numpy());
    });
    edits.logits("SubtractsTheSum" + suffix, [reduced](Editor& e, Value x) {
      return e.add("Subtract", {x, reduced(e, x, "ReduceSum")}, numpy());
    });
  }
  edits.logits("MaximumOfGroups", [](Editor& e, Value x) {
    Value groups = e.add("Reshape", {x, e.ints({0, 0, 8, 32})}, {{"special_zero", "true"}});
    Value best = e.add("ReduceMax", {groups, e.ints({-1})}, {{"keep_dims", "true"}});
    return e.add("Reshape", {e.add("Subtract", {groups, best}, numpy()), e.ints({0, 0, 256})}, {{"special_zero", "true"}});
  });
  return edits.all();
}

INSTANTIATE_TEST_SUITE_P(Reductions, LoweringSelection, testing::ValuesIn(reductions()), test::edit_name);

std::vector<Edit> elements() {
  Edits edits;
  edits.logits("ScattersWhatItGathers", [](Editor& e, Value x) {
    Value best = top(e, x, 5).indices;
    return scatter(e, like(e, x, 0), best, at(e, e.add("Multiply", {x, x}), best));
  });
  edits.logits("ScattersANumber", [](Editor& e, Value x) {
    Value best = top(e, x, 3).indices;
    return scatter(e, x, best, like(e, best, -2));
  });
  edits.logits("ScattersIntoGroups", [](Editor& e, Value x) {
    Value groups = e.add("Reshape", {x, e.ints({0, 0, 8, 32})}, {{"special_zero", "true"}});
    Value best = top(e, groups, 2).indices;
    return e.add("Reshape", {scatter(e, groups, best, like(e, best, 9)), e.ints({0, 0, 256})}, {{"special_zero", "true"}});
  });
  edits.logits("GathersFromTheEnd", [](Editor& e, Value x) {
    Value best = e.add("Subtract", {top(e, x, 4).indices, e.int_scalar(256)});
    return scatter(e, x, top(e, x, 4).indices, e.add("Multiply", {at(e, x, best), e.number(2)}));
  });
  edits.logits(
      "AddsWhereItScatters",
      [](Editor& e, Value x) {
        Value best = top(e, x, 3).indices;
        return scatter(e, x, best, like(e, best, -2), "sum");
      },
      Planned::unfused);
  return edits.all();
}

INSTANTIATE_TEST_SUITE_P(Elements, LoweringSelection, testing::ValuesIn(elements()), test::edit_name);

}  // namespace
}  // namespace nibble
