#include "device/cpu/kernels/isa.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <string>

#include "device/cpu/kernels/row_ops.hpp"
#include "nibble/error.hpp"

namespace nibble::cpu {
namespace {

using ::testing::HasSubstr;

constexpr Isa kAll[]{Isa::scalar, Isa::avx2, Isa::avx2vnni, Isa::avx512vnni, Isa::avx512bf16};

/// Sets NIBBLE_CPU_ISA as long as it lives.
class ForcedIsa {
 public:
  explicit ForcedIsa(const char* value) {
    if (const char* before = std::getenv(kName)) before_ = before;
    set(value);
  }
  ~ForcedIsa() { set(before_ ? before_->c_str() : nullptr); }
  ForcedIsa(const ForcedIsa&) = delete;
  ForcedIsa& operator=(const ForcedIsa&) = delete;

 private:
  static constexpr const char* kName = "NIBBLE_CPU_ISA";
  static void set(const char* value) { value ? setenv(kName, value, 1) : unsetenv(kName); }
  std::optional<std::string> before_;
};

/// The error of selected_isa() under this value.
std::optional<Error> refusal(const std::string& value) {
  ForcedIsa forced(value.c_str());
  try {
    selected_isa();
  } catch (const Error& error) {
    return error;
  }
  return std::nullopt;
}

TEST(IsaTest, ScalarIsAlwaysThereAndFirst) { EXPECT_EQ(available_isas().front(), Isa::scalar); }

TEST(IsaTest, AvailableOnesAscend) {
  const auto isas = available_isas();
  EXPECT_TRUE(std::is_sorted(isas.begin(), isas.end()));
  EXPECT_EQ(std::adjacent_find(isas.begin(), isas.end()), isas.end());
}

TEST(IsaTest, TheBestIsSelectedUnlessForced) {
  for (const char* value : {static_cast<const char*>(nullptr), ""}) {
    ForcedIsa forced(value);
    EXPECT_EQ(selected_isa(), available_isas().back());
  }
}

TEST(IsaTest, EveryAvailableOneCanBeForced) {
  for (Isa isa : available_isas()) {
    ForcedIsa forced(std::string(to_string(isa)).c_str());
    EXPECT_EQ(selected_isa(), isa) << to_string(isa);
  }
}

TEST(IsaTest, OneThatTheProcessorLacksIsRefused) {
  const auto available = available_isas();
  for (Isa isa : kAll) {
    const bool has = std::find(available.begin(), available.end(), isa) != available.end();
    const std::string name(to_string(isa));
    const auto error = refusal(name);
    ASSERT_EQ(error.has_value(), !has) << name;
    if (has) continue;
    EXPECT_EQ(error->kind(), ErrorKind::device);
    EXPECT_THAT(error->what(), HasSubstr("NIBBLE_CPU_ISA=" + name));
    EXPECT_THAT(error->what(), HasSubstr(std::string(to_string(available.back())))) << "says what there is";
  }
}

TEST(IsaTest, AnUnknownNameIsRefused) {
  for (const char* value : {"avx", "AVX2", "avx2 ", "avx10", "0"}) {
    const auto error = refusal(value);
    ASSERT_TRUE(error) << value;
    EXPECT_EQ(error->kind(), ErrorKind::invalid_argument);
    EXPECT_THAT(error->what(), HasSubstr(std::string("NIBBLE_CPU_ISA=") + value));
    for (Isa isa : kAll) EXPECT_THAT(error->what(), HasSubstr(std::string(to_string(isa))));
  }
}

TEST(IsaTest, RowOpsAreOfTheInstructionSetAskedForOrTheNextLowerThatTheyAreWrittenFor) {
  auto expected = [](Isa isa) -> std::string {
    if (isa == Isa::avx2vnni) return "row_ops_avx2";
    if (isa == Isa::avx512bf16) return "row_ops_avx512vnni";
    return "row_ops_" + std::string(to_string(isa));
  };
  for (Isa isa : available_isas()) EXPECT_EQ(row_ops(isa).name, expected(isa));
}

}  // namespace
}  // namespace nibble::cpu
