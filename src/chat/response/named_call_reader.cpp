#include <algorithm>

#include "chat/response/call_reader.hpp"
#include "chat/response/json_text.hpp"

namespace nibble {

namespace {

constexpr size_t kMaxHeader = 512;

class NamedCallReader : public CallReader {
 public:
  NamedCallReader(const NamedGrammar& grammar, DeltaWriter& writer) : grammar_(grammar), writer_(writer), literal_(grammar.dialect) {}

  ReadStep push(char c) override {
    if (begun_) return in_arguments(c);
    if (c == '{') {
      if (!take_header()) return ReadStep::failed;
      begun_ = true;
      return in_arguments(c);
    }
    header_ += c;
    return header_.size() > kMaxHeader ? ReadStep::failed : ReadStep::more;
  }

  bool finish() override { return false; }

 private:
  ReadStep in_arguments(char c) {
    json_.clear();
    const ReadStep step = literal_.push(c, json_);
    writer_.arguments(json_);
    return step;
  }

  /// The header without its first separator or part in front of one; nothing when there is none.
  std::string_view next_part(std::string_view& header, bool& is_id) const {
    size_t at = header.size(), length = 0;
    std::string_view found;
    for (std::string_view separator : grammar_.separators)
      if (const size_t position = header.find(separator); position < at) at = position, length = separator.size(), found = separator;
    const std::string_view part = trimmed(header.substr(0, at));
    header.remove_prefix(at + length);
    is_id = !found.empty() && found == grammar_.id_mark;
    return part;
  }

  bool take_header() {
    std::string_view header = header_, name, id;
    bool is_id = false;
    while (!header.empty()) {
      const bool part_is_id = is_id;
      const std::string_view part = next_part(header, is_id);
      if (!part.empty()) (part_is_id ? id : name) = part;
    }
    if (grammar_.numbered) {
      id = name;
      name = name.substr(0, name.rfind(':'));
      if (name.starts_with("functions.")) name.remove_prefix(10);
    }
    if (name.empty() || std::any_of(name.begin(), name.end(), is_json_space)) return false;
    writer_.begin_call(std::string(name), std::string(id));
    return true;
  }

  const NamedGrammar& grammar_;
  DeltaWriter& writer_;
  LiteralReader literal_;
  bool begun_ = false;
  std::string header_, json_;
};

}  // namespace

std::unique_ptr<CallReader> make_named_call_reader(const NamedGrammar& grammar, DeltaWriter& writer) {
  return std::make_unique<NamedCallReader>(grammar, writer);
}

}  // namespace nibble
