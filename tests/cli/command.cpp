#include "command.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <sstream>
#include <stdexcept>
#include <thread>

extern char** environ;

namespace nibble::test {

namespace {

using Clock = std::chrono::steady_clock;

void pause_a_little() { std::this_thread::sleep_for(std::chrono::milliseconds(5)); }

void require(int error, const char* what) {
  if (error != 0) throw std::runtime_error(std::string(what) + " failed");
}

/// What posix_spawn needs to know; freed with the object.
struct SpawnPlan {
  SpawnPlan() {
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
  }
  ~SpawnPlan() {
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
  }
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
};

}  // namespace

std::vector<nlohmann::json> Outcome::lines() const {
  std::vector<nlohmann::json> documents;
  std::istringstream stream(out);
  for (std::string line; std::getline(stream, line);) documents.push_back(nlohmann::json::parse(line));
  return documents;
}

Command::Command(const std::vector<std::string>& arguments) {
  ::signal(SIGPIPE, SIG_IGN);  // the command need not read its input
  int ends[2];
  require(::pipe2(ends, O_CLOEXEC), "pipe");
  input_ = ends[1];

  SpawnPlan plan;
  sigset_t defaults;
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGPIPE);
  posix_spawnattr_setsigdefault(&plan.attributes, &defaults);
  posix_spawnattr_setflags(&plan.attributes, POSIX_SPAWN_SETSIGDEF);
  posix_spawn_file_actions_adddup2(&plan.files, ends[0], 0);
  posix_spawn_file_actions_addopen(&plan.files, 1, (scratch_ / "out").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_addopen(&plan.files, 2, (scratch_ / "err").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);

  std::vector<std::string> words{NIBBLE_COMMAND};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  int error = ::posix_spawn(&process_, argv[0], &plan.files, &plan.attributes, argv.data(), environ);
  ::close(ends[0]);
  require(error, "posix_spawn");
}

Command::~Command() {
  close_input();
  if (ended_) return;
  ::kill(process_, SIGKILL);
  ::waitpid(process_, &status_, 0);
}

void Command::write(std::string_view text) {
  while (!text.empty()) {
    ssize_t count = ::write(input_, text.data(), text.size());
    if (count <= 0) return;  // the command has closed it
    text.remove_prefix(static_cast<size_t>(count));
  }
}

void Command::close_input() {
  if (input_ >= 0) ::close(input_);
  input_ = -1;
}

void Command::interrupt() { ::kill(process_, SIGINT); }

void Command::kill() { ::kill(process_, SIGKILL); }

bool Command::handles_interrupts() const {
  std::istringstream status(file_text("/proc/" + std::to_string(process_) + "/status"));
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("SigCgt:")) return std::stoull(line.substr(7), nullptr, 16) >> (SIGINT - 1) & 1;
  return false;
}

bool Command::has_ended() {
  if (!ended_) ended_ = ::waitpid(process_, &status_, WNOHANG) == process_;
  return ended_;
}

void Command::wait_until(const std::function<bool()>& condition) {
  auto limit = Clock::now() + std::chrono::minutes(1);
  while (!condition()) {
    if (has_ended()) throw std::runtime_error("the command ended early: " + errors());
    if (Clock::now() > limit) throw std::runtime_error("waited in vain; output so far: " + output());
    pause_a_little();
  }
}

Outcome Command::finish() {
  close_input();
  auto limit = Clock::now() + std::chrono::minutes(2);
  while (!has_ended()) {
    if (Clock::now() > limit) throw std::runtime_error("the command does not end; output so far: " + output());
    pause_a_little();
  }
  return {WIFEXITED(status_) ? WEXITSTATUS(status_) : 1000 + WTERMSIG(status_), output(), errors()};
}

Outcome nibble(const std::vector<std::string>& arguments, std::string_view input) {
  Command command(arguments);
  command.write(input);
  return command.finish();
}

}  // namespace nibble::test
