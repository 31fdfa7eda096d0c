#include <algorithm>
#include <array>
#include <optional>

#include "base/fail.hpp"
#include "tokenizer/openvino/pattern_set.hpp"
#include "tokenizer/openvino/replacement.hpp"
#include "tokenizer/openvino/string_op.hpp"
#include "tokenizer/openvino/string_tensors.hpp"
#include "tokenizer/pcre_program.hpp"

namespace nibble::tokenizer {
namespace {

/// Detokenizers may run patterns before they have checked that bytes are text.
PcreProgram compile(std::string_view pattern) { return PcreProgram(pattern, PcreProgram::Anchors::text, PcreProgram::Input::any); }

class RegexNormalization : public StringMap {
 public:
  RegexNormalization(std::string_view pattern, std::string_view replacement, bool global, bool has_marks)
      : StringMap(has_marks),
        program_(compile(pattern)),
        replacement_(replacement),
        replacement_size_(replacement.size()),
        global_(global) {}

 protected:
  std::string map(std::string_view text) const override {
    PcreProgram::Matcher matcher(program_, text);
    std::string result;
    size_t done = 0, limit = 0;
    bool after_empty = false;
    for (size_t start = 0; start <= text.size() && matcher.find(start, after_empty);) {
      const size_t begin = matcher.bounds()[0], end = matcher.bounds()[1];
      // The extension's buffer is made for the first match; a text that outgrows it stays as it was.
      if (limit == 0) limit = 4 * (text.size() + matcher.bounds().size() / 2 * replacement_size_);
      result.append(text, done, begin - done);
      replacement_.append(text, matcher.bounds(), result);
      if (result.size() >= limit) return std::string(text);
      done = start = end;
      after_empty = begin == end;
      if (!global_) break;
    }
    result.append(text, done);
    return limit > 0 && result.size() >= limit ? std::string(text) : result;
  }

 private:
  PcreProgram program_;
  Replacement replacement_;
  size_t replacement_size_;
  bool global_;
};

/// Pieces of strings, with marks or without.
class PieceBuilder {
 public:
  void add(size_t begin, size_t end, bool mark) {
    begins_.push_back(static_cast<int32_t>(begin));
    ends_.push_back(static_cast<int32_t>(end));
    marks_.push_back(mark);
  }
  void end_list() { lists_.end_list(ends_.size()); }
  void store(const Shape& shape, const Tensor& chars, std::vector<Tensor>& outputs) const {
    lists_.store(shape, outputs, 0);
    outputs[2] = to_tensor(begins_);
    outputs[3] = to_tensor(ends_);
    outputs[4] = chars;
    if (outputs.size() > 5) outputs[5] = to_tensor(marks_);
  }

 private:
  ListsBuilder lists_;
  std::vector<int32_t> begins_, ends_;
  std::vector<bool> marks_;
};

/// Cuts the strings of lists at matches, but for marked ones.
class Splitter : public StringOp {
 public:
  explicit Splitter(bool has_marks) : has_marks_(has_marks) {}

  void run(std::span<const Tensor> inputs, std::vector<Tensor>& outputs, const RunOptions&) const override {
    const StringsView strings(inputs, 2);
    const ListsView lists(inputs, 0, strings.size());
    std::span<const bool> marks;
    if (has_marks_) marks = inputs[5].as<bool>();
    if (has_marks_ && marks.size() != strings.size()) fail(ErrorKind::corrupt, "{} marks for {} strings", marks.size(), strings.size());
    PieceBuilder pieces;
    for (size_t list = 0; list < lists.size(); ++list) {
      for (size_t i = lists.begin(list); i < lists.end(list); ++i) {
        if ((has_marks_ && marks[i]) || is_kept(strings[i])) {
          pieces.add(strings.begin(i), strings.end(i), true);
        } else {
          split(strings[i], strings.begin(i), pieces);
        }
      }
      pieces.end_list();
    }
    pieces.store(lists.shape(), inputs[4], outputs);
  }

 protected:
  virtual void split(std::string_view text, size_t offset, PieceBuilder& pieces) const = 0;
  virtual bool is_kept(std::string_view) const { return false; }

 private:
  bool has_marks_;
};

class RegexSplit : public Splitter {
 public:
  enum class Mode { removed, isolated, merged_with_previous, merged_with_next };
  RegexSplit(std::string_view pattern, Mode mode, bool invert, int64_t max_splits, bool has_marks, std::vector<std::string> kept)
      : Splitter(has_marks), program_(compile(pattern)), mode_(mode), invert_(invert), max_splits_(max_splits), kept_(std::move(kept)) {}

 protected:
  bool is_kept(std::string_view text) const override { return std::find(kept_.begin(), kept_.end(), text) != kept_.end(); }

  void split(std::string_view text, size_t offset, PieceBuilder& pieces) const override {
    Run run{text.size(), offset, pieces, {}, 0};
    PcreProgram::Matcher matcher(program_, text);
    size_t start = 0;
    // An empty match ends the search.
    while (start < text.size() && matcher.find(start) && matcher.bounds()[0] != matcher.bounds()[1]) {
      const size_t begin = matcher.bounds()[0], end = matcher.bounds()[1];
      if (begin != start) add(start, begin, invert_, run);
      add(begin, end, !invert_, run);
      start = end;
    }
    if (start < text.size()) {
      add(start, text.size(), invert_, run);
    } else if (mode_ == Mode::merged_with_next && run.held) {
      add(*run.held, text.size(), invert_, run);
    }
  }

 private:
  struct Run {
    size_t size, offset;
    PieceBuilder& pieces;
    std::optional<size_t> held;  // where a piece begins that waits for its other part
    int64_t count;
  };

  /// The rules of the extension, also where they are odd: what is held stays so after it has been used.
  void add(size_t begin, size_t end, bool is_delimiter, Run& run) const {
    switch (mode_) {
      case Mode::removed:
        if (is_delimiter) return;
        break;
      case Mode::isolated: break;
      case Mode::merged_with_previous:
        if (!is_delimiter && end != run.size) {
          run.held = begin;
          return;
        }
        if (is_delimiter) begin = run.held.value_or(0);
        break;
      case Mode::merged_with_next:
        if (is_delimiter) {
          run.held = begin;
          return;
        }
        begin = run.held.value_or(begin);
        break;
    }
    if (run.count == max_splits_) end = run.size;
    run.pieces.add(run.offset + begin, run.offset + std::max(begin, end), false);
    ++run.count;
  }

  PcreProgram program_;
  Mode mode_;
  bool invert_;
  int64_t max_splits_;
  std::vector<std::string> kept_;
};

class SpecialTokensSplit : public Splitter {
 public:
  SpecialTokensSplit(std::string_view pattern, bool has_marks) : Splitter(has_marks), patterns_(pattern) {}

 protected:
  void split(std::string_view text, size_t offset, PieceBuilder& pieces) const override {
    PatternSet::Matcher matcher(patterns_, text);
    size_t start = 0;
    while (start < text.size() && matcher.find(start)) {
      const size_t begin = matcher.bounds()[0], end = matcher.bounds()[1];
      if (begin == end) break;
      const auto [token_begin, token_end] = token_of(matcher.bounds());
      if (start < begin) pieces.add(offset + start, offset + begin, false);
      pieces.add(offset + token_begin, offset + token_end, true);
      start = end;
    }
    if (start < text.size()) pieces.add(offset + start, offset + text.size(), false);
  }

 private:
  /// The group that took part in the match, else the whole match.
  static std::pair<size_t, size_t> token_of(std::span<const size_t> bounds) {
    for (size_t group = bounds.size() / 2 - 1; group > 0; --group) {
      const size_t begin = bounds[2 * group], end = bounds[2 * group + 1];
      if (begin != PcreProgram::kUnset && bounds[0] <= begin && begin < end && end <= bounds[1]) return {begin, end};
    }
    return {bounds[0], bounds[1]};
  }

  PatternSet patterns_;
};

/// Patterns of old files, whose meaning the extension has since put right.
std::string current_pattern(std::string_view pattern) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kOld{
      {{R"( ([\\.\\?\\!,])| ('[ms])| (') | ('[rv]e)| (n't))", R"((?| ([\\.\\?\\!,])| ('[ms])| (') | ('[rv]e)| (n't)))"},
       {R"((^)(.))", R"((^)([\s\S]))"},
       {R"((^)(.+))", R"((^)([\s\S]))"}}};
  for (const auto& [old, current] : kOld)
    if (pattern == old) return std::string(current);
  return std::string(pattern);
}

RegexSplit::Mode mode_of(const std::string& behaviour) {
  if (behaviour == "remove") return RegexSplit::Mode::removed;
  if (behaviour == "isolate" || behaviour == "contiguous") return RegexSplit::Mode::isolated;
  if (behaviour == "mergedwithprevious") return RegexSplit::Mode::merged_with_previous;
  if (behaviour == "mergedwithnext") return RegexSplit::Mode::merged_with_next;
  fail(ErrorKind::unsupported, "the behaviour \"{}\" is not known", behaviour);
}

}  // namespace

StringOpPtr make_regex_normalization(const StringOpContext& context) {
  const bool has_marks = context.node.input_count() == 6;
  const size_t first = has_marks ? 4 : 3;
  return std::make_unique<RegexNormalization>(current_pattern(bytes_of(context.constant(first))), bytes_of(context.constant(first + 1)),
                                              context.node.attributes().get_bool("global_replace", true), has_marks);
}

StringOpPtr make_regex_split(const StringOpContext& context) {
  const Attributes& attributes = context.node.attributes();
  const bool has_marks = context.node.input_count() == 7;
  std::string pattern(bytes_of(context.constant(has_marks ? 6 : 5)));
  const std::string behaviour = attributes.get_string("behaviour");
  if (behaviour == "contiguous" && !pattern.ends_with('+')) pattern = "(" + pattern + ")+";
  std::vector<std::string> kept;
  if (context.node.input_count() == 9) {
    const std::array<Tensor, 3> tensors{context.constant(6), context.constant(7), context.constant(8)};
    const StringsView strings(tensors);
    for (size_t i = 0; i < strings.size(); ++i) kept.emplace_back(strings[i]);
  }
  return std::make_unique<RegexSplit>(pattern, mode_of(behaviour), attributes.get_bool("invert", false),
                                      attributes.get_int("max_splits", -1), has_marks, std::move(kept));
}

StringOpPtr make_special_tokens_split(const StringOpContext& context) {
  const bool has_marks = context.node.input_count() == 7;
  return std::make_unique<SpecialTokensSplit>(bytes_of(context.constant(has_marks ? 6 : 5)), has_marks);
}

}  // namespace nibble::tokenizer
