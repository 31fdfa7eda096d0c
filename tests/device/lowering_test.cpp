#include "lowering_edits.hpp"

namespace nibble {

using test::Edit;
using test::Editor;
using test::Edits;
using test::Planned;

namespace {

using Lowering = test::Lowering;

TEST_P(Lowering, ComputesWhatTheGraphSays) { expect_what_the_graph_says(); }
TEST_P(Lowering, PlansWhatItCan) { expect_plan(); }

std::vector<Edit> arithmetic() {
  Edits edits;
  edits.llama("Nothing", [](Editor&) {});
  edits.logits("AddsAVector", [](Editor& e, Value x) { return e.add("Add", {e.random({256}), x}); });
  edits.logits("SubtractsFromANumber", [](Editor& e, Value x) { return e.add("Subtract", {e.number(3), x}); });
  edits.logits("SubtractsAVector", [](Editor& e, Value x) { return e.add("Subtract", {x, e.random({1, 1, 256})}); });
  edits.logits("MultipliesByAVector", [](Editor& e, Value x) { return e.add("Multiply", {x, e.random({256})}); });
  edits.logits("MultipliesByZero", [](Editor& e, Value x) { return e.add("Multiply", {x, e.number(0)}); });
  edits.logits("DividesByANumber", [](Editor& e, Value x) { return e.add("Divide", {x, e.number(1.7f)}); });
  edits.logits("DividesByAVector", [](Editor& e, Value x) { return e.add("Divide", {x, e.add("Exp", {e.random({256})})}); });
  edits.logits("DividesANumber", [](Editor& e, Value x) {
    return e.add("Divide", {e.number(2), e.add("Add", {e.add("Multiply", {x, x}), e.number(1)})});
  });
  edits.logits("Squares", [](Editor& e, Value x) { return e.add("Multiply", {x, x}); });
  edits.logits("AddsItself", [](Editor& e, Value x) { return e.add("Add", {x, x}); });
  edits.logits("Negates", [](Editor& e, Value x) { return e.add("Multiply", {e.number(-1), x}); });
  return edits.all();
}

INSTANTIATE_TEST_SUITE_P(Arithmetic, Lowering, testing::ValuesIn(arithmetic()), test::edit_name);

std::vector<Edit> row_operations() {
  Edits edits;
  edits.logits("MovesAndScales", [](Editor& e, Value x) {
    Value halves = e.add("Reshape", {x, e.ints({0, 0, 2, 128})}, {{"special_zero", "true"}});
    Value swapped = e.add("Transpose", {halves, e.ints({0, 1, 3, 2})});
    return e.add("Multiply", {e.add("Reshape", {swapped, e.ints({0, 0, 256})}, {{"special_zero", "true"}}), e.random({256})});
  });
  edits.logits("BroadcastsWithinAToken", [](Editor& e, Value x) {
    Value parts = e.add("Reshape", {x, e.ints({0, 0, 16, 16})}, {{"special_zero", "true"}});
    Value sums = e.add("ReduceSum", {parts, e.ints({3})}, {{"keep_dims", "true"}});
    return e.add("Reshape", {e.add("Divide", {parts, e.add("Add", {e.add("Abs", {sums}), e.number(1)})}), e.ints({0, 0, 256})},
                 {{"special_zero", "true"}});
  });
  edits.logits("SoftCap", [](Editor& e, Value x) {
    return e.add("Multiply", {e.add("Tanh", {e.add("Divide", {x, e.number(5)})}), e.number(5)});
  });
  edits.logits("Swish", [](Editor& e, Value x) { return e.add("Swish", {x}); });
  edits.logits("Softmax", [](Editor& e, Value x) { return e.add("Softmax", {x}, {{"axis", "-1"}}); });
  edits.logits("NormsWithoutWeight", [](Editor& e, Value x) {
    return e.add("MVN", {x, e.ints({2})}, {{"eps", "0.00001"}, {"normalize_variance", "true"}, {"eps_mode", "inside_sqrt"}});
  });
  return edits.all();
}

INSTANTIATE_TEST_SUITE_P(Rows, Lowering, testing::ValuesIn(row_operations()), test::edit_name);

std::vector<Edit> operations_without_kernels() {
  Edits edits;
  edits.logits(
      "SwishWithBeta",
      [](Editor& e, Value x) {
        return e.add("Swish", {x, e.number(1.5f)});
      },
      Planned::unfused);
  edits.logits(
      "Elu",
      [](Editor& e, Value x) {
        return e.add("Elu", {x}, {{"alpha", "0.5"}});
      },
      Planned::unfused);
  edits.logits(
      "Sine", [](Editor& e, Value x) { return e.add("Sin", {x}); }, Planned::unfused);
  edits.logits(
      "SelectsByToken",
      [](Editor& e, Value x) {
        Value odd = e.add("Equal", {e.add("FloorMod", {e.input("input_ids"), e.int_scalar(2)}), e.int_scalar(1)});
        return e.add("Select", {e.add("Unsqueeze", {odd, e.ints({2})}), x, e.number(0)});
      },
      Planned::unfused);
  edits.logits(
      "TopOfRows",
      [](Editor& e, Value x) {
        Value top = e.graph().add("TopK", {x, e.int_scalar(3)}, {{"axis", "-1"}, {"mode", "min"}, {"sort", "value"}}).output();
        return e.add("Add", {x, e.add("ReduceSum", {top, e.ints({2})}, {{"keep_dims", "true"}})});
      },
      Planned::unfused);
  return edits.all();
}

INSTANTIATE_TEST_SUITE_P(WithoutKernels, Lowering, testing::ValuesIn(operations_without_kernels()), test::edit_name);

std::vector<Edit> conversions() {
  Edits edits;
  edits.logits("ConvertsToF64AndBack", [](Editor& e, Value x) { return e.floats(e.as(x, "f64")); });
  edits.logits(
      "ConvertsToIntegers", [](Editor& e, Value x) { return e.floats(e.as(x, "i32")); }, Planned::unfused);
  edits.logits(
      "ConvertsToBooleans", [](Editor& e, Value x) { return e.floats(e.as(e.add("Relu", {x}), "boolean")); }, Planned::unfused);
  return edits.all();
}

INSTANTIATE_TEST_SUITE_P(Conversions, Lowering, testing::ValuesIn(conversions()), test::edit_name);

std::vector<Edit> values_by_position() {
  Edits edits;
  edits.llama("LooksUpAgainAtTheEnd", [](Editor& e) {
    Value table = e.random({256, 256});
    e.map_logits([&](Value x) {
      return e.add("Add", {x, e.add("Gather", {table, e.input("input_ids"), e.int_scalar(0)}, {{"batch_dims", "0"}})});
    });
  });
  edits.logits("ScalesByPosition", [](Editor& e, Value x) {
    Value scale = e.add("Divide", {e.floats(e.input("position_ids")), e.number(10)});
    return e.add("Multiply", {x, e.add("Unsqueeze", {scale, e.ints({2})})});
  });
  edits.logits("AddsPositions", [](Editor& e, Value x) {
    return e.add("Add", {x, e.add("Unsqueeze", {e.floats(e.input("position_ids")), e.ints({2})})});
  });
  edits.logits(
      "ScalesByTheLength",
      [](Editor& e, Value x) {
        Value last = e.add("ReduceMax", {e.input("position_ids"), e.ints({0, 1})}, {{"keep_dims", "false"}});
        return e.add("Multiply", {x, e.add("Add", {e.floats(last), e.number(1)})});
      },
      Planned::no);
  edits.logits(
      "ScalesByTheNumberOfTokens",
      [](Editor& e, Value x) {
        Value count =
            e.add("Gather", {e.add("ShapeOf", {e.input("input_ids")}, {{"output_type", "i64"}}), e.int_scalar(1), e.int_scalar(0)});
        return e.add("Multiply", {x, e.floats(count)});
      },
      Planned::no);
  edits.logits(
      "ShiftsByTheIntegerLength",
      [](Editor& e, Value x) {
        Value count =
            e.add("Gather", {e.add("ShapeOf", {e.input("attention_mask")}, {{"output_type", "i64"}}), e.int_scalar(1), e.int_scalar(0)});
        return e.floats(e.add("Add", {e.as(x, "i64"), count}));
      },
      Planned::no);
  return edits.all();
}

INSTANTIATE_TEST_SUITE_P(Positions, Lowering, testing::ValuesIn(values_by_position()), test::edit_name);

std::vector<Edit> products() {
  Edits edits;
  edits.llama("HeadStoredTransposed", [](Editor& e) {
    e.set_logits(e.add("MatMul", {e.hidden(), e.random({128, 256}, 0.2f)}, {{"transpose_a", "false"}, {"transpose_b", "false"}}));
  });
  edits.llama("CompressedHeadTransposed", [](Editor& e) {
    Value transposed = e.add("Transpose", {e.head(), e.ints({1, 0})});
    e.set_logits(e.add("MatMul", {e.hidden(), transposed}, {{"transpose_a", "false"}, {"transpose_b", "false"}}));
  });
  edits.llama("HeadWithLeadingDimensions", [](Editor& e) {
    Value head = e.add("Unsqueeze", {e.random({256, 128}, 0.2f), e.ints({0})});
    e.set_logits(e.add("MatMul", {e.hidden(), head}, {{"transpose_a", "false"}, {"transpose_b", "true"}}));
  });
  edits.llama("HeadWithBiasOnTheLeft", [](Editor& e) { e.map_logits([&](Value x) { return e.add("Add", {e.random({1, 1, 256}), x}); }); });
  edits.llama("BiasOfOneNumber", [](Editor& e) { e.map_logits([&](Value x) { return e.add("Add", {x, e.number(0.25f)}); }); });
  edits.llama("ResidualOfItsOwnInput", [](Editor& e) {
    Value x = e.add("Add", {e.hidden(), e.random({128})});
    Value product = e.add("MatMul", {x, e.random({128, 128}, 0.2f)}, {{"transpose_a", "false"}, {"transpose_b", "true"}});
    e.set_hidden(e.add("Add", {x, product}));
  });
  edits.llama("ResidualReadAgain", [](Editor& e) {
    Value x = e.hidden();
    Value product = e.add("MatMul", {e.add("Tanh", {x}), e.random({128, 128}, 0.2f)}, {{"transpose_a", "false"}, {"transpose_b", "true"}});
    Value sum = e.add("Add", {x, product});
    e.set_hidden(e.add("Subtract", {e.add("Multiply", {sum, x}), x}));
  });
  edits.llama("ProductReadTwice", [](Editor& e) {
    Value x = e.hidden();
    Value product = e.add("MatMul", {x, e.random({128, 128}, 0.2f)}, {{"transpose_a", "false"}, {"transpose_b", "true"}});
    e.set_hidden(e.add("Multiply", {e.add("Add", {x, product}), product}));
  });
  edits.llama("StackedProducts", [](Editor& e) {
    Value x = e.hidden();
    auto product = [&] { return e.add("MatMul", {x, e.random({128, 128}, 0.2f)}, {{"transpose_a", "false"}, {"transpose_b", "true"}}); };
    Value a = product(), b = product(), c = product();
    e.set_hidden(e.add("Add", {e.add("Multiply", {a, b}), e.add("Add", {c, e.random({128})})}));
  });
  edits.llama("GatedTheOtherWayRound", [](Editor& e) {
    Value x = e.hidden();
    e.set_hidden(e.add("Multiply", {e.add("Sigmoid", {x}), e.add("Tanh", {x})}));
  });
  return edits.all();
}

INSTANTIATE_TEST_SUITE_P(Products, Lowering, testing::ValuesIn(products()), test::edit_name);

std::vector<Edit> states_and_outputs() {
  Edits edits;
  edits.llama(
      "ANumberAsState",
      [](Editor& e) {
        Attributes variable{{"variable_id", "total"}, {"variable_type", "f32"}, {"variable_shape", "?"}};
        Value past = e.add("ReadValue", {e.constant({1}, {0})}, variable);
        Value total = e.add("Add", {past, e.number(1)});
        e.graph().add("Assign", {total}, {{"variable_id", "total"}});
        e.map_logits([&](Value x) { return e.add("Multiply", {x, total}); });
      },
      Planned::no, "state");
  edits.llama(
      "AStateThatIsReplaced",
      [](Editor& e) {
        Attributes variable{{"variable_id", "last"}, {"variable_type", "f32"}, {"variable_shape", "?,1,?,256"}};
        Value past = e.add("ReadValue", {e.constant({1, 1, 1, 256}, std::vector<float>(256, 0.5f))}, variable);
        e.map_logits([&](Value x) {
          e.graph().add("Assign",
                        {e.add("Unsqueeze", {e.add("Gather", {x, e.ints({-1}), e.int_scalar(1)}, {{"batch_dims", "0"}}), e.ints({1})})},
                        {{"variable_id", "last"}});
          return e.add("Add", {x, e.add("Squeeze", {past, e.ints({1})})});
        });
      },
      Planned::no);
  edits.llama(
      "AnotherOutput",
      [](Editor& e) {
        Value hidden = e.hidden();
        hidden.node->output_info(hidden.index).names.insert("hidden");
        e.graph().add("Result", {hidden});
      },
      Planned::no, "output");
  return edits.all();
}

INSTANTIATE_TEST_SUITE_P(States, Lowering, testing::ValuesIn(states_and_outputs()), test::edit_name);

/// What is no attention and yet goes from token to token cannot run token by token.
std::vector<Edit> tokens_that_see_others() {
  Edits edits;
  edits.logits(
      "SubtractsTheMeanOfTokens",
      [](Editor& e, Value x) {
        return e.add("Subtract", {x, e.add("ReduceMean", {x, e.ints({1})}, {{"keep_dims", "true"}})});
      },
      Planned::no);
  edits.logits(
      "SumsUpTokens",
      [](Editor& e, Value x) {
        return e.add("CumSum", {x, e.int_scalar(1)});
      },
      Planned::no);
  edits.logits(
      "SoftmaxOverTokens",
      [](Editor& e, Value x) {
        return e.add("Softmax", {x}, {{"axis", "1"}});
      },
      Planned::no);
  edits.logits(
      "SoftmaxOverTokensCountedFromTheEnd",
      [](Editor& e, Value x) {
        return e.add("Softmax", {x}, {{"axis", "-2"}});
      },
      Planned::no);
  edits.logits(
      "RollsTokens",
      [](Editor& e, Value x) {
        return e.add("Roll", {x, e.ints({1}), e.ints({1})});
      },
      Planned::no);
  edits.logits(
      "ShiftsTokens",
      [](Editor& e, Value x) {
        Value earlier = e.add("Slice", {x, e.ints({0}), e.ints({-1}), e.ints({1}), e.ints({1})});
        Value first = e.add("Slice", {x, e.ints({0}), e.ints({1}), e.ints({1}), e.ints({1})});
        return e.add("Concat", {e.add("Multiply", {first, e.number(2)}), earlier}, {{"axis", "1"}});
      },
      Planned::no);
  edits.logits(
      "NormsOverTokens",
      [](Editor& e, Value x) {
        return e.add("MVN", {x, e.ints({1})}, {{"eps", "0.00001"}, {"normalize_variance", "true"}, {"eps_mode", "inside_sqrt"}});
      },
      Planned::no);
  edits.logits(
      "MultipliesTokens",
      [](Editor& e, Value x) {
        Value products = e.add("MatMul", {x, x}, {{"transpose_a", "false"}, {"transpose_b", "true"}});
        return e.add("MatMul", {e.add("Divide", {products, e.number(1000)}), x}, {{"transpose_a", "false"}, {"transpose_b", "false"}});
      },
      Planned::no);
  edits.logits(
      "AddsTheFirstToken",
      [](Editor& e, Value x) {
        return e.add("Add", {x, e.add("Slice", {x, e.ints({0}), e.ints({1}), e.ints({1}), e.ints({1})})});
      },
      Planned::no);
  edits.logits(
      "AddsTheLastToken",
      [](Editor& e, Value x) {
        return e.add("Add", {x, e.add("Gather", {x, e.ints({-1}), e.int_scalar(1)}, {{"batch_dims", "0"}})});
      },
      Planned::no);
  return edits.all();
}

INSTANTIATE_TEST_SUITE_P(TokensThatSeeOthers, Lowering, testing::ValuesIn(tokens_that_see_others()), test::edit_name);

}  // namespace
}  // namespace nibble
