#include "tokenizer/regex.hpp"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <limits>
#include <mutex>
#include <optional>

#include "base/fail.hpp"
#include "tokenizer/regex_syntax.hpp"
#include "tokenizer/utf8.hpp"

namespace nibble::tokenizer {
namespace {

constexpr size_t kMaxPatternSize = 64 << 10;
// Backtracking steps of one match: real patterns need a handful, or a few for each character of a long run of spaces.
constexpr size_t kMatchLimit = 1'000'000, kMatchLimitPerByte = 8;
constexpr uint32_t kHeapLimitKiB = 64 << 10;  // of the interpreter, where a match outgrows the compiled code's stack
constexpr size_t kJitStackSize = 1 << 20;

struct CodeDeleter {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};

std::string error_text(int code) {
  PCRE2_UCHAR buffer[256] = {};
  pcre2_get_error_message(code, buffer, sizeof buffer);
  return reinterpret_cast<const char*>(buffer);
}

/// What one thread needs to match.
class Scratch {
 public:
  explicit Scratch(const pcre2_code* code)
      : data_(pcre2_match_data_create_from_pattern(code, nullptr)),
        context_(pcre2_match_context_create(nullptr)),
        stack_(pcre2_jit_stack_create(32 << 10, kJitStackSize, nullptr)) {
    if (data_ == nullptr || context_ == nullptr) {
      release();
      fail(ErrorKind::exhausted, "not enough memory to match a pattern");
    }
    pcre2_set_heap_limit(context_, kHeapLimitKiB);
    if (stack_ != nullptr) pcre2_jit_stack_assign(context_, nullptr, stack_);
  }
  ~Scratch() { release(); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  void limit_steps(size_t text_size) {
    const size_t limit = std::min<size_t>(kMatchLimit + kMatchLimitPerByte * text_size, std::numeric_limits<uint32_t>::max());
    pcre2_set_match_limit(context_, static_cast<uint32_t>(limit));
  }
  pcre2_match_data* data() const { return data_; }
  pcre2_match_context* context() const { return context_; }

 private:
  void release() {
    pcre2_match_data_free(data_);
    pcre2_match_context_free(context_);
    pcre2_jit_stack_free(stack_);
  }

  pcre2_match_data* data_;
  pcre2_match_context* context_;
  pcre2_jit_stack* stack_;
};

}  // namespace

class Regex::Program {
 public:
  explicit Program(const std::string& pattern) {
    if (pattern.size() > kMaxPatternSize) fail(ErrorKind::unsupported, "a pattern of {} bytes is too long", pattern.size());
    const std::string translated = oniguruma_to_pcre2(pattern);
    constexpr uint32_t kOptions = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C;
    int error = 0;
    size_t position = 0;
    pcre2_compile_context* context = pcre2_compile_context_create(nullptr);
    if (context != nullptr) pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    code_.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(), kOptions, &error, &position, context));
    pcre2_compile_context_free(context);
    if (!code_) fail(ErrorKind::unsupported, "pattern \"{}\" does not compile: {} (at {})", pattern, error_text(error), position);
    pcre2_jit_compile(code_.get(), PCRE2_JIT_COMPLETE);  // without it the interpreter matches the same
  }

  std::unique_ptr<Scratch> borrow() {
    {
      const std::scoped_lock lock(mutex_);
      if (!idle_.empty()) {
        std::unique_ptr<Scratch> scratch = std::move(idle_.back());
        idle_.pop_back();
        return scratch;
      }
    }
    return std::make_unique<Scratch>(code_.get());
  }

  void give_back(std::unique_ptr<Scratch> scratch) {
    const std::scoped_lock lock(mutex_);
    idle_.push_back(std::move(scratch));
  }

  std::optional<std::pair<size_t, size_t>> find(std::string_view text, size_t start, const Scratch& scratch) const {
    const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
    int result = pcre2_match(code_.get(), subject, text.size(), start, PCRE2_NO_UTF_CHECK, scratch.data(), scratch.context());
    if (result == PCRE2_ERROR_JIT_STACKLIMIT) {
      result = pcre2_match(code_.get(), subject, text.size(), start, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, scratch.data(), scratch.context());
    }
    if (result == PCRE2_ERROR_NOMATCH) return std::nullopt;
    if (result < 0) fail(ErrorKind::exhausted, "a pattern of the tokenizer cannot be matched against this text: {}", error_text(result));
    const size_t* bounds = pcre2_get_ovector_pointer(scratch.data());
    // \K may move the start of a match; neither before the search nor past its end makes sense here.
    return std::pair(std::min(std::max(bounds[0], start), bounds[1]), bounds[1]);
  }

 private:
  std::unique_ptr<pcre2_code, CodeDeleter> code_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Scratch>> idle_;
};

Regex::Regex(std::string_view pattern) : pattern_(pattern), program_(std::make_unique<Program>(pattern_)) {}
Regex::~Regex() = default;

void Regex::find_all(std::string_view text, std::vector<std::pair<size_t, size_t>>& matches) const {
  std::unique_ptr<Scratch> scratch = program_->borrow();
  scratch->limit_steps(text.size());
  size_t start = 0, last_end = std::string_view::npos;
  while (start <= text.size()) {
    const auto match = program_->find(text, start, *scratch);
    if (!match) break;
    if (match->first == match->second && match->second == last_end) {
      start += start < text.size() ? code_point_at(text, start).size : 1;
      continue;
    }
    matches.push_back(*match);
    start = last_end = match->second;
  }
  program_->give_back(std::move(scratch));
}

}  // namespace nibble::tokenizer
