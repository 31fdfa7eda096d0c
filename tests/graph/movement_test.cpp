#include <gtest/gtest.h>

#include "graph/oracle_case.hpp"

namespace nibble::test {
namespace {

class MovementOps : public testing::TestWithParam<OracleCase> {};

TEST_P(MovementOps, GivesTheResultsOfOpenVino) { check_case(GetParam().op); }

TEST_P(MovementOps, InfersTheShapesOfOpenVino) { check_inference(GetParam()); }

INSTANTIATE_TEST_SUITE_P(Oracle, MovementOps, testing::ValuesIn(load_oracle_cases("movement_cases.json")), oracle_case_name);

}  // namespace
}  // namespace nibble::test
