// The pickle machine of Python's Lib/pickletools.py, cut down to what torch.save writes.
#include <algorithm>
#include <unordered_map>

#include "base/fail.hpp"
#include "checkpoint/byte_reader.hpp"
#include "checkpoint/pickle.hpp"
#include "checkpoint/pickle_opcodes.hpp"
#include "checkpoint/shown.hpp"

namespace nibble {

namespace {

using enum PickleKind;
using namespace pickle_opcodes;

// A tensor takes about twenty values, so this is room for 200 000 tensors in one file, in at most a few hundred megabytes.
constexpr size_t kMaxValues = 4'000'000;
constexpr size_t kMaxBytes = 100'000'000;

/// Interprets one pickle. Each step knows a few opcodes and says whether the one at hand was among them.
class PickleMachine {
 public:
  PickleMachine(std::span<const std::byte> bytes, const std::string& where) : reader_(bytes, where) {}

  Pickle run() && {
    for (auto op = reader_.read<uint8_t>(); op != kStop; op = reader_.read<uint8_t>()) {
      if (!push_number(op) && !push_text(op) && !build_tuple(op) && !build_collection(op) && !use_memo(op) && !use_global(op) &&
          !control(op))
        fail_here(ErrorKind::unsupported, "opcode {:#04x} has no place in a file of weights: refused", op);
      if (pickle_.values.size() > kMaxValues || stack_.size() > kMaxValues || memo_.size() > kMaxValues || marks_.size() > kMaxValues)
        fail_here(ErrorKind::exhausted, "more than {} values: refused", kMaxValues);
    }
    pickle_.root = pop();
    pickle_.byte_size = reader_.position();
    return std::move(pickle_);
  }

 private:
  bool control(uint8_t op) {
    switch (op) {
      case kProto: check_protocol(); return true;
      case kFrame: reader_.take(8); return true;
      case kMark: marks_.push_back(stack_.size()); return true;
      default: return false;
    }
  }

  bool push_number(uint8_t op) {
    switch (op) {
      case kNone: push({}); return true;
      case kNewTrue:
      case kNewFalse: push({.kind = boolean, .number = op == kNewTrue}); return true;
      case kBinInt: push_integer(static_cast<int32_t>(reader_.read<uint32_t>())); return true;
      case kBinInt1: push_integer(reader_.read<uint8_t>()); return true;
      case kBinInt2: push_integer(reader_.read<uint16_t>()); return true;
      case kLong1: push_long(reader_.read<uint8_t>()); return true;
      case kLong4: push_long(reader_.read<uint32_t>()); return true;
      case kBinFloat: push_other(8); return true;
      default: return false;
    }
  }

  bool push_text(uint8_t op) {
    switch (op) {
      case kShortBinString:
      case kShortBinUnicode: push_text_of(reader_.read<uint8_t>()); return true;
      case kBinString:
      case kBinUnicode: push_text_of(reader_.read<uint32_t>()); return true;
      case kBinUnicode8: push_text_of(reader_.read<uint64_t>()); return true;
      case kShortBinBytes: push_other(reader_.read<uint8_t>()); return true;
      case kBinBytes: push_other(reader_.read<uint32_t>()); return true;
      case kBinBytes8: push_other(reader_.read<uint64_t>()); return true;
      default: return false;
    }
  }

  bool build_tuple(uint8_t op) {
    switch (op) {
      case kEmptyTuple: push_collection(tuple, {}); return true;
      case kTuple1:
      case kTuple2:
      case kTuple3: push_collection(tuple, pop_last(op - kTuple1 + size_t{1})); return true;
      case kTuple: push_collection(tuple, pop_to_mark()); return true;
      default: return false;
    }
  }

  bool build_collection(uint8_t op) {
    switch (op) {
      case kEmptyList: push_collection(list, {}); return true;
      case kList: push_collection(list, pop_to_mark()); return true;
      case kEmptyDict: push_collection(dict, {}); return true;
      case kDict: push_collection(dict, checked_pairs(pop_to_mark())); return true;
      case kAppend: extend(list, pop_last(1)); return true;
      case kAppends: extend(list, pop_to_mark()); return true;
      case kSetItem: extend(dict, pop_last(2)); return true;
      case kSetItems: extend(dict, checked_pairs(pop_to_mark())); return true;
      default: return false;
    }
  }

  bool use_memo(uint8_t op) {
    switch (op) {
      case kBinGet: get(reader_.read<uint8_t>()); return true;
      case kLongBinGet: get(reader_.read<uint32_t>()); return true;
      case kBinPut: put(reader_.read<uint8_t>()); return true;
      case kLongBinPut: put(reader_.read<uint32_t>()); return true;
      case kMemoize: put(static_cast<uint32_t>(memo_.size())); return true;
      default: return false;
    }
  }

  bool use_global(uint8_t op) {
    switch (op) {
      case kGlobal: {
        auto module = reader_.line();
        push_global(module, reader_.line());
        return true;
      }
      case kStackGlobal: {
        auto names = pop_last(2);
        push_global(text_of(names[0]), text_of(names[1]));
        return true;
      }
      case kReduce: reduce(); return true;
      case kBuild: build(); return true;
      case kBinPersId: push(torch_storage(pickle_, pickle_[pop()], reader_.where())); return true;
      default: return false;
    }
  }

  void check_protocol() {
    auto protocol = reader_.read<uint8_t>();
    if (protocol < 2 || protocol > 5) fail_here(ErrorKind::unsupported, "pickle protocol {}: only 2 to 5 are known", protocol);
  }

  void push(PickleValue value) {
    pickle_.values.push_back(std::move(value));
    stack_.push_back(static_cast<PickleRef>(pickle_.values.size() - 1));
  }

  void push_integer(int64_t value) { push({.kind = integer, .number = value}); }

  void push_long(uint32_t width) {
    auto bytes = reader_.take(width);
    if (width > 8) return push({.kind = other});
    uint64_t value = width > 0 && std::to_integer<uint8_t>(bytes[width - 1]) >= 0x80 ? ~uint64_t{0} : 0;
    for (size_t i = width; i-- > 0;) value = value << 8 | std::to_integer<uint64_t>(bytes[i]);
    push_integer(static_cast<int64_t>(value));
  }

  void push_other(uint64_t bytes) {
    reader_.take(bytes);
    push({.kind = other});
  }

  void push_text_of(uint64_t bytes) { push({.kind = text, .text = reader_.text(bytes)}); }

  void push_collection(PickleKind kind, std::vector<PickleRef> items) { push({.kind = kind, .items = std::move(items)}); }

  void push_global(std::string_view module, std::string_view name) {
    const auto* known = find_torch_global(module, name);
    if (!known)
      fail_here(ErrorKind::unsupported,
                "wants to use {}, which a file of weights does not need: refused. Save the state dict alone, or convert it to safetensors",
                shown(fmt::format("{}.{}", module.substr(0, 100), name.substr(0, 100))));
    push({.kind = global, .global = known});
  }

  std::string_view text_of(PickleRef ref) const {
    if (pickle_[ref].kind != text) fail_here(ErrorKind::corrupt, "a name is not a string");
    return pickle_[ref].text;
  }

  /// How many values lie above the last mark.
  size_t available() const { return stack_.size() - (marks_.empty() ? 0 : marks_.back()); }

  std::vector<PickleRef> pop_last(size_t count) {
    if (available() < count) fail_here(ErrorKind::corrupt, "takes more from the stack than there is");
    std::vector<PickleRef> out(stack_.end() - static_cast<ptrdiff_t>(count), stack_.end());
    stack_.resize(stack_.size() - count);
    return out;
  }

  std::vector<PickleRef> pop_to_mark() {
    if (marks_.empty()) fail_here(ErrorKind::corrupt, "refers to a mark that was not set");
    auto out = pop_last(available());
    marks_.pop_back();
    return out;
  }

  PickleRef top() const {
    if (available() == 0) fail_here(ErrorKind::corrupt, "takes more from the stack than there is");
    return stack_.back();
  }

  PickleRef pop() {
    PickleRef ref = top();
    stack_.pop_back();
    return ref;
  }

  std::vector<PickleRef> checked_pairs(std::vector<PickleRef> items) const {
    if (items.size() % 2 != 0) fail_here(ErrorKind::corrupt, "a dict has a key without a value");
    return items;
  }

  void extend(PickleKind kind, const std::vector<PickleRef>& items) {
    auto& target = pickle_.values[top()];
    if (target.kind != kind) fail_here(ErrorKind::corrupt, "adds items to a value that takes none");
    target.items.insert(target.items.end(), items.begin(), items.end());
  }

  void get(uint32_t key) {
    auto found = memo_.find(key);
    if (found == memo_.end()) fail_here(ErrorKind::corrupt, "refers to value {} of its memo, which was not set", key);
    stack_.push_back(found->second);
  }

  void put(uint32_t key) { memo_[key] = top(); }

  void reduce() {
    auto call = pop_last(2);
    if (pickle_[call[0]].kind != global || pickle_[call[1]].kind != tuple) fail_here(ErrorKind::corrupt, "calls what is not a function");
    // The call may add values; those that are there stay where they are, in a deque.
    stack_.push_back(call_torch_global(pickle_, *pickle_[call[0]].global, pickle_[call[1]].items, reader_.where()));
  }

  /// The state of an OrderedDict is the `_metadata` of a module's state dict: of no use here.
  void build() {
    pop();
    if (pickle_[top()].kind != dict) fail_here(ErrorKind::unsupported, "sets the state of an object that is no dict: refused");
  }

  template <class... Args>
  [[noreturn]] void fail_here(ErrorKind kind, fmt::format_string<Args...> format, Args&&... args) const {
    fail(kind, "{}: at byte {}: {}", reader_.where(), reader_.position(), fmt::format(format, std::forward<Args>(args)...));
  }

  ByteReader reader_;
  Pickle pickle_;
  std::vector<PickleRef> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint32_t, PickleRef> memo_;
};

}  // namespace

const PickleValue* Pickle::find(const PickleValue& dict, std::string_view key) const {
  for (size_t i = dict.items.size(); i >= 2; i -= 2) {
    const auto& candidate = values[dict.items[i - 2]];
    if (candidate.kind == PickleKind::text && candidate.text == key) return &values[dict.items[i - 1]];
  }
  return nullptr;
}

Pickle read_pickle(std::span<const std::byte> bytes, const std::string& where) {
  return PickleMachine(bytes.first(std::min(bytes.size(), kMaxBytes)), where).run();
}

}  // namespace nibble
