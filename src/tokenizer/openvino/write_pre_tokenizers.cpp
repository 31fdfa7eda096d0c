#include <algorithm>
#include <limits>
#include <map>
#include <optional>

#include "base/fail.hpp"
#include "base/utf8.hpp"
#include "tokenizer/byte_level.hpp"
#include "tokenizer/metaspace.hpp"
#include "tokenizer/openvino/patterns.hpp"
#include "tokenizer/openvino/steps.hpp"
#include "tokenizer/pcre_program.hpp"
#include "tokenizer/regex_syntax.hpp"
#include "tokenizer/split_behavior.hpp"

namespace nibble::tokenizer {
namespace {

/// The operations take an empty match for the end of all matches.
std::string never_empty(const std::string& pattern) {
  const PcreProgram program(pattern, PcreProgram::Anchors::text, PcreProgram::Input::valid);
  return PcreProgram::Matcher(program, "").find(0) ? "(*NOTEMPTY)" + pattern : pattern;
}

/// Merging with a neighbour is said by the pattern: the operation's own merging gives overlapping pieces for delimiters side by side.
void split_at(const std::string& pattern, SplitBehavior behavior, bool invert, StringFlow& flow) {
  const std::string group = "(?:" + pattern + ")";
  switch (behavior) {
    case SplitBehavior::removed: return flow.split(never_empty(pattern), true, invert);
    case SplitBehavior::isolated: return flow.split(never_empty(pattern));
    case SplitBehavior::contiguous: return flow.split(never_empty(group + "+"));
    case SplitBehavior::merged_with_previous:
    case SplitBehavior::merged_with_next: break;
  }
  const bool gap_first = (behavior == SplitBehavior::merged_with_previous) != invert;
  flow.split(gap_first ? "\\G[\\s\\S]*?" + group : group + "(?:(?!" + group + ")[\\s\\S])*+");
}

/// An empty literal cuts between all characters.
void add_split(const JsonView& view, StringFlow& flow) {
  const JsonView pattern = view.at("pattern");
  const SplitBehavior behavior = split_behavior(view.at("behavior"));
  if (pattern.has("String") && pattern.at("String").string().empty()) return flow.split("[\\s\\S]");
  split_at(pattern_of(pattern), behavior, view.boolean_or("invert", false), flow);
}

void add_byte_level(const JsonView& view, StringFlow& flow, Spelling& spelling) {
  if (view.boolean_or("add_prefix_space", true)) flow.replace("\\A(?=[^ ])", " ", false);
  if (view.boolean_or("use_regex", true)) flow.split(oniguruma_to_pcre2(kGpt2Pattern));
  if (spelling != Spelling::text) view.refuse("spells bytes for the second time, which a tokenizer IR has no operation for");
  spelling = Spelling::raw_bytes;
}

void add_metaspace(const JsonView& view, StringFlow& flow) {
  const Metaspace options = read_metaspace(view);
  const std::string replacement = to_utf8(options.replacement), pattern = literal_pattern(replacement);
  flow.replace(" ", literal_replacement(replacement));
  if (options.prepend == Metaspace::Prepend::always)
    flow.replace("\\A(?!" + pattern + ")(?=[\\s\\S])", literal_replacement(replacement), false);
  if (options.split) split_at(pattern, SplitBehavior::merged_with_next, false, flow);
}

void add_fixed_length(const JsonView& view, StringFlow& flow) {
  const auto length = view.find("length");
  const uint64_t characters = length ? length->integer(std::numeric_limits<uint16_t>::max()) : 5;
  flow.split(fmt::format("[\\s\\S]{{{}}}", characters));
}

void add_punctuation(const JsonView& view, StringFlow& flow) {
  const auto behavior = view.find("behavior");
  split_at(std::string(kPunctuationClass), behavior ? split_behavior(*behavior) : SplitBehavior::isolated, false, flow);
}

void add_digits(const JsonView& view, StringFlow& flow) {
  const bool individual = view.boolean_or("individual_digits", false);
  split_at(std::string(kNumberClass), individual ? SplitBehavior::isolated : SplitBehavior::contiguous, false, flow);
}

void add_whitespace(StringFlow& flow) {
  const std::string words(kWordItems), spaces = std::string(kSpaceClass).substr(1, kSpaceClass.size() - 2);
  flow.split("[" + words + "]+|[^" + words + spaces + "]+", true, true);
}

void add_white_space_split(StringFlow& flow) { flow.split(std::string(kSpaceClass) + "+", true); }

using Adder = void (*)(const JsonView&, StringFlow&);

const std::map<std::string_view, Adder>& adders() {
  static const std::map<std::string_view, Adder> table{
      {"BertPreTokenizer",
       [](const JsonView&, StringFlow& flow) {
         add_white_space_split(flow);
         flow.split(kPunctuationClass);
       }},
      {"CharDelimiterSplit",
       [](const JsonView& view, StringFlow& flow) { flow.split(literal_pattern(to_utf8(view.at("delimiter").character())), true); }},
      {"Digits", add_digits},
      {"FixedLength", add_fixed_length},
      {"Metaspace", add_metaspace},
      {"Punctuation", add_punctuation},
      {"Split", add_split},
      {"Whitespace", [](const JsonView&, StringFlow& flow) { add_whitespace(flow); }},
      {"WhitespaceSplit", [](const JsonView&, StringFlow& flow) { add_white_space_split(flow); }},
  };
  return table;
}

/// Later steps see GPT-2's characters for bytes; as long as there are none, the bytes themselves do.
void spell_for_later_steps(StringFlow& flow, Spelling& spelling) {
  if (spelling != Spelling::raw_bytes) return;
  flow.spell_bytes();
  spelling = Spelling::byte_characters;
}

std::optional<Metaspace> find_first_metaspace(const JsonView& view) {
  const std::string type = view.string_or("type", "");
  if (type == "Sequence") {
    for (const JsonView& step : view.at("pretokenizers").elements())
      if (const auto found = find_first_metaspace(step)) return found;
  } else if (type == "Metaspace") {
    const Metaspace options = read_metaspace(view);
    if (options.prepend == Metaspace::Prepend::first) return options;
  }
  return std::nullopt;
}

}  // namespace

void add_pre_tokenizer(const JsonView& view, StringFlow& flow, Spelling& spelling) {
  const std::string type = view.at("type").string();
  if (type == "Sequence") {
    for (const JsonView& step : view.at("pretokenizers").elements()) add_pre_tokenizer(step, flow, spelling);
    return;
  }
  if (type == "ByteLevel") return add_byte_level(view, flow, spelling);
  const auto adder = adders().find(type);
  if (adder == adders().end()) view.refuse("is a pre-tokenizer (" + type + ") that a tokenizer IR has no operation for");
  spell_for_later_steps(flow, spelling);
  adder->second(view, flow);
}

void add_first_prefix(const JsonView& pre_tokenizer, std::string_view special, StringFlow& flow) {
  const auto metaspace = find_first_metaspace(pre_tokenizer);
  if (!metaspace) return;
  const std::string replacement = to_utf8(metaspace->replacement);
  const std::string no_special = special.empty() ? "" : "(?!" + std::string(special) + ")";
  flow.replace("\\A" + no_special + "(?! |" + literal_pattern(replacement) + ")(?=[\\s\\S])", literal_replacement(replacement), false);
}

}  // namespace nibble::tokenizer
