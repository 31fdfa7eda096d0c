#pragma once

#include <string>
#include <vector>

#include "graph/op_cases.hpp"

namespace nibble::test {

/// A case with the shapes that the reference infers for it, as to_string(PartialShape) writes them.
struct OracleCase {
  OpCase op;
  std::vector<std::string> inferred;          ///< from static shapes; empty = not compared
  std::vector<std::string> inferred_dynamic;  ///< from data whose dimensions are all dynamic
};

/// The cases of tests/data/graph/<file>.
std::vector<OracleCase> load_oracle_cases(const std::string& file);
std::string oracle_case_name(const testing::TestParamInfo<OracleCase>& info);
void PrintTo(const OracleCase& oracle, std::ostream* stream);

/// Checks that inference says what the reference says, and nothing wrong when axes, shapes and the like are not constants.
void check_inference(const OracleCase& oracle);

}  // namespace nibble::test
