#include "ir/write_journal.hpp"

#include <gmock/gmock.h>

#include "scratch_directory.hpp"

namespace nibble {

using testing::Eq;
using testing::Optional;

namespace {

const WriteIdentity kIdentity{{"other options", "int4"}, {"another graph", "abc"}};

class Journal : public testing::Test {
 protected:
  std::filesystem::path path() const { return scratch_ / "journal"; }
  void write() const {
    WriteJournal journal(path(), kIdentity, 10, false);
    journal.add(3, 33);
    journal.add(7, 77);
  }
  /// Replaces the file by what `change` makes of it.
  void damage(const std::function<std::string(std::string)>& change) const { test::write_text(path(), change(test::file_text(path()))); }
  std::string refusal(const WriteIdentity& identity) const { return WriteJournal(path(), identity, 10, true).refusal(); }

  test::ScratchDirectory scratch_;
};

}  // namespace

TEST_F(Journal, BeginsEmpty) {
  WriteJournal journal(path(), kIdentity, 10, true);
  EXPECT_FALSE(journal.continues());
  EXPECT_EQ(journal.refusal(), "");
  EXPECT_EQ(journal.hash(3), std::nullopt);
}

TEST_F(Journal, GoesOnWithEntries) {
  write();
  WriteJournal journal(path(), kIdentity, 10, true);
  EXPECT_TRUE(journal.continues());
  EXPECT_THAT(journal.hash(3), Optional(Eq(33u)));
  EXPECT_THAT(journal.hash(7), Optional(Eq(77u)));
  EXPECT_EQ(journal.hash(4), std::nullopt);
}

TEST_F(Journal, EntriesOfSeveralRunsAddUp) {
  write();
  { WriteJournal(path(), kIdentity, 10, true).add(4, 44); }
  WriteJournal journal(path(), kIdentity, 10, true);
  EXPECT_THAT(journal.hash(3), Optional(Eq(33u)));
  EXPECT_THAT(journal.hash(4), Optional(Eq(44u)));
}

TEST_F(Journal, TheLastEntryOfASliceCounts) {
  write();
  { WriteJournal(path(), kIdentity, 10, true).add(3, 34); }
  EXPECT_THAT(WriteJournal(path(), kIdentity, 10, true).hash(3), Optional(Eq(34u)));
}

TEST_F(Journal, BeginsAnewUnlessTold) {
  write();
  EXPECT_EQ(WriteJournal(path(), kIdentity, 10, false).hash(3), std::nullopt);
  EXPECT_EQ(WriteJournal(path(), kIdentity, 10, true).hash(3), std::nullopt);
}

TEST_F(Journal, AnotherIdentityIsNamed) {
  write();
  EXPECT_EQ(refusal({{"other options", "int8"}, {"another graph", "abc"}}), "other options");
  write();
  EXPECT_EQ(refusal({{"other options", "int4"}, {"another graph", "abd"}}), "another graph");
  write();
  EXPECT_EQ(refusal({{"other options", "int4"}}), "another version of Nibble");
  EXPECT_EQ(refusal({{"other options", "int4"}}), "") << "after it began anew";
}

TEST_F(Journal, AnEntryThatWasCutOffIsForgotten) {
  write();
  damage([](std::string text) { return text.substr(0, text.size() - 5); });
  {
    WriteJournal journal(path(), kIdentity, 10, true);
    EXPECT_THAT(journal.hash(3), Optional(Eq(33u)));
    EXPECT_EQ(journal.hash(7), std::nullopt);
    journal.add(8, 88);
  }
  EXPECT_THAT(WriteJournal(path(), kIdentity, 10, true).hash(8), Optional(Eq(88u)));
}

TEST_F(Journal, DamagedFilesAreNotTrusted) {
  write();
  size_t size = test::file_text(path()).size();
  for (size_t at = 0; at < size; ++at) {
    write();
    damage([&](std::string text) {
      text[at] = static_cast<char>(text[at] ^ 0x15);
      return text;
    });
    WriteJournal journal(path(), kIdentity, 10, true);
    for (auto [slice, hash] : {std::pair(3u, 33u), {7u, 77u}})
      EXPECT_TRUE(!journal.hash(slice) || *journal.hash(slice) == hash) << "byte " << at;
    for (size_t slice : {0u, 1u, 2u, 4u, 5u, 6u, 8u, 9u}) EXPECT_EQ(journal.hash(slice), std::nullopt) << "byte " << at;
  }
}

TEST_F(Journal, JsonOfAnyFormIsRefused) {
  for (const char* text :
       {"", "\n", "[]\n", "{}\n", "{\"format\":1}\n", "{\"format\":1,\"identity\":3}\n", "{\"format\":1,\"identity\":[]}\n",
        "{\"format\":2,\"identity\":[]}\n", "null\n", "no JSON\n", "{\"format\":1"}) {
    test::write_text(path(), text);
    EXPECT_FALSE(WriteJournal(path(), kIdentity, 10, true).continues()) << text;
  }
}

}  // namespace nibble
