#include <algorithm>
#include <array>
#include <system_error>

#include "base/fail.hpp"
#include "checkpoint/gguf/gguf_model.hpp"
#include "checkpoint/weight_source.hpp"

namespace nibble {

namespace fs = std::filesystem;

namespace {

struct Candidate {
  std::string_view name;
  std::unique_ptr<WeightSource> (*open)(const fs::path&);
};

// The names that Hugging Face's from_pretrained looks for, in its order: safetensors first, one file before shards.
constexpr std::array<Candidate, 4> kCandidates{{{"model.safetensors", open_safetensors},
                                                {"model.safetensors.index.json", open_sharded_safetensors},
                                                {"pytorch_model.bin", open_pytorch},
                                                {"pytorch_model.bin.index.json", open_sharded_pytorch}}};

std::vector<fs::path> other_safetensors(const fs::path& directory) {
  std::vector<fs::path> found;
  std::error_code code;
  for (fs::directory_iterator it(directory, code), end; !code && it != end; it.increment(code))
    if (it->path().extension() == ".safetensors") found.push_back(it->path());
  std::sort(found.begin(), found.end());
  return found;
}

[[noreturn]] void fail_not_found(const fs::path& directory, const std::vector<fs::path>& others) {
  std::string looked_for;
  for (const auto& candidate : kCandidates) looked_for += fmt::format("{}, ", candidate.name);
  std::string found;
  if (!others.empty())
    found = fmt::format(" (there are {} *.safetensors files, among them {}, and nothing says which belong together: is an index missing?)",
                        others.size(), others.front().filename().string());
  fail(ErrorKind::not_found, "{}: no weights found; looked for {}a single *.safetensors or *.gguf file{}", directory.string(), looked_for,
       found);
}

}  // namespace

std::unique_ptr<WeightSource> open_checkpoint(const fs::path& directory) {
  if (auto gguf = find_gguf(directory)) return open_gguf(*gguf);
  std::error_code code;
  if (!fs::is_directory(directory, code))
    fail(ErrorKind::not_found, "{}: is not a directory; a checkpoint is the directory that holds config.json and the weights",
         directory.string());
  for (const auto& candidate : kCandidates)
    if (auto path = directory / candidate.name; fs::exists(path, code)) return candidate.open(path);
  auto others = other_safetensors(directory);
  if (others.size() != 1) fail_not_found(directory, others);
  return open_safetensors(others.front());
}

}  // namespace nibble
