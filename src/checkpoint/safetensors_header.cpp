#include "checkpoint/safetensors_header.hpp"

#include <algorithm>

#include "base/fail.hpp"
#include "checkpoint/json_events.hpp"
#include "checkpoint/safetensors_types.hpp"
#include "checkpoint/shown.hpp"

namespace nibble {

namespace {

constexpr std::string_view kMetadata = "__metadata__";
constexpr size_t kMaxRank = 64;  // PyTorch's and NumPy's

/// Builds the header from its JSON events: {name: {"dtype": text, "shape": [n...], "data_offsets": [begin, end]}, ...}.
class HeaderReader final : public JsonEvents {
 public:
  using JsonEvents::JsonEvents;
  SafetensorsHeader take() && { return std::move(header_); }

 private:
  enum class Level { document, names, tensor, metadata, done };
  enum class Field { none, dtype, shape, data_offsets };

  void on_open(char bracket) override {
    if (bracket == '[') return open_list();
    if (level_ == Level::document) {
      level_ = Level::names;
    } else if (level_ == Level::names) {
      open_name();
    } else {
      unexpected("an object");
    }
  }

  void on_close(char bracket) override {
    if (bracket == ']') {
      in_list_ = false;
    } else if (level_ == Level::names) {
      level_ = Level::done;
    } else {
      if (level_ == Level::tensor) finish_tensor();
      level_ = Level::names;
    }
  }

  void on_key(std::string& key) override {
    if (level_ == Level::tensor) return start_field(key);
    (level_ == Level::metadata ? metadata_key_ : name_) = std::move(key);
  }

  void on_string(std::string& value) override {
    if (level_ == Level::metadata) {
      if (!header_.metadata.emplace(metadata_key_, std::move(value)).second)
        fail(ErrorKind::corrupt, "{}: \"__metadata__\" has {} twice", where(), shown(metadata_key_));
    } else if (level_ == Level::tensor && field_ == Field::dtype && !in_list_) {
      set_type(value);
    } else {
      unexpected("a string");
    }
  }

  void on_unsigned(uint64_t value) override {
    if (!in_list_) unexpected("a number");
    if (field_ == Field::data_offsets) {
      if (offsets_ == 2) unexpected("a third number");
      (offsets_++ == 0 ? entry_.begin : entry_.end) = value;
    } else {
      if (entry_.shape.size() == kMaxRank) fail_here("has more than {} dimensions", kMaxRank);
      if (value > INT64_MAX) fail_here("has a dimension of {}", value);
      entry_.shape.push_back(static_cast<int64_t>(value));
    }
  }

  void on_other(std::string_view what) override { unexpected(what); }

  void open_list() {
    if (level_ != Level::tensor || in_list_ || field_ == Field::none || field_ == Field::dtype) unexpected("a list");
    in_list_ = true;
  }

  void open_name() {
    if (name_ == kMetadata) {
      if (has_metadata_) fail(ErrorKind::corrupt, "{}: \"__metadata__\" appears twice", where());
      has_metadata_ = true;
      level_ = Level::metadata;
      return;
    }
    if (header_.tensors.contains(name_)) fail(ErrorKind::corrupt, "{}: tensor {} appears twice", where(), shown(name_));
    entry_ = {};
    offsets_ = 0;
    field_ = Field::none;
    seen_dtype_ = seen_shape_ = seen_offsets_ = false;
    level_ = Level::tensor;
  }

  void start_field(std::string_view key) {
    bool* seen = key == "dtype" ? &seen_dtype_ : key == "shape" ? &seen_shape_ : key == "data_offsets" ? &seen_offsets_ : nullptr;
    if (!seen) fail_here("has a field {} that the format does not know", shown(key));
    if (*seen) fail_here("has \"{}\" twice", key);
    *seen = true;
    field_ = seen == &seen_dtype_ ? Field::dtype : seen == &seen_shape_ ? Field::shape : Field::data_offsets;
  }

  void set_type(std::string_view name) {
    auto type = parse_safetensors_type(name);
    if (!type)
      fail(ErrorKind::unsupported, "{}: tensor {} has element type {}, which Nibble cannot read", where(), shown(name_), shown(name));
    entry_.type = *type;
  }

  void finish_tensor() {
    if (!seen_dtype_ || !seen_shape_ || !seen_offsets_ || offsets_ != 2)
      fail_here("needs \"dtype\", \"shape\" and \"data_offsets\" of two numbers");
    header_.tensors.emplace(name_, std::move(entry_));
  }

  template <class... Args>
  [[noreturn]] void fail_here(fmt::format_string<Args...> format, Args&&... args) const {
    fail(ErrorKind::corrupt, "{}: tensor {} {}", where(), shown(name_), fmt::format(format, std::forward<Args>(args)...));
  }

  [[noreturn]] void unexpected(std::string_view what) const {
    if (level_ == Level::document) fail(ErrorKind::corrupt, "{}: {} where an object of tensors should be", where(), what);
    if (level_ == Level::metadata)
      fail(ErrorKind::corrupt, "{}: \"__metadata__\" has {} at {}: only strings may stand there", where(), what, shown(metadata_key_));
    fail_here("has {} where its description should be or in a field that cannot hold it", what);
  }

  SafetensorsHeader header_;
  Level level_ = Level::document;
  Field field_ = Field::none;
  std::string name_, metadata_key_;
  SafetensorsEntry entry_;
  int offsets_ = 0;
  bool in_list_ = false, has_metadata_ = false;
  bool seen_dtype_ = false, seen_shape_ = false, seen_offsets_ = false;
};

uint64_t bytes_of(const SafetensorsEntry& entry) {
  size_t count = element_count(entry.shape);
  if (bit_width(entry.type) < 8 && count % 2 != 0) fail(ErrorKind::corrupt, "an odd number of 4-bit elements");
  return packed_bytes(entry.type, count);
}

void check_size(const std::string& name, const SafetensorsEntry& entry, const std::string& file) {
  if (entry.begin > entry.end)
    fail(ErrorKind::corrupt, "{}: tensor {} ends at byte {}, before it begins at {}", file, shown(name), entry.end, entry.begin);
  uint64_t bytes = 0;
  try {
    bytes = bytes_of(entry);
  } catch (const Error& error) {
    fail(ErrorKind::corrupt, "{}: tensor {}: {}", file, shown(name), error.what());
  }
  if (entry.end - entry.begin != bytes)
    fail(ErrorKind::corrupt, "{}: tensor {} of type {} and shape {} takes {} bytes, its offsets [{}, {}] say {}", file, shown(name),
         to_string(entry.type), to_string(entry.shape), bytes, entry.begin, entry.end, entry.end - entry.begin);
}

}  // namespace

SafetensorsHeader parse_safetensors_header(std::string_view text, const std::string& file) {
  HeaderReader reader(file + ": header");
  reader.parse(text);
  return std::move(reader).take();
}

void check_safetensors_layout(const SafetensorsHeader& header, uint64_t data_bytes, const std::string& file) {
  using Item = std::pair<const std::string, SafetensorsEntry>;
  std::vector<const Item*> items;
  for (const auto& item : header.tensors) {
    check_size(item.first, item.second, file);
    items.push_back(&item);
  }
  std::sort(items.begin(), items.end(), [](const Item* a, const Item* b) {
    return std::pair(a->second.begin, a->second.end) < std::pair(b->second.begin, b->second.end);
  });
  uint64_t covered = 0;
  for (const auto* item : items) {
    if (item->second.begin != covered)
      fail(ErrorKind::corrupt, "{}: tensor {} begins at byte {} of the data, the one before it ends at {}: {}", file, shown(item->first),
           item->second.begin, covered, item->second.begin < covered ? "they overlap" : "the bytes between belong to no tensor");
    covered = item->second.end;
  }
  if (covered > data_bytes)
    fail(ErrorKind::corrupt, "{}: holds {} bytes of data where its header describes {}: the download is incomplete, fetch the file again",
         file, data_bytes, covered);
  if (covered < data_bytes) fail(ErrorKind::corrupt, "{}: {} bytes follow the last tensor", file, data_bytes - covered);
}

}  // namespace nibble
