#include <nlohmann/json.hpp>

#include "chat/jinja/json.hpp"
#include "chat/jinja/numbers.hpp"

namespace nibble::jinja {

namespace {

/// Builds values from nlohmann's events, whose parser needs no recursion.
class Reader : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit Reader(Run& run) : run_(run) {}
  Value take() { return std::move(result_); }
  const std::string& error() const { return error_; }

  bool null() override { return put(None{}); }
  bool boolean(bool value) override { return put(value); }
  bool number_integer(int64_t value) override { return put(value); }
  bool number_unsigned(uint64_t value) override { return put(BigInteger::parse(std::to_string(value), 10)); }
  bool number_float(double value, const std::string& text) override {
    const bool integer = text.find_first_of(".eE") == std::string::npos;  // too long for 64 bits
    return put(integer ? *parse_integer(text, 10) : Value(value));
  }
  bool string(std::string& value) override { return put(run_.string(std::move(value))); }
  bool binary(nlohmann::json::binary_t&) override { return false; }
  bool start_object(size_t) override {
    open();
    levels_.back().dict.emplace(run_);
    return true;
  }
  bool key(std::string& value) override {
    levels_.back().key = run_.string(std::move(value));
    return true;
  }
  bool end_object() override { return close(levels_.back().dict->value()); }
  bool start_array(size_t) override {
    open();
    return true;
  }
  bool end_array() override { return close(run_.list(std::move(levels_.back().items))); }
  bool parse_error(size_t, const std::string&, const nlohmann::json::exception& error) override {
    error_ = error.what();
    return false;
  }

 private:
  struct Level {
    std::optional<DictBuilder> dict;
    Value key;
    std::vector<Value> items;
  };

  void open() {
    run_.check_depth(static_cast<uint32_t>(levels_.size() + 1));
    levels_.emplace_back();
  }

  bool close(Value value) {
    levels_.pop_back();
    return put(std::move(value));
  }

  bool put(Value value) {
    run_.step();
    if (levels_.empty()) {
      result_ = std::move(value);
    } else if (levels_.back().dict) {
      levels_.back().dict->set(levels_.back().key, std::move(value));
    } else {
      auto& items = levels_.back().items;
      if (items.size() == items.capacity()) run_.require_items(2 * items.size() + 1);
      items.push_back(std::move(value));
    }
    return true;
  }

  Run& run_;
  Value result_;
  std::vector<Level> levels_;
  std::string error_;
};

}  // namespace

Value read_json(Run& run, std::string_view text) {
  Reader reader(run);
  if (!nlohmann::json::sax_parse(text, &reader)) refuse(Fault::value_error, "{}", reader.error());
  return reader.take();
}

}  // namespace nibble::jinja
