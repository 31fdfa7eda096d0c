#include "base/output_directory.hpp"

#include "base/output_file.hpp"
#include "expect_error.hpp"
#include "scratch_directory.hpp"

namespace nibble {

using test::fails;
using test::listing;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

namespace {

constexpr auto kTakeOver = OutputDirectory::Leftover::take_over;

class Directories : public testing::Test {
 protected:
  std::filesystem::path target() const { return scratch_ / "out"; }
  /// What a process leaves that is killed while it holds a file of a result.
  void leave(const std::string& file) const {
    OutputDirectory directory(target());
    write_file(directory.path() / file, "half");
    write_file(directory.workshop() / "notes", "of the making");
    directory.keep();
  }
  test::ScratchDirectory scratch_;
};

}  // namespace

TEST_F(Directories, AppearWhole) {
  OutputDirectory directory(target());
  write_file(directory.path() / "a", "1");
  write_file(directory.workshop() / "notes", "");
  EXPECT_FALSE(std::filesystem::exists(target()));
  directory.commit();
  EXPECT_THAT(listing(scratch_.path()), UnorderedElementsAre("out", "out/a"));
}

TEST_F(Directories, GoWithoutCommit) {
  {
    OutputDirectory directory(scratch_ / "new" / "out");
    write_file(directory.path() / "a", "1");
  }
  EXPECT_THAT(listing(scratch_.path()), IsEmpty());
}

TEST_F(Directories, TakeTheFileOutOfTheWayOfNobody) {
  test::write_text(target(), "precious");
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"out", "exists"}, [&] { OutputDirectory directory(target()); }));
  EXPECT_THAT(listing(scratch_.path()), ElementsAre("out"));
}

TEST_F(Directories, LeftoversAreCleared) {
  leave("old");
  OutputDirectory directory(target());
  write_file(directory.path() / "new", "");
  directory.commit();
  EXPECT_THAT(listing(scratch_.path()), ElementsAre("out", "out/new"));
}

TEST_F(Directories, LeftoversAreTakenOver) {
  leave("old");
  OutputDirectory directory(target(), kTakeOver);
  EXPECT_EQ(test::file_text(directory.path() / "old"), "half");
  EXPECT_EQ(test::file_text(directory.workshop() / "notes"), "of the making");
  directory.commit();
  EXPECT_THAT(listing(scratch_.path()), ElementsAre("out", "out/old"));
}

TEST_F(Directories, FilesOfOthersAreNotTouched) {
  std::filesystem::create_directory(scratch_ / "out.partial");
  test::write_text(scratch_ / "out.partial/thesis.txt", "precious");
  for (auto leftover : {OutputDirectory::Leftover::remove, kTakeOver})
    EXPECT_TRUE(
        fails(ErrorKind::invalid_argument, {"out.partial", "not Nibble's"}, [&] { OutputDirectory directory(target(), leftover); }));
  EXPECT_THAT(listing(scratch_.path()), ElementsAre("out.partial", "out.partial/thesis.txt"));
}

TEST_F(Directories, AFileInTheWayIsNotTouched) {
  test::write_text(scratch_ / "out.partial", "precious");
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"out.partial", "in the way"}, [&] { OutputDirectory directory(target()); }));
  EXPECT_EQ(test::file_text(scratch_ / "out.partial"), "precious");
}

TEST_F(Directories, ALinkInTheWayIsNotFollowed) {
  std::filesystem::create_directory(scratch_ / "elsewhere");
  std::filesystem::create_directory_symlink(scratch_ / "elsewhere", scratch_ / "out.partial");
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"out.partial", "in the way"}, [&] { OutputDirectory directory(target()); }));
  EXPECT_TRUE(std::filesystem::is_empty(scratch_ / "elsewhere"));
}

TEST_F(Directories, HaveOneMakerAtATime) {
  OutputDirectory first(target());
  write_file(first.path() / "a", "1");
  for (auto leftover : {OutputDirectory::Leftover::remove, kTakeOver})
    EXPECT_TRUE(
        fails(ErrorKind::invalid_argument, {"out.partial", "another process"}, [&] { OutputDirectory second(target(), leftover); }));
  first.commit();
  EXPECT_THAT(listing(scratch_.path()), ElementsAre("out", "out/a"));
}

TEST_F(Directories, WhatAppearsMeanwhileWins) {
  OutputDirectory directory(target());
  std::filesystem::create_directory(target());
  test::write_text(target() / "mine", "precious");
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"out", "rename"}, [&] { directory.commit(); }));
  EXPECT_EQ(test::file_text(target() / "mine"), "precious");
}

}  // namespace nibble
