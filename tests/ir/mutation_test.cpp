#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "base/mapped_file.hpp"
#include "graph_text.hpp"
#include "ir/xml_writer.hpp"

namespace nibble {
namespace {

/// Damages a text in one of the ways that files get damaged, or that somebody would try on purpose.
class Mutator {
 public:
  explicit Mutator(uint64_t seed) : random_(seed) {}

  std::string mutate(std::string text) {
    for (size_t i = 0, count = 1 + below(3); i < count; ++i) mutate_once(text);
    return text;
  }
  size_t below(size_t limit) { return limit == 0 ? 0 : std::uniform_int_distribution<size_t>(0, limit - 1)(random_); }

 private:
  void mutate_once(std::string& text) {
    if (text.empty()) return;
    switch (below(9)) {
      case 0: text.resize(below(text.size())); break;
      case 1: text[below(text.size())] = static_cast<char>(below(256)); break;
      case 2: text[below(text.size())] ^= static_cast<char>(1 << below(8)); break;
      case 3: duplicate_line(text); break;
      case 4: erase_line(text); break;
      case 5: swap_lines(text); break;
      case 6: swap_numbers(text); break;
      default: replace_number(text); break;
    }
  }

  struct Range {
    size_t begin = 0, size = 0;
  };
  Range line(const std::string& text) {
    size_t at = below(text.size());
    size_t before = text.rfind('\n', at);
    size_t begin = before == std::string::npos ? 0 : before;
    size_t end = text.find('\n', at + 1);
    return {begin, (end == std::string::npos ? text.size() : end) - begin};
  }
  Range number(const std::string& text) {
    size_t begin = text.find_first_of("0123456789", below(text.size()));
    if (begin == std::string::npos) return {};
    size_t end = text.find_first_not_of("0123456789", begin);
    return {begin, (end == std::string::npos ? text.size() : end) - begin};
  }

  void duplicate_line(std::string& text) {
    Range range = line(text);
    text.insert(range.begin, text.substr(range.begin, range.size));
  }
  void erase_line(std::string& text) {
    Range range = line(text);
    text.erase(range.begin, range.size);
  }
  void swap_lines(std::string& text) { swap(text, line(text), line(text)); }
  void swap_numbers(std::string& text) { swap(text, number(text), number(text)); }
  void swap(std::string& text, Range a, Range b) {
    if (a.begin > b.begin) std::swap(a, b);
    if (a.begin + a.size > b.begin) return;
    std::string first = text.substr(a.begin, a.size), second = text.substr(b.begin, b.size);
    text.replace(b.begin, b.size, first);
    text.replace(a.begin, a.size, second);
  }
  void replace_number(std::string& text) {
    static const std::vector<std::string> kNumbers{"0",
                                                   "-1",
                                                   "1",
                                                   "2",
                                                   "3",
                                                   "7",
                                                   "64",
                                                   "65536",
                                                   "2147483648",
                                                   "4294967296",
                                                   "-2147483649",
                                                   "4611686018427387904",
                                                   "9223372036854775807",
                                                   "-9223372036854775808",
                                                   "18446744073709551615",
                                                   "99999999999999999999",
                                                   "1e99",
                                                   "?",
                                                   "...",
                                                   "",
                                                   "1, 1, 1, 1, 1, 1, 1"};
    Range range = number(text);
    text.replace(range.begin, range.size, kNumbers[below(kNumbers.size())]);
  }

  std::mt19937_64 random_;
};

std::shared_ptr<const std::string> shared(std::string text) { return std::make_shared<const std::string>(std::move(text)); }

/// Reads the model; one that is accepted must also be fit for writing. Anything but success and nibble::Error ends the test.
bool survives(const std::string& xml, const std::shared_ptr<const std::string>& bin) {
  try {
    Graph graph = read_ir(xml, bin, std::as_bytes(std::span(*bin)), "mutated.xml");
    std::vector<Node*> layers = graph.topological_order();
    write_xml(graph, layers, BinPlan(layers));
    return true;
  } catch (const Error&) {
    return false;
  }
}

struct Case {
  const char* name;
  std::string xml, bin;
  int count;
};

/// Damages the XML mostly and the .bin sometimes. Some of it must be accepted and some refused, or the test tests nothing.
void run(const Case& model) {
  Mutator mutator(20240607);
  int accepted = 0;
  auto bin = shared(model.bin);
  for (int i = 0; i < model.count; ++i) {
    bool damage_bin = mutator.below(8) == 0;
    std::string xml = damage_bin && mutator.below(2) == 0 ? model.xml : mutator.mutate(model.xml);
    accepted += survives(xml, damage_bin ? shared(mutator.mutate(model.bin)) : bin);
  }
  EXPECT_GT(accepted, model.count / 50) << model.name;
  EXPECT_LT(accepted, model.count * 49 / 50) << model.name;
}

std::string stateful_model() {
  std::string read = R"(<layer id="1" name="rv" type="ReadValue" version="opset6">
<data variable_id="v" variable_type="f32" variable_shape="?,2"/>
<input>
<port id="0"/>
</input>
<output>
<port id="1" precision="FP32"/>
</output></layer>
)";
  std::string assign = R"(<layer id="2" name="as" type="Assign" version="opset6">
<data variable_id="v"/>
<input>
<port id="0"/>
</input>
<output>
<port id="1"/>
</output></layer>
)";
  std::string layers =
      parameter(0) + "\n" + read + assign + constant(4, "u4", "3, 5", "1", "8") + "\n" + result(3) + "\n" + result(5) + "\n";
  std::string edges = edge(0, 0, 1, 0) + "\n" + edge(1, 1, 2, 0) + "\n" + edge(1, 1, 3, 0) + "\n" + edge(4, 0, 5, 0) + "\n";
  return net(layers, edges, "\n<rt_info>\n<a>\n<b value=\"1\"/>\n</a>\n</rt_info>\n");
}

TEST(Mutation, OfAStatefulModel) { run({"states", stateful_model(), std::string(16, 'x'), 20000}); }

Case from_data(const char* name, int count) {
  return {name, read_file(data_path(name) + "/openvino_model.xml"), read_file(data_path(name) + "/openvino_model.bin"), count};
}

TEST(Mutation, OfACompressedMatMul) { run(from_data("matmul-int3-sym-g64", 20000)); }

TEST(Mutation, OfALanguageModel) { run(from_data("qwen2-int4-asym-g32", 1500)); }

TEST(Mutation, OfAMixtureOfExperts) { run(from_data("mixtral-int8", 700)); }

TEST(Mutation, EveryTruncationOfAModel) {
  Case model = from_data("matmul-int3-sym-g64", 0);
  auto bin = shared(model.bin);
  for (size_t size = 0; size < model.xml.size() - 10; size += 3) EXPECT_FALSE(survives(model.xml.substr(0, size), bin)) << size;
  for (size_t size = 0; size < model.bin.size(); size += 7) EXPECT_FALSE(survives(model.xml, shared(model.bin.substr(0, size)))) << size;
}

}  // namespace
}  // namespace nibble
