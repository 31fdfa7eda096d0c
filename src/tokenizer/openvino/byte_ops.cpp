#include "base/fail.hpp"
#include "base/utf8.hpp"
#include "tokenizer/byte_level.hpp"
#include "tokenizer/openvino/string_op.hpp"
#include "tokenizer/openvino/string_tensors.hpp"

namespace nibble::tokenizer {
namespace {

/// Every byte of unmarked strings as GPT-2's character.
class BytesToChars : public StringOp {
 public:
  explicit BytesToChars(bool has_marks) : has_marks_(has_marks) {}

  void run(std::span<const Tensor> inputs, std::vector<Tensor>& outputs, const RunOptions& options) const override {
    const StringsView strings(inputs, 2);
    std::span<const bool> marks;
    if (has_marks_) {
      marks = inputs[5].as<bool>();
      if (marks.size() != strings.size()) fail(ErrorKind::corrupt, "{} marks for {} strings", marks.size(), strings.size());
      outputs[5] = inputs[5];
    }
    outputs[0] = inputs[0];
    outputs[1] = inputs[1];
    StringsBuilder result(options.byte_limit);
    for (size_t i = 0; i < strings.size(); ++i) {
      if (has_marks_ && marks[i]) {
        result.add(strings[i]);
      } else {
        result.add(spell(strings[i]));
      }
    }
    result.store(strings.shape(), outputs, 2);
  }

 private:
  static std::string spell(std::string_view bytes) {
    std::string text;
    for (char byte : bytes) append_utf8(text, byte_to_character(static_cast<unsigned char>(byte)));
    return text;
  }

  bool has_marks_;
};

/// GPT-2's characters of a list's strings as the bytes they stand for, joined.
class CharsToBytes : public StringOp {
 public:
  void run(std::span<const Tensor> inputs, std::vector<Tensor>& outputs, const RunOptions& options) const override {
    const StringsView strings(inputs, 2);
    const ListsView lists(inputs, 0, strings.size());
    StringsBuilder result(options.byte_limit);
    for (size_t list = 0; list < lists.size(); ++list) {
      std::string bytes;
      for (size_t i = lists.begin(list); i < lists.end(list); ++i)
        append_token_bytes(bytes, is_utf8(strings[i]) ? std::string(strings[i]) : sanitize_utf8(strings[i]));
      result.add(bytes);
    }
    result.store(lists.shape(), outputs, 0);
  }
};

/// "<0xNN>" as a byte.
class ByteFallback : public StringMap {
 public:
  ByteFallback() : StringMap(false) {}

 protected:
  std::string map(std::string_view text) const override {
    const auto byte = parse_byte_token(text);
    return byte ? std::string(1, static_cast<char>(*byte)) : std::string(text);
  }
};

/// Joins the strings of each list; they lie one after the other.
class FuzeRagged : public StringOp {
 public:
  void run(std::span<const Tensor> inputs, std::vector<Tensor>& outputs, const RunOptions&) const override {
    const auto begins = inputs[2].as<int32_t>(), ends = inputs[3].as<int32_t>();
    if (begins.size() != ends.size()) fail(ErrorKind::corrupt, "{} begins and {} ends", begins.size(), ends.size());
    const ListsView lists(inputs, 0, begins.size());
    std::vector<int32_t> list_begins, list_ends;
    for (size_t list = 0; list < lists.size(); ++list) {
      const bool empty = lists.begin(list) == lists.end(list);
      list_begins.push_back(empty ? 0 : begins[lists.begin(list)]);
      list_ends.push_back(empty ? 0 : ends[lists.end(list) - 1]);
    }
    outputs[0] = to_tensor(list_begins);
    outputs[1] = to_tensor(list_ends);
  }
};

/// The extension's rules: U+FFFD, or nothing, for each byte that cannot begin a character, each character that ends too early, and each
/// byte of a character that is spelled longer than it needs.
class Utf8Validate : public StringMap {
 public:
  explicit Utf8Validate(bool replaces) : StringMap(false), replaces_(replaces) {}

 protected:
  std::string map(std::string_view bytes) const override {
    if (is_utf8(bytes)) return std::string(bytes);
    std::string text;
    for (size_t i = 0; i < bytes.size();) {
      const size_t length = length_of(bytes[i]);
      size_t end = i + 1;
      while (end < bytes.size() && end < i + length && is_continuation_byte(bytes[end])) ++end;
      if (length == 0 || end < i + length) {
        replace(1, text);
      } else if (length > 1 && code_point_at(bytes, i).value < kSmallest[length]) {
        replace(length, text);
      } else {
        text.append(bytes.substr(i, length));
      }
      i = end;
    }
    return text;
  }

 private:
  static constexpr char32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};

  static size_t length_of(char lead) {
    const auto byte = static_cast<unsigned char>(lead);
    return byte < 0x80 ? 1 : byte >> 5 == 0b110 ? 2 : byte >> 4 == 0b1110 ? 3 : byte >> 3 == 0b11110 ? 4 : 0;
  }

  void replace(size_t count, std::string& text) const {
    for (size_t i = 0; replaces_ && i < count; ++i) text.append(kReplacementCharacter);
  }

  bool replaces_;
};

}  // namespace

StringOpPtr make_bytes_to_chars(const StringOpContext& context) { return std::make_unique<BytesToChars>(context.node.input_count() == 6); }
StringOpPtr make_chars_to_bytes(const StringOpContext&) { return std::make_unique<CharsToBytes>(); }
StringOpPtr make_byte_fallback(const StringOpContext&) { return std::make_unique<ByteFallback>(); }
StringOpPtr make_fuze_ragged(const StringOpContext&) { return std::make_unique<FuzeRagged>(); }
StringOpPtr make_utf8_validate(const StringOpContext& context) {
  return std::make_unique<Utf8Validate>(context.node.attributes().get_bool("replace_mode", false));
}

}  // namespace nibble::tokenizer
