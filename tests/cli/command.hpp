#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "scratch_directory.hpp"

namespace nibble::test {

/// How a run of the command ended.
struct Outcome {
  int code = -1;  ///< exit code; 1000 + signal where a signal ended it
  std::string out, err;

  /// Standard output as the one JSON document that it must be.
  nlohmann::json document() const { return nlohmann::json::parse(out); }
  /// Standard output as JSON documents, one a line.
  std::vector<nlohmann::json> lines() const;
};

/// The nibble command while it runs. Its input is a pipe, its output goes to files.
class Command {
 public:
  explicit Command(const std::vector<std::string>& arguments);
  ~Command();
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

  void write(std::string_view text);
  void close_input();
  void interrupt();  ///< as Ctrl-C does
  void kill();       ///< so that it cannot clean up
  std::string output() const { return file_text(scratch_ / "out"); }
  std::string errors() const { return file_text(scratch_ / "err"); }
  bool handles_interrupts() const;  ///< its start is over
  /// Waits until the condition holds; throws after a minute or when the command ends before.
  void wait_until(const std::function<bool()>& condition);
  /// Closes the input and waits for the end; throws after two minutes.
  Outcome finish();

 private:
  bool has_ended();

  ScratchDirectory scratch_;
  int process_ = -1, input_ = -1, status_ = 0;
  bool ended_ = false;
};

/// Runs the command to its end.
Outcome nibble(const std::vector<std::string>& arguments, std::string_view input = {});

inline std::string nib() { return std::string(NIBBLE_SOURCE_DIR) + "/models/nib"; }

}  // namespace nibble::test
