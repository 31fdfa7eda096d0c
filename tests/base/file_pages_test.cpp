#include "base/file_pages.hpp"

#include <gtest/gtest.h>

#include "base/mapped_file.hpp"
#include "base/memory_block.hpp"
#include "scratch_directory.hpp"

namespace nibble {
namespace {

constexpr size_t kBytes = 100000;

TEST(FilePages, CoverAMappedFile) {
  test::ScratchDirectory directory;
  test::write_text(directory / "file", std::string(kBytes, 'x'));
  auto file = MappedFile::open(directory / "file");
  FilePages pages;
  EXPECT_TRUE(pages.cover(file->bytes()));
  EXPECT_TRUE(pages.cover(file->bytes().subspan(7, 12345)));
}

TEST(FilePages, DoNotCoverOtherMemory) {
  auto block = MemoryBlock::allocate(kBytes);
  std::vector<std::byte> heap(100);
  FilePages pages;
  EXPECT_FALSE(pages.cover({block->data(), kBytes}));
  EXPECT_FALSE(pages.cover(heap));
}

TEST(FilePages, ReleaseKeepsTheContentOfEverything) {
  test::ScratchDirectory directory;
  test::write_text(directory / "file", std::string(kBytes, 'x'));
  auto file = MappedFile::open(directory / "file");
  auto block = MemoryBlock::allocate(kBytes);
  std::fill_n(block->data(), kBytes, std::byte{'y'});
  FilePages pages;
  pages.release(file->bytes());
  pages.release({block->data(), kBytes});
  auto all = [](std::span<const std::byte> bytes, char c) {
    return std::all_of(bytes.begin(), bytes.end(), [&](std::byte b) { return b == static_cast<std::byte>(c); });
  };
  EXPECT_TRUE(all(file->bytes(), 'x'));
  EXPECT_TRUE(all({block->data(), kBytes}, 'y'));
}

TEST(MemoryBlock, IsZeroedAndAligned) {
  auto block = MemoryBlock::allocate(kBytes);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(block->data()) % 64, 0u);
  EXPECT_EQ(std::count(block->data(), block->data() + kBytes, std::byte{0}), static_cast<std::ptrdiff_t>(kBytes));
}

TEST(MemoryBlock, OfNothingIsEmpty) { EXPECT_EQ(MemoryBlock::allocate(0)->size(), 0u); }

}  // namespace
}  // namespace nibble
