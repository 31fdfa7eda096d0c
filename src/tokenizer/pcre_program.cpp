#include "tokenizer/pcre_program.hpp"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <limits>

#include "base/fail.hpp"

namespace nibble::tokenizer {
namespace {

constexpr size_t kMaxPatternSize = 1 << 20;
// Backtracking steps of one match: real patterns need a handful, or a few for each character of a long run of spaces.
constexpr size_t kMatchLimit = 1'000'000, kMatchLimitPerByte = 8;
constexpr uint32_t kHeapLimitKiB = 64 << 10;  // of the interpreter, where a match outgrows the compiled code's stack
constexpr size_t kJitStackSize = 1 << 20;

std::string error_text(int code) {
  PCRE2_UCHAR buffer[256] = {};
  pcre2_get_error_message(code, buffer, sizeof buffer);
  return reinterpret_cast<const char*>(buffer);
}

}  // namespace

/// What one thread needs to match.
class PcreProgram::Scratch {
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

void PcreProgram::CodeDeleter::operator()(pcre2_real_code_8* code) const { pcre2_code_free(code); }

PcreProgram::PcreProgram(std::string_view pattern, Anchors anchors, Input input) {
  if (pattern.size() > kMaxPatternSize) fail(ErrorKind::unsupported, "a pattern of {} bytes is too long", pattern.size());
  const uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C | (anchors == Anchors::lines ? PCRE2_MULTILINE : 0) |
                           (input == Input::any ? PCRE2_MATCH_INVALID_UTF : 0);
  int error = 0;
  size_t position = 0;
  pcre2_compile_context* context = pcre2_compile_context_create(nullptr);
  if (context != nullptr) pcre2_set_newline(context, PCRE2_NEWLINE_LF);
  code_.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), options, &error, &position, context));
  pcre2_compile_context_free(context);
  if (!code_) fail(ErrorKind::unsupported, "pattern \"{}\" does not compile: {} (at {})", pattern, error_text(error), position);
  pcre2_jit_compile(code_.get(), PCRE2_JIT_COMPLETE);  // without it the interpreter matches the same
}

PcreProgram::~PcreProgram() = default;

std::unique_ptr<PcreProgram::Scratch> PcreProgram::borrow() const {
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

void PcreProgram::give_back(std::unique_ptr<Scratch> scratch) const {
  const std::scoped_lock lock(mutex_);
  idle_.push_back(std::move(scratch));
}

PcreProgram::Matcher::Matcher(const PcreProgram& program, std::string_view text)
    : program_(program), text_(text), scratch_(program.borrow()) {
  scratch_->limit_steps(text.size());
}

PcreProgram::Matcher::~Matcher() { program_.give_back(std::move(scratch_)); }

bool PcreProgram::Matcher::find(size_t start, bool not_empty_at_start) {
  const uint32_t options = PCRE2_NO_UTF_CHECK | (not_empty_at_start ? PCRE2_NOTEMPTY_ATSTART : 0);
  const auto match = [&](uint32_t more) {
    return pcre2_match(program_.code_.get(), reinterpret_cast<PCRE2_SPTR>(text_.data()), text_.size(), start, options | more,
                       scratch_->data(), scratch_->context());
  };
  int result = match(0);
  if (result == PCRE2_ERROR_JIT_STACKLIMIT) result = match(PCRE2_NO_JIT);
  if (result == PCRE2_ERROR_NOMATCH) return false;
  if (result < 0) fail(ErrorKind::exhausted, "a pattern of the tokenizer cannot be matched against this text: {}", error_text(result));
  groups_ = static_cast<size_t>(result);
  // \K may move the start of a match; neither before the search nor past its end makes sense here.
  size_t* bounds = pcre2_get_ovector_pointer(scratch_->data());
  bounds[0] = std::min(std::max(bounds[0], start), bounds[1]);
  return true;
}

std::span<const size_t> PcreProgram::Matcher::bounds() const { return {pcre2_get_ovector_pointer(scratch_->data()), 2 * groups_}; }

}  // namespace nibble::tokenizer
