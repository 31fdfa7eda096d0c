#include "graph/oracle_case.hpp"

#include <fstream>
#include <nlohmann/json.hpp>

namespace nibble::test {

namespace {

void expect_inferred(const OpCase& op, Known known, const std::vector<std::string>& expected) {
  Graph graph;
  Node& node = build_case(graph, op, known);
  ASSERT_EQ(node.output_count(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(to_string(node.output_info(i).shape), expected[i]);
}

void expect_agreement(const OpCase& op, Known known) {
  Graph graph;
  Node& node = build_case(graph, op, known);
  ASSERT_EQ(node.output_count(), op.outputs.size());
  for (size_t i = 0; i < op.outputs.size(); ++i)
    EXPECT_TRUE(agrees(node.output_info(i), op.outputs[i])) << "inferred [" << to_string(node.output_info(i).shape) << "]";
}

}  // namespace

std::vector<OracleCase> load_oracle_cases(const std::string& file) {
  std::ifstream stream(std::string(NIBBLE_SOURCE_DIR) + "/tests/data/graph/" + file);
  auto json = nlohmann::json::parse(stream);
  std::vector<OracleCase> cases;
  for (OpCase& op : load_cases(file)) {
    const auto& entry = json.at(cases.size());
    std::vector<std::string> none;
    cases.push_back({std::move(op), entry.value("inferred", none), entry.value("inferred_dynamic", none)});
  }
  return cases;
}

std::string oracle_case_name(const testing::TestParamInfo<OracleCase>& info) { return info.param.op.name; }

void PrintTo(const OracleCase& oracle, std::ostream* stream) { *stream << oracle.op.name; }

void check_inference(const OracleCase& oracle) {
  if (!oracle.inferred.empty()) {
    expect_inferred(oracle.op, Known::shapes, oracle.inferred);
    expect_inferred(oracle.op, Known::ranks, oracle.inferred_dynamic);
  }
  OpCase without_constants = oracle.op;
  for (auto& input : without_constants.inputs) input.constant = false;
  expect_agreement(without_constants, Known::shapes);
  bool needs_list_length = oracle.op.type == "VariadicSplit";  // the number of outputs is the length of a list
  if (!needs_list_length) expect_agreement(without_constants, Known::nothing);
}

}  // namespace nibble::test
