#include <fstream>
#include <nlohmann/json.hpp>

#include "ir_fixture.hpp"

namespace nibble {

using test::IrFixture;

namespace {

void check_directory(const std::string& directory) {
  SCOPED_TRACE(directory);
  IrFixture fixture(directory);
  std::ifstream file(fixture.directory() / "expected.json");
  double tolerance = nlohmann::json::parse(file)["tolerance"]["float32_engine_max_abs_diff"];
  Context context;
  test::ModelSession session(fixture.graph(), context);
  test::check_session(session, fixture.expected(), tolerance);
}

class ReferenceOnIr : public testing::TestWithParam<std::string> {};

TEST_P(ReferenceOnIr, AgreesWithOpenVino) { check_directory(GetParam()); }

INSTANTIATE_TEST_SUITE_P(Directories, ReferenceOnIr, testing::ValuesIn(test::fixture_directories(test::data_path("ir"))),
                         test::directory_name);

TEST(ReferenceOnIrFixtures, AllAgreeWithOpenVino) {
  auto directories = test::more_fixture_directories();
  if (directories.empty()) GTEST_SKIP() << "NIBBLE_FIXTURES does not name a folder with more models";
  for (const auto& directory : directories) check_directory(directory);
}

}  // namespace
}  // namespace nibble
