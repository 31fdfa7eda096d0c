#include "lowering_edits.hpp"

namespace nibble {

using test::Edit;
using test::Editor;
using test::Edits;
using test::Planned;

namespace {

class LoweringAttention : public test::Lowering {};

TEST_P(LoweringAttention, ComputesWhatTheGraphSays) { expect_what_the_graph_says(); }
TEST_P(LoweringAttention, PlansWhatItCan) { expect_plan(); }

/// Adds -100000 to the mask where `hide` is true.
void hide_where(Editor& e, const std::function<Value(Value query, Value key)>& hide) {
  Value hidden = hide(e.query_positions(), e.key_positions());
  Value bias = e.add("Select", {hidden, e.number(-100000), e.number(0)});
  e.map_attention_input(3, [&](Value mask) { return e.add("Add", {mask, bias}); });
}

std::vector<Edit> changed_masks() {
  Edits edits;
  auto mask = [&](std::string name, std::function<Value(Editor&, Value)> map, Planned planned, std::string obstacle = {}) {
    edits.llama(
        std::move(name), [map](Editor& e) { e.map_attention_input(3, [&](Value x) { return map(e, x); }); }, planned, std::move(obstacle));
  };
  mask(
      "MaskTimesTwo",
      [](Editor& e, Value x) {
        return e.add("Multiply", {x, e.number(2)});
      },
      Planned::fused);
  mask(
      "MaskPlusANumber",
      [](Editor& e, Value x) {
        return e.add("Add", {x, e.number(1)});
      },
      Planned::fused);
  mask(
      "MaskTimesAThousandth",
      [](Editor& e, Value x) {
        return e.add("Multiply", {x, e.number(0.0001f)});
      },
      Planned::no, "mask");
  mask(
      "MaskPerHead",
      [](Editor& e, Value x) {
        return e.add("Multiply", {x, e.constant({1, 8, 1, 1}, {1, 0, 1, 1, 1, 1, 1, 1})});
      },
      Planned::no, "mask");
  mask(
      "MaskWithTokens",
      [](Editor& e, Value x) {
        Value ids = e.add("Unsqueeze", {e.floats(e.input("input_ids")), e.ints({1, 3})});
        return e.add("Add", {x, e.add("Multiply", {ids, e.number(0)})});
      },
      Planned::no);
  return edits.all();
}

INSTANTIATE_TEST_SUITE_P(ChangedMasks, LoweringAttention, testing::ValuesIn(changed_masks()), test::edit_name);

std::vector<Edit> other_masks() {
  Edits edits;
  edits.llama("MaskWithSlopes", [](Editor& e) {
    Value distance = e.add("Subtract", {e.key_positions(), e.query_positions()});
    Value bias = e.add("Multiply", {distance, e.constant({1, 8, 1, 1}, {0.5f, 0.25f, 0.125f, 0.0625f, 1, 0.3f, 0.2f, 0.1f})});
    e.map_attention_input(3, [&](Value x) { return e.add("Add", {x, bias}); });
  });
  edits.llama(
      "MaskWithSquaredDistances",
      [](Editor& e) {
        Value distance = e.add("Subtract", {e.key_positions(), e.query_positions()});
        Value bias = e.add("Multiply", {e.add("Multiply", {distance, distance}), e.number(-0.01f)});
        e.map_attention_input(3, [&](Value x) { return e.add("Add", {x, bias}); });
      },
      Planned::no, "mask");
  edits.llama("MaskOfAWindow", [](Editor& e) {
    hide_where(e, [&](Value query, Value key) { return e.add("LessEqual", {key, e.add("Subtract", {query, e.number(5)})}); });
  });
  edits.llama(
      "MaskOfChunks",
      [](Editor& e) {
        hide_where(e, [&](Value query, Value key) {
          auto chunk = [&](Value x) { return e.add("Floor", {e.add("Divide", {x, e.number(4)})}); };
          return e.add("NotEqual", {chunk(query), chunk(key)});
        });
      },
      Planned::no, "mask");
  edits.llama(
      "MaskWithoutTheFirstToken",
      [](Editor& e) {
        hide_where(e, [&](Value query, Value key) {
          Value first = e.add("Equal", {key, e.number(0)});
          return e.add("LogicalAnd", {first, e.add("NotEqual", {query, e.number(0)})});
        });
      },
      Planned::no, "mask");
  return edits.all();
}

INSTANTIATE_TEST_SUITE_P(OtherMasks, LoweringAttention, testing::ValuesIn(other_masks()), test::edit_name);

/// The part [begin, end) of a dimension.
Value part(Editor& e, Value value, int64_t axis, int64_t begin, int64_t end) {
  return e.add("Slice", {value, e.ints({begin}), e.ints({end}), e.ints({1}), e.ints({axis})});
}

std::vector<Edit> queries_and_keys() {
  Edits edits;
  edits.llama("ScaleOfAttention", [](Editor& e) { e.map_attention_input(4, [&](Value) { return e.number(0.11f); }); });
  edits.llama(
      "ScaleOfAttentionByLength",
      [](Editor& e) {
        Value last = e.floats(e.add("ReduceMax", {e.input("position_ids"), e.ints({0, 1})}, {{"keep_dims", "false"}}));
        e.map_attention_input(4, [&](Value scale) { return e.add("Divide", {scale, e.add("Add", {last, e.number(1)})}); });
      },
      Planned::no);
  edits.llama("QueriesScaledByPosition", [](Editor& e) {
    Value scale = e.add("Add", {e.add("Divide", {e.query_positions(), e.number(20)}), e.number(1)});
    e.map_attention_input(0, [&](Value q) { return e.add("Multiply", {q, scale}); });
  });
  edits.llama(
      "KeysScaledAfterTheCache",
      [](Editor& e) { e.map_attention_input(1, [&](Value k) {
                        return e.add("Multiply", {k, e.number(0.5f)});
                      }); }, Planned::no, "cached");
  edits.llama(
      "KeysOfHeadsSwapped",
      [](Editor& e) {
        e.map_attention_input(1, [&](Value k) {
          return e.add("Gather", {k, e.ints({4, 5, 6, 7, 0, 1, 2, 3}), e.int_scalar(1)}, {{"batch_dims", "0"}});
        });
      },
      Planned::no, "cached");
  edits.llama(
      "AllHeadsReadTheFirst",
      [](Editor& e) {
        for (size_t input : {1, 2}) e.map_attention_input(input, [&](Value x) { return part(e, x, 1, 0, 1); });
      },
      Planned::no, "cached");
  edits.llama(
      "NoHeads",
      [](Editor& e) {
        Node* node = e.attentions()[0];
        Value q = node->input(0);
        for (size_t input : {0, 1, 2}) node->set_input(input, part(e, node->input(input), 1, 0, 0));
        Value all = e.add("Concat", {q, node->output()}, {{"axis", "1"}});
        e.graph().replace_uses(node->output(), all, all.node);
      },
      Planned::no);
  edits.llama(
      "KeysOfNoBatch",
      [](Editor& e) {
        Node* node = e.attentions()[0];
        std::vector<Value> inputs = node->inputs();
        inputs[1] = part(e, inputs[1], 0, 0, 0);
        Value all = e.add("Concat", {node->output(), e.add(node->type(), inputs, node->attributes())}, {{"axis", "0"}});
        e.graph().replace_uses(node->output(), all, all.node);
      },
      Planned::no);
  edits.llama(
      "KeysAsValues",
      [](Editor& e) {
        for (Node* node : e.attentions()) node->set_input(2, node->input(1));
      },
      Planned::no);
  edits.llama(
      "LayersShareACache",
      [](Editor& e) {
        auto nodes = e.attentions();
        for (size_t input : {1, 2}) nodes[1]->set_input(input, nodes[0]->input(input));
      },
      Planned::no);
  return edits.all();
}

INSTANTIATE_TEST_SUITE_P(QueriesAndKeys, LoweringAttention, testing::ValuesIn(queries_and_keys()), test::edit_name);

/// Attention as its operations; scores become cap * tanh(score / cap) unless that is 0.
void write_out(Editor& e, float cap, bool transposes_keys) {
  for (Node* node : e.attentions()) {
    Value key = node->input(1);
    if (transposes_keys) key = e.add("Transpose", {key, e.ints({0, 1, 3, 2})});
    Attributes transpose{{"transpose_a", "false"}, {"transpose_b", transposes_keys ? "false" : "true"}};
    Value scores = e.add("Multiply", {e.add("MatMul", {node->input(0), key}, transpose), node->input(4)});
    if (cap != 0) scores = e.add("Multiply", {e.add("Tanh", {e.add("Divide", {scores, e.number(cap)})}), e.number(cap)});
    Value weights = e.add("Softmax", {e.add("Add", {scores, node->input(3)})}, {{"axis", "-1"}});
    Value mixed = e.add("MatMul", {weights, node->input(2)}, {{"transpose_a", "false"}, {"transpose_b", "false"}});
    e.graph().replace_uses(node->output(), mixed);
  }
}

std::vector<Edit> written_out() {
  Edits edits;
  edits.llama("AttentionWrittenOut", [](Editor& e) { write_out(e, 0, false); });
  edits.llama("AttentionWrittenOutWithTransposedKeys", [](Editor& e) { write_out(e, 0, true); });
  edits.llama("CappedScores", [](Editor& e) { write_out(e, 0.7f, false); });
  edits.llama("CappedScoresWithTransposedKeys", [](Editor& e) { write_out(e, 0.7f, true); });
  return edits.all();
}

INSTANTIATE_TEST_SUITE_P(WrittenOut, LoweringAttention, testing::ValuesIn(written_out()), test::edit_name);

std::vector<Edit> experts() {
  Edits edits;
  edits.add(
      "ExpertsOnTopOfSomething", "mixtral-int8",
      [](Editor& e) {
        for (Node* node : e.graph().of_type("ScatterElementsUpdate"))
          if (!node->input(0).node->is("ScatterElementsUpdate")) node->set_input(0, e.add("Add", {node->input(0), e.number(0.5f)}));
      },
      Planned::no);
  edits.add(
      "StackedExpertsOnTopOfSomething", "qwen3_moe-int4-sym-channel",
      [](Editor& e) {
        for (Node* node : e.graph().of_type("ScatterElementsUpdate")) node->set_input(0, e.add("Add", {node->input(0), e.number(0.5f)}));
      },
      Planned::no);
  return edits.all();
}

INSTANTIATE_TEST_SUITE_P(Experts, LoweringAttention, testing::ValuesIn(experts()), test::edit_name);

}  // namespace
}  // namespace nibble
