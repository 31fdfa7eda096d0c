#include "tokenizer/normalizers/makers.hpp"
#include "tokenizer/pattern.hpp"
#include "tokenizer/unicode.hpp"

namespace nibble::tokenizer {
namespace {

class Replace : public Normalizer {
 public:
  Replace(std::unique_ptr<const Pattern> pattern, std::string content) : pattern_(std::move(pattern)), content_(std::move(content)) {}

  void normalize(SplitText& text) const override {
    std::vector<Part> parts;
    text.rewrite([&](std::string_view view, TextRewriter& out) {
      parts.clear();
      pattern_->find(view, parts);
      for (const Part& part : parts) {
        if (part.matched) {
          out.drop(part.end - part.begin);
          out.insert(content_);
        } else {
          out.keep(part.end - part.begin);
        }
      }
    });
  }

 private:
  std::unique_ptr<const Pattern> pattern_;
  std::string content_;
};

class Prepend : public Normalizer {
 public:
  explicit Prepend(std::string prefix) : prefix_(std::move(prefix)) {}

  void normalize(SplitText& text) const override {
    text.rewrite([this](std::string_view view, TextRewriter& out) {
      if (!view.empty()) out.prepend(prefix_);
      out.keep_rest();
    });
  }

 private:
  std::string prefix_;
};

class Strip : public Normalizer {
 public:
  Strip(bool left, bool right) : left_(left), right_(right) {}

  void normalize(SplitText& text) const override {
    text.rewrite([this](std::string_view view, TextRewriter& out) {
      size_t begin = 0, end = view.size();
      while (left_ && begin < end && is_whitespace(code_point_at(view, begin).value)) begin += code_point_at(view, begin).size;
      while (right_ && end > begin && is_whitespace(code_point_before(view, end).value)) end -= code_point_before(view, end).size;
      out.drop(begin);
      out.keep(end - begin);
    });
  }

 private:
  bool left_, right_;
};

}  // namespace

NormalizerPtr make_replace(const JsonView& view) {
  return std::make_unique<Replace>(make_pattern(view.at("pattern")), view.at("content").string());
}

NormalizerPtr make_replace(std::string literal, std::string content) {
  return std::make_unique<Replace>(std::make_unique<LiteralPattern>(std::move(literal)), std::move(content));
}

NormalizerPtr make_replace_pattern(std::string_view regex, std::string content) {
  return std::make_unique<Replace>(std::make_unique<RegexPattern>(regex), std::move(content));
}

NormalizerPtr make_prepend(std::string prefix) { return std::make_unique<Prepend>(std::move(prefix)); }
NormalizerPtr make_strip(bool left, bool right) { return std::make_unique<Strip>(left, right); }

}  // namespace nibble::tokenizer
