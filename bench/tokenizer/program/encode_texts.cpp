// encode_texts DIRECTORY TEXTS.jsonl: times the tokenizer of a directory on texts, a JSON string in each line, and prints the seconds and a
// hash of the ids as JSON. What bench/tokenizer/measure.py runs.

#include <chrono>
#include <cstdint>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "nibble/context.hpp"
#include "nibble/tokenizer.hpp"

namespace {

using namespace nibble;
using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

std::vector<std::string> read_texts(const char* path) {
  std::vector<std::string> texts;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) texts.push_back(nlohmann::json::parse(line).get<std::string>());
  return texts;
}

/// FNV-1a, a step for each id.
uint64_t hash_of(const std::vector<Encoding>& encodings) {
  uint64_t value = 0xCBF29CE484222325u;
  for (const Encoding& encoding : encodings)
    for (int64_t id : encoding.ids) value = (value ^ static_cast<uint64_t>(id)) * 0x100000001B3u;
  return value;
}

int run(const char* directory, const std::vector<std::string>& texts) {
  auto start = Clock::now();
  const Tokenizer tokenizer(directory);
  nlohmann::json seconds{{"load", since(start)}};
  Context context;

  start = Clock::now();
  std::vector<Encoding> encodings;
  for (const std::string& text : texts) encodings.push_back(tokenizer.encode(text));
  seconds["encode"] = since(start);

  start = Clock::now();
  const auto batch = tokenizer.encode_batch(texts, context);
  seconds["batch"] = since(start);
  if (hash_of(batch) != hash_of(encodings)) return 1;

  start = Clock::now();
  size_t bytes = 0;
  for (const Encoding& encoding : encodings) bytes += tokenizer.decode(encoding.ids).size();
  seconds["decode"] = since(start);
  std::cout << nlohmann::json{{"seconds", seconds}, {"ids_hash", std::to_string(hash_of(encodings))}, {"decoded_bytes", bytes}} << "\n";
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: encode_texts DIRECTORY TEXTS.jsonl\n";
    return 2;
  }
  return run(argv[1], read_texts(argv[2]));
}
