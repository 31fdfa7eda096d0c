#include "base/file_pages.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <fstream>
#include <string>

namespace nibble {

FilePages::FilePages() {
  // "begin-end permissions offset device inode path"; memory without a file has inode 0. What a linker relocated and then protected looks
  // the same, but tables of numbers are not relocated.
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    uintptr_t begin = 0, end = 0;
    unsigned long inode = 0;
    char permissions[5] = "";
    if (std::sscanf(line.c_str(), "%" SCNxPTR "-%" SCNxPTR " %4s %*x %*x:%*x %lu", &begin, &end, permissions, &inode) != 4) continue;
    if (inode == 0 || permissions[0] != 'r' || permissions[1] != '-') continue;
    if (!mappings_.empty() && mappings_.back().end == begin)
      mappings_.back().end = end;
    else
      mappings_.push_back({begin, end});
  }
}

bool FilePages::cover(std::span<const std::byte> range) const {
  auto begin = reinterpret_cast<uintptr_t>(range.data()), end = begin + range.size();
  auto after = std::upper_bound(mappings_.begin(), mappings_.end(), begin, [](uintptr_t at, const Mapping& m) { return at < m.begin; });
  return after != mappings_.begin() && end <= std::prev(after)->end;
}

void FilePages::release(std::span<const std::byte> range) const {
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  auto begin = (reinterpret_cast<uintptr_t>(range.data()) + page - 1) / page * page;
  auto end = (reinterpret_cast<uintptr_t>(range.data()) + range.size()) / page * page;
  if (begin < end && cover(range)) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

}  // namespace nibble
