#include <gtest/gtest.h>

#include "graph/oracle_case.hpp"

namespace nibble::test {
namespace {

class VisionOps : public testing::TestWithParam<OracleCase> {};

TEST_P(VisionOps, GivesTheResultsOfOpenVino) { check_case(GetParam().op); }

TEST_P(VisionOps, InfersTheShapesOfOpenVino) { check_inference(GetParam()); }

INSTANTIATE_TEST_SUITE_P(Oracle, VisionOps, testing::ValuesIn(load_oracle_cases("vision_cases.json")), oracle_case_name);

}  // namespace
}  // namespace nibble::test
