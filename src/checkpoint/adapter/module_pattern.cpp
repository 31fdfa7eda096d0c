#include "checkpoint/adapter/module_pattern.hpp"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/fail.hpp"
#include "checkpoint/shown.hpp"

namespace nibble {

namespace {

// Names have some dozens of characters; what needs more steps than this is meant to take long.
constexpr uint32_t kMaxSteps = 100'000;

PCRE2_SPTR bytes(const std::string& text) { return reinterpret_cast<PCRE2_SPTR>(text.data()); }

}  // namespace

struct ModulePattern::Compiled {
  pcre2_code* code = nullptr;
  pcre2_match_data* match = nullptr;
  pcre2_match_context* context = nullptr;
  ~Compiled() {
    pcre2_match_context_free(context);
    pcre2_match_data_free(match);
    pcre2_code_free(code);
  }
};

ModulePattern::ModulePattern(const std::string& text, const std::string& where)
    : compiled_(std::make_unique<Compiled>()), text_(text), where_(where) {
  std::string pattern = "(.*\\.)?(" + text + ")$";
  int error = 0;
  PCRE2_SIZE offset = 0;
  compiled_->code = pcre2_compile(bytes(pattern), pattern.size(), PCRE2_ANCHORED | PCRE2_UTF, &error, &offset, nullptr);
  if (!compiled_->code) fail(ErrorKind::corrupt, "{}: {} is no pattern for names of modules", where, shown(text));
  compiled_->match = pcre2_match_data_create_from_pattern(compiled_->code, nullptr);
  compiled_->context = pcre2_match_context_create(nullptr);
  if (!compiled_->match || !compiled_->context) fail(ErrorKind::exhausted, "{}: no memory to match patterns", where);
  pcre2_set_match_limit(compiled_->context, kMaxSteps);
  pcre2_set_depth_limit(compiled_->context, kMaxSteps);
}

ModulePattern::~ModulePattern() = default;

bool ModulePattern::fits(const std::string& module) const {
  int result = pcre2_match(compiled_->code, bytes(module), module.size(), 0, 0, compiled_->match, compiled_->context);
  if (result == PCRE2_ERROR_MATCHLIMIT || result == PCRE2_ERROR_DEPTHLIMIT || result == PCRE2_ERROR_HEAPLIMIT)
    fail(ErrorKind::corrupt, "{}: the pattern {} takes too long to match", where_, shown(text_));
  return result >= 0;
}

}  // namespace nibble
