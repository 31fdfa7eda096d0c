// Writing goes on where another run ended, and the result is the same.
#include <gmock/gmock.h>

#include <atomic>
#include <numeric>

#include "expect_error.hpp"
#include "ir/writer.hpp"
#include "scratch_directory.hpp"

namespace nibble {

using testing::HasSubstr;

namespace {

constexpr size_t kSlice = 256;

/// Bytes that depend on their place; counts the rows that it made.
class CountingSource final : public ConstantSource {
 public:
  explicit CountingSource(int64_t rows) : shape_{rows, 16} {}
  size_t output_count() const override { return 1; }
  ElementType type(size_t) const override { return ElementType::u8; }
  const Shape& shape(size_t) const override { return shape_; }
  int64_t rows() const override { return shape_[0]; }
  void produce(int64_t begin, int64_t end, std::span<const std::span<std::byte>> out) const override {
    for (size_t i = 0; i < out[0].size(); ++i) out[0][i] = static_cast<std::byte>((static_cast<size_t>(begin) * 16 + i) * 7 % 253);
    made += end - begin;
  }
  mutable std::atomic<int64_t> made{0};

 private:
  Shape shape_;
};

class StopAfter final : public Progress {
 public:
  explicit StopAfter(int slices) : left_(slices) {}
  void begin(std::string_view, uint64_t, std::string_view) override {}
  void advance(uint64_t) override { --left_; }
  void end() override {}
  bool cancelled() const override { return left_ <= 0; }

 private:
  std::atomic<int> left_;
};

Tensor counted_bytes(size_t count) {
  std::vector<uint8_t> values(count);
  std::iota(values.begin(), values.end(), uint8_t{0});
  return Tensor::from<uint8_t>({static_cast<int64_t>(count)}, values);
}

class Resume : public testing::Test {
 protected:
  Resume() {
    graph_.add_constant(counted_bytes(5), "small");  // a gap follows
    graph_.add_constant({source_, 0}, "lazy");
    graph_.add_constant(counted_bytes(5001), "view");
    graph_.add_constant({last_, 0}, "last");
    for (Node* node : graph_.of_type("Constant")) graph_.add("Result", {node->output()}, {}, "out_" + node->name());
  }

  WriteOptions options(const std::string& identity = "the same") const {
    WriteOptions options{.slice_bytes = kSlice};
    options.resumable = {scratch_ / "journal", {{"other words", identity}}, true};
    return options;
  }
  std::filesystem::path xml() const { return scratch_ / "model.xml"; }
  std::string bin() const { return test::file_text(scratch_ / "model.bin"); }

  WriteResult write(const std::string& identity = "the same") { return write_ir(graph_, xml(), context_, nullptr, options(identity)); }
  void stop_after(int slices) {
    StopAfter progress(slices);
    EXPECT_TRUE(test::fails(ErrorKind::cancelled, {}, [&] { write_ir(graph_, xml(), context_, &progress, options()); }));
  }
  std::string expected() {
    test::ScratchDirectory scratch;
    write_ir(graph_, scratch / "model.xml", context_);
    source_->made = 0;
    return test::file_text(scratch / "model.bin");
  }
  void overwrite(uint64_t offset, const std::string& text) const {
    std::fstream file(scratch_ / "model.bin", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(offset)).write(text.data(), static_cast<std::streamsize>(text.size()));
  }

  std::shared_ptr<CountingSource> source_ = std::make_shared<CountingSource>(1000), last_ = std::make_shared<CountingSource>(300);
  Graph graph_;
  std::string log_;
  Context context_{{.threads = 2, .log = [this](LogLevel, std::string_view text) { log_ += text; }}};
  test::ScratchDirectory scratch_;
};

}  // namespace

TEST_F(Resume, StoppedAnywhereGivesTheSameBytes) {
  std::string whole = expected();
  for (int slices : {1, 2, 10, 30, 60}) {
    for (const char* file : {"journal", "model.xml"}) std::filesystem::remove(scratch_ / file);
    stop_after(slices);
    EXPECT_FALSE(std::filesystem::exists(xml()));
    write();
    EXPECT_EQ(bin(), whole) << slices;
  }
}

TEST_F(Resume, WhatIsThereIsNotMadeAgain) {
  expected();
  stop_after(40);
  int64_t before = source_->made.load();
  EXPECT_GT(before, 0);
  EXPECT_GT(write().kept_bytes, 30 * kSlice / 2);
  EXPECT_LE(source_->made.load(), 1000);
  EXPECT_EQ(write().kept_bytes, 5 + 16000 + 5001 + 4800u);
}

TEST_F(Resume, ChangedBytesAreMadeAgain) {
  std::string whole = expected();
  write();
  for (size_t at : {size_t{0}, size_t{4}, size_t{100}, size_t{9000}, whole.size() - 1}) {
    overwrite(at, "?");
    WriteResult result = write();
    EXPECT_EQ(bin(), whole) << at;
    EXPECT_LT(result.kept_bytes, 5 + 16000 + 5001 + 4800u);
    EXPECT_GT(result.kept_bytes, 20000u);
  }
}

TEST_F(Resume, GapsAndEndAreMadeAgain) {
  std::string whole = expected();
  write();
  overwrite(5, std::string(59, '?'));
  overwrite(whole.size(), "more than there should be");
  write();
  EXPECT_EQ(bin(), whole);
}

TEST_F(Resume, AFileThatGotShorterIsFilled) {
  std::string whole = expected();
  write();
  std::filesystem::resize_file(scratch_ / "model.bin", 7000);
  write();
  EXPECT_EQ(bin(), whole);
}

TEST_F(Resume, WithoutTheJournalAllIsMadeAgain) {
  std::string whole = expected();
  write();
  std::filesystem::remove(scratch_ / "journal");
  overwrite(9000, "?");
  EXPECT_EQ(write().kept_bytes, 0u);
  EXPECT_EQ(bin(), whole);
  EXPECT_EQ(log_, "");
}

TEST_F(Resume, AnotherIdentityBeginsAgainAndSaysSo) {
  stop_after(40);
  EXPECT_EQ(write("new").kept_bytes, 0u);
  EXPECT_THAT(log_, AllOf(HasSubstr(scratch_.path().string()), HasSubstr("other words"), HasSubstr("begun again")));
}

TEST_F(Resume, AnotherGraphBeginsAgainAndSaysSo) {
  stop_after(40);
  graph_.name() = "renamed";
  EXPECT_EQ(write().kept_bytes, 0u);
  EXPECT_THAT(log_, HasSubstr("another graph"));
}

}  // namespace nibble
