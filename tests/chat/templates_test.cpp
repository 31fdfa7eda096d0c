#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/mapped_file.hpp"
#include "chat/reference_time.hpp"
#include "nibble/chat.hpp"
#include "nibble/error.hpp"

namespace nibble {
namespace {

using nlohmann::ordered_json;
namespace fs = std::filesystem;

const std::string folder = std::string(NIBBLE_SOURCE_DIR) + "/tests/data/chat/templates";

std::vector<std::string> names() {
  std::vector<std::string> result;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().extension() == ".jinja") result.push_back(entry.path().stem().string());
  std::sort(result.begin(), result.end());
  return result;
}

class Templates : public testing::TestWithParam<std::string> {};

void check_error(const ordered_json& expected, const std::string& source, const std::string& context, const ChatRenderOptions& options) {
  const std::string kind = expected["kind"], message = expected["message"];
  try {
    const std::string text = ChatTemplate(source).render(context, options);
    ADD_FAILURE() << "renders as " << text << " instead of " << kind << ": " << message;
  } catch (const Error& error) {
    if (kind == "TemplateError") {
      EXPECT_EQ(error.what(), message);
    } else {
      EXPECT_NE(std::string(error.what()).find(message), std::string::npos) << error.what() << "\ninstead of " << message;
    }
  }
}

void check_case(const ordered_json& expected, const std::string& source) {
  ChatRenderOptions options;
  options.now = reference_time();
  options.continue_final_message = expected.value("continue_final_message", false);
  std::string context = expected["context"].dump();
  if (expected.contains("error")) return check_error(expected["error"], source, context, options);
  const RenderedChat chat = ChatTemplate(source).render_tracked(context, options);
  EXPECT_EQ(chat.text, expected["expected"]);
  if (!expected.contains("generation")) return;
  ordered_json ranges = ordered_json::array();
  for (const CharacterRange& range : chat.generation) ranges.push_back({range.begin, range.end});
  EXPECT_EQ(ranges, expected["generation"]);
}

/// Every case against transformers 4.57.6.
TEST_P(Templates, EqualTheReference) {
  const std::string source = read_file(folder + "/" + GetParam() + ".jinja");
  const ordered_json reference = ordered_json::parse(read_file(folder + "/" + GetParam() + ".json"));
  ASSERT_FALSE(reference["cases"].empty());
  for (const ordered_json& expected : reference["cases"]) {
    SCOPED_TRACE(expected["name"].get<std::string>());
    check_case(expected, source);
  }
}

INSTANTIATE_TEST_SUITE_P(Reference, Templates, testing::ValuesIn(names()), [](const auto& parameter) {
  std::string name = parameter.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

TEST(Templates, AreAllThere) { EXPECT_EQ(names().size(), 63u); }

}  // namespace
}  // namespace nibble
