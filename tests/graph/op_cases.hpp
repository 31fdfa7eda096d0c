#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "graph/graph.hpp"

namespace nibble::test {

/// One operation with inputs and the outputs that the reference implementation computed for them.
struct OpCase {
  struct Input {
    Tensor value;
    bool constant = false;
  };
  std::string name, type, opset;
  Attributes attributes;
  std::vector<Input> inputs;
  std::vector<Tensor> outputs;
};

void PrintTo(const OpCase& op_case, std::ostream* stream);

/// Cases of tests/data/graph/<file>, which a script beside the tests writes.
std::vector<OpCase> load_cases(const std::string& file);
/// For test names.
std::string case_name(const testing::TestParamInfo<OpCase>& info);

/// How much of the inputs' shapes inference may know.
enum class Known { shapes, ranks, nothing };

/// A graph with this operation alone, its inputs Parameters (Constants where the case says so).
Node& build_case(Graph& graph, const OpCase& op_case, Known known);

/// Evaluates a node on these inputs.
std::vector<Tensor> evaluate(const Node& node, const std::vector<Tensor>& inputs, int threads = 1);
std::vector<Tensor> evaluate(const Node& node, const OpCase& op_case, int threads = 1);

/// Builds a node of Parameters shaped like `inputs` and evaluates it.
std::vector<Tensor> run_op(std::string_view type, const std::vector<Tensor>& inputs, Attributes attributes = {});

/// Whether a tensor may come out where inference promised this.
bool agrees(const OutputInfo& inferred, const Tensor& actual);

/// Fails the current test where `actual` differs from `expected`: exactly for integers, else by more than the type's precision.
void expect_close(const Tensor& actual, const Tensor& expected);

/// Checks a case: inference with less and less known, then the values.
void check_case(const OpCase& op_case);

}  // namespace nibble::test
