#include <gmock/gmock.h>

#include "command.hpp"

namespace nibble {

using test::listing;
using test::nib;
using test::nibble;
using test::Outcome;
using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::IsSupersetOf;
using testing::StartsWith;

namespace {

using nlohmann::json;

class Export : public testing::Test {
 protected:
  std::string output() const { return scratch_ / "out"; }
  Outcome run(std::vector<std::string> options = {}) const {
    options.insert(options.begin(), {"export", nib(), output()});
    return nibble(options);
  }
  test::ScratchDirectory scratch_;
};

}  // namespace

TEST_F(Export, MakesADirectoryThatRuns) {
  Outcome made = run({"--weight-format", "int8"});
  EXPECT_EQ(made.code, 0) << made.err;
  EXPECT_THAT(made.err, IsEmpty());
  EXPECT_THAT(made.out, AllOf(HasSubstr("llama"), HasSubstr("2.75 million")));
  EXPECT_THAT(listing(output()), IsSupersetOf({"openvino_model.xml", "openvino_model.bin", "config.json", "generation_config.json",
                                               "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"}));
  EXPECT_THAT(listing(scratch_.path()), Contains("out")) << "and nothing beside it";
  EXPECT_EQ(nibble({"generate", output(), "-p", "Who are you?"}).out, "I am Nib, a tiny model that ships with Nibble.\n");
}

TEST_F(Export, TheXmlFileStandsForItsDirectory) {
  ASSERT_EQ(run().code, 0);
  std::string xml = std::filesystem::proximate(output()) / "openvino_model.xml";
  EXPECT_EQ(nibble({"generate", xml, "-p", "Who are you?"}).out, "I am Nib, a tiny model that ships with Nibble.\n");
  test::write_text(scratch_ / "text.txt", "Once there was a little fox.");
  EXPECT_EQ(nibble({"eval", xml, "--text", scratch_ / "text.txt"}).code, 0);
}

TEST_F(Export, JsonHasTheReport) {
  Outcome made = run({"--weight-format", "int4", "--sym", "--group-size", "64", "--json"});
  EXPECT_THAT(made.err, IsEmpty());
  json document = made.document();
  EXPECT_EQ(document["model"], nib());
  EXPECT_EQ(document["output"], output());
  EXPECT_EQ(document["model_type"], "llama");
  EXPECT_THAT(document["format"].get<std::string>(), AllOf(HasSubstr("int4_sym"), HasSubstr("64")));
  EXPECT_EQ(document["parameters"], 2'754'816);
  EXPECT_EQ(document["weight_bytes"], std::filesystem::file_size(std::filesystem::path(output()) / "openvino_model.bin"));
  EXPECT_LT(document["bits_per_weight"], 6);
  EXPECT_EQ(document["layers"]["int4_sym"], 28);
  EXPECT_GT(document["seconds"], 0);
  EXPECT_GT(document["peak_rss_mb"], 0);
}

TEST_F(Export, AnEmptyDirectoryIsFilled) {
  std::filesystem::create_directory(output());
  EXPECT_EQ(run().code, 0);
  EXPECT_THAT(listing(output()), Contains("openvino_model.xml"));
}

TEST_F(Export, AnExistingOutputIsRefusedAndLeftAlone) {
  std::filesystem::create_directory(output());
  test::write_text(scratch_ / "out/mine.txt", "precious");
  Outcome refused = run();
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.err, AllOf(StartsWith("nibble: error: "), HasSubstr(output())));
  EXPECT_THAT(listing(scratch_.path()), testing::ElementsAre("out", "out/mine.txt"));
  EXPECT_EQ(test::file_text(scratch_ / "out/mine.txt"), "precious");
}

TEST_F(Export, FailuresLeaveNothing) {
  for (const auto& options : std::vector<std::vector<std::string>>{
           {"--weight-format", "int4", "--group-size", "100"}, {"--weight-format", "int5"}, {"--task", "image-classification"}}) {
    Outcome failed = run(options);
    EXPECT_EQ(failed.code, 1) << options[1];
    EXPECT_THAT(failed.err, StartsWith("nibble: error: "));
    EXPECT_THAT(listing(scratch_.path()), IsEmpty());
  }
}

TEST_F(Export, ProgressGoesToStandardError) {
  Outcome made = run({"--progress", "--json"});
  EXPECT_NO_THROW(made.document());
  EXPECT_THAT(made.err, HasSubstr("100 %"));
}

}  // namespace nibble
