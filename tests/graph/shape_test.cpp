#include <gtest/gtest.h>

#include "graph/oracle_case.hpp"

namespace nibble::test {
namespace {

class ShapeOps : public testing::TestWithParam<OracleCase> {};

TEST_P(ShapeOps, GivesTheResultsOfOpenVino) { check_case(GetParam().op); }

TEST_P(ShapeOps, InfersTheShapesOfOpenVino) { check_inference(GetParam()); }

INSTANTIATE_TEST_SUITE_P(Oracle, ShapeOps, testing::ValuesIn(load_oracle_cases("shape_cases.json")), oracle_case_name);

}  // namespace
}  // namespace nibble::test
