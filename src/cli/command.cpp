#include "cli/command.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>

#include "nibble/error.hpp"

namespace nibble::cli {

void ModelOptions::add_to(CLI::App& command, bool with_device) {
  command.add_option("model", model, "model directory (OpenVINO IR or Hugging Face checkpoint) or GGUF file")->required();
  if (with_device) {
    command.add_option("--device", device, fmt::format("device to run on (default {}; see nibble devices)", default_device()));
    command.add_option("--property", properties, "device property, NAME=VALUE; may be repeated")->allow_extra_args(false);
    command.add_option("-t,--threads", threads, "threads to use (default: one per core)")->check(CLI::Range(0, 4096));
  }
  command.add_flag("--progress", progress, "show progress even when stderr is no terminal");
  command.add_flag("-v,--verbose", verbose, "log what happens to stderr");
}

Properties ModelOptions::property_map() const {
  Properties map;
  for (const std::string& pair : properties) {
    size_t equals = pair.find('=');
    if (equals == std::string::npos || equals == 0) throw UsageError(fmt::format("--property takes NAME=VALUE, not \"{}\"", pair));
    map[pair.substr(0, equals)] = pair.substr(equals + 1);
  }
  return map;
}

std::shared_ptr<Context> ModelOptions::context() const {
  LogLevel least = verbose ? LogLevel::debug : LogLevel::warning;
  auto log = [least](LogLevel level, std::string_view message) {
    if (level >= least) std::cerr << fmt::format("nibble: {}\n", message);
  };
  return std::make_shared<Context>(ContextOptions{threads, log});
}

std::string dump_line(const json& document) { return document.dump(-1, ' ', false, json::error_handler_t::replace); }

void print(std::string_view text) {
  std::cout.write(text.data(), static_cast<std::streamsize>(text.size()));
  std::cout.flush();
  if (!std::cout) throw Error(ErrorKind::exhausted, "cannot write to standard output");
}

void print_json(const json& document) { print(document.dump(2, ' ', false, json::error_handler_t::replace) + "\n"); }

std::vector<int64_t> parse_ids(const std::string& text) {
  std::vector<int64_t> ids;
  std::string_view rest = text;
  while (!rest.empty()) {
    size_t comma = rest.find(',');
    std::string_view item = rest.substr(0, comma);
    while (!item.empty() && item.front() == ' ') item.remove_prefix(1);
    while (!item.empty() && item.back() == ' ') item.remove_suffix(1);
    int64_t id = 0;
    auto [end, error] = std::from_chars(item.data(), item.data() + item.size(), id);
    if (error != std::errc() || end != item.data() + item.size())
      throw UsageError(fmt::format("\"{}\" is no list of numbers like 1,2,3", text));
    ids.push_back(id);
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  return ids;
}

std::string read_text_file(const std::string& path, std::string_view what) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(ErrorKind::not_found, fmt::format("{}: cannot open {}", path, what));
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string read_stdin() { return {std::istreambuf_iterator<char>(std::cin), {}}; }

namespace {

json parse_line(const std::string& line) {
  constexpr int kMaxDepth = 256;  // what follows copies and prints, which recurses
  auto check_depth = [&](int depth, json::parse_event_t, json&) {
    if (depth > kMaxDepth) throw Error(ErrorKind::invalid_argument, fmt::format("the line is nested more than {} levels deep", kMaxDepth));
    return true;
  };
  json parsed = json::parse(line, check_depth, false);
  if (!parsed.is_object()) throw Error(ErrorKind::invalid_argument, "expected a JSON object on each line");
  return parsed;
}

}  // namespace

void for_each_json_line(const std::function<void(const json&)>& answer, const std::function<void(const std::string&)>& report) {
  for (std::string line; std::getline(std::cin, line);) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    try {
      answer(parse_line(line));
    } catch (const Error& error) {
      report(error.what());
    } catch (const json::exception& error) {
      report(error.what());
    }
  }
}

std::string human_bytes(double bytes) {
  const char* units[] = {"B", "kB", "MB", "GB", "TB"};
  size_t unit = 0;
  while (bytes >= 1000 && unit < 4) bytes /= 1000, ++unit;
  return unit == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.2f} {}", bytes, units[unit]);
}

std::string format_table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows)
    for (size_t i = 0; i < row.size(); ++i) {
      if (i == widths.size()) widths.push_back(0);
      widths[i] = std::max(widths[i], row[i].size());
    }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      bool number = i > 0;
      line += number ? fmt::format("  {:>{}}", row[i], widths[i]) : fmt::format("{:<{}}", row[i], widths[i]);
    }
    text += line + "\n";
  }
  return text;
}

}  // namespace nibble::cli
