#include "ir/writer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <numeric>
#include <set>

#include "base/mapped_file.hpp"
#include "graph_text.hpp"

namespace nibble {
namespace {

using testing::HasSubstr;
using testing::Not;

/// u4 codes [rows, cols] and u8 sums [rows], made on demand: code (r, c) is (r + c) % 16. Remembers what it was asked for.
class FakeSource : public ConstantSource {
 public:
  FakeSource(int64_t rows, int64_t cols) : shapes_{{rows, cols}, {rows, 1}} {}
  size_t output_count() const override { return 2; }
  ElementType type(size_t output) const override { return output == 0 ? ElementType::u4 : ElementType::u8; }
  const Shape& shape(size_t output) const override { return shapes_[output]; }
  int64_t rows() const override { return shapes_[0][0]; }
  void produce(int64_t begin, int64_t end, std::span<const std::span<std::byte>> out) const override {
    EXPECT_EQ(begin % 8, 0);
    EXPECT_TRUE(end % 8 == 0 || end == rows());
    EXPECT_EQ(out[0].size(), row_slice_bytes(*this, 0, begin, end));
    EXPECT_EQ(out[1].size(), static_cast<size_t>(end - begin));
    size_t largest = largest_slice.load();
    while (largest < out[0].size() && !largest_slice.compare_exchange_weak(largest, out[0].size())) {}
    if (fails_at >= begin && fails_at < end) fail(ErrorKind::corrupt, "the source is broken");
    std::fill(out[0].begin(), out[0].end(), std::byte{0});
    for (int64_t r = begin; r < end; ++r) {
      out[1][static_cast<size_t>(r - begin)] = static_cast<std::byte>(r % 251);
      for (int64_t c = 0; c < shapes_[0][1]; ++c) {
        auto index = static_cast<size_t>((r - begin) * shapes_[0][1] + c);
        out[0][index / 2] |= static_cast<std::byte>(((r + c) % 16) << (4 * (index % 2)));
      }
    }
    ++calls;
  }

  mutable std::atomic<size_t> largest_slice{0};
  mutable std::atomic<int> calls{0};
  int64_t fails_at = -1;

 private:
  std::vector<Shape> shapes_;
};

class RecordingProgress : public Progress {
 public:
  void begin(std::string_view stage, uint64_t total_units, std::string_view unit) override {
    name = fmt::format("{} in {}", stage, unit);
    total = total_units;
  }
  void advance(uint64_t units) override { done += units; }
  void end() override { ++ends; }
  bool cancelled() const override { return done >= cancel_at; }

  std::string name;
  uint64_t total = 0, done = 0, cancel_at = UINT64_MAX;
  int ends = 0;
};

/// Results for all constants.
void add_results(Graph& graph) {
  for (Node* node : graph.of_type("Constant")) graph.add("Result", {node->output()}, {}, "out_" + node->name());
}

Tensor bytes(size_t count, int seed) {
  std::vector<uint8_t> values(count);
  std::iota(values.begin(), values.end(), static_cast<uint8_t>(seed));
  return Tensor::from<uint8_t>({static_cast<int64_t>(count)}, values);
}

Tensor constant_of(const Graph& graph, std::string_view name) {
  for (Node* node : graph.of_type("Constant"))
    if (node->name() == name) return node->constant().tensor();
  return {};
}

struct Written {
  ScratchDirectory directory;
  Context context{{.threads = 3, .log = {}}};
  Graph write_and_read(const Graph& graph, WriteOptions options = {}) {
    write_ir(graph, directory / "model.xml", context, nullptr, options);
    return read_ir(directory / "model.xml");
  }
  std::string xml() const { return read_file(directory / "model.xml"); }
  size_t bin_size() const { return std::filesystem::file_size(directory / "model.bin"); }
};

TEST(Writer, WritesLayersAsOpenVinoDoes) {
  Graph graph;
  graph.name() = "tiny";
  Node& x = graph.add_parameter(ElementType::f32, {kDynamic, 2}, "x");
  Node& c = graph.add_constant(Tensor::from<float>({2, 1}, std::vector<float>{1, 2}), "weight");
  graph.add("Result", {x.output()}, {}, "first");
  Node& named = graph.add("Result", {c.output()}, {}, "second");
  named.output_info().names = {"b,c", "a<\">"};
  named.rt_info() = {{{"name", "precise"}, {"version", "0"}}};
  graph.rt_info().set("OpenVINO Runtime", "none");
  graph.rt_info().child("nibble").set("mode", "int4_sym");
  Written written;
  written.write_and_read(graph);
  EXPECT_EQ(written.xml(), R"(<?xml version="1.0"?>
<net name="tiny" version="11">
	<layers>
		<layer id="0" name="x" type="Parameter" version="opset1">
			<data shape="?,2" element_type="f32" />
			<output>
				<port id="0" precision="FP32" names="x">
					<dim>-1</dim>
					<dim>2</dim>
				</port>
			</output>
		</layer>
		<layer id="1" name="weight" type="Const" version="opset1">
			<data element_type="f32" shape="2, 1" offset="0" size="8" />
			<output>
				<port id="0" precision="FP32">
					<dim>2</dim>
					<dim>1</dim>
				</port>
			</output>
		</layer>
		<layer id="2" name="first" type="Result" version="opset1">
			<input>
				<port id="0" precision="FP32">
					<dim>-1</dim>
					<dim>2</dim>
				</port>
			</input>
		</layer>
		<layer id="3" name="second" type="Result" version="opset1" output_names="a&lt;&quot;>,b\,c">
			<rt_info>
				<attribute name="precise" version="0" />
			</rt_info>
			<input>
				<port id="0" precision="FP32">
					<dim>2</dim>
					<dim>1</dim>
				</port>
			</input>
		</layer>
	</layers>
	<edges>
		<edge from-layer="0" from-port="0" to-layer="2" to-port="0" />
		<edge from-layer="1" from-port="0" to-layer="3" to-port="0" />
	</edges>
	<rt_info>
		<info name="OpenVINO Runtime" value="none" />
		<nibble>
			<mode value="int4_sym" />
		</nibble>
	</rt_info>
</net>
)");
}

TEST(Writer, PutsAssignsBeforeResults) {
  Graph graph;
  Node& x = graph.add_parameter(ElementType::f32, {2}, "x");
  Node& state = graph.add("ReadValue", {x.output()}, {{"variable_id", "v"}, {"variable_type", "f32"}, {"variable_shape", "2"}});
  graph.add("Result", {state.output()}, {}, "result");
  graph.add("Assign", {x.output()}, {{"variable_id", "v"}}, "assign");
  Written written;
  written.write_and_read(graph);
  EXPECT_LT(written.xml().find("type=\"Assign\""), written.xml().find("type=\"Result\""));
}

TEST(Writer, EqualSmallConstantsTakeOnePlaceWhateverTheirType) {
  Graph graph;
  graph.add_constant(Tensor::scalar<int32_t>(0), "i32");
  graph.add_constant(Tensor::scalar<float>(0.0f), "f32");
  graph.add_constant(Tensor::scalar<int64_t>(0), "i64");
  graph.add_constant(Tensor::from<int64_t>({1}, std::vector<int64_t>{0}), "i64 vector");
  add_results(graph);
  Written written;
  EXPECT_EQ(GraphText::of(written.write_and_read(graph)), GraphText::of(graph));
  EXPECT_EQ(written.bin_size(), 12u);
}

TEST(Writer, LargeConstantsAreAlignedAndSharedByAddressOnly) {
  Graph graph;
  Tensor large = bytes(5000, 0);
  graph.add_constant(bytes(3, 1), "small");
  graph.add_constant(large, "large");
  graph.add_constant(large.reshaped({50, 100}), "same memory");
  graph.add_constant(large.clone(), "same bytes");
  add_results(graph);
  Written written;
  EXPECT_EQ(GraphText::of(written.write_and_read(graph)), GraphText::of(graph));
  EXPECT_EQ(written.bin_size(), 5120u + 5000);
  EXPECT_EQ(ir_bin_size(graph), written.bin_size());
  EXPECT_THAT(written.xml(), HasSubstr(R"(shape="50, 100" offset="64" size="5000")"));
}

TEST(Writer, EmptyAndStringConstants) {
  Graph graph;
  std::string payload("\1\0\0\0\0\0\0\0\2\0\0\0ab", 14);
  auto owner = std::make_shared<std::string>(payload);
  graph.add_constant(Tensor::view(ElementType::string, {1}, std::as_bytes(std::span(*owner)), owner), "text");
  graph.add_constant(Tensor(ElementType::f32, {0, 3}), "empty");
  add_results(graph);
  Written written;
  EXPECT_EQ(GraphText::of(written.write_and_read(graph)), GraphText::of(graph));
}

TEST(Writer, LazyConstantsAreProducedInSlices) {
  auto source = std::make_shared<FakeSource>(1003, 64);
  Graph graph;
  graph.add_constant({source, 1}, "sums");
  graph.add_constant({source, 0}, "codes");
  graph.add_constant({source, 0}, "codes again");
  add_results(graph);
  Written written;
  Graph read = written.write_and_read(graph, {.slice_bytes = 4000});
  EXPECT_GE(source->calls.load(), 30);
  EXPECT_LE(source->largest_slice.load(), 4000u);
  EXPECT_EQ(GraphText::of(read), GraphText::of(graph));
  EXPECT_EQ(written.bin_size(), 1024u + 1003 * 32);
  Tensor codes = constant_of(read, "codes");
  EXPECT_EQ(std::to_integer<int>(codes.data()[1000 * 32]), (1000 % 16) | ((1001 % 16) << 4));
  EXPECT_EQ(constant_of(read, "sums").as<uint8_t>()[1002], 1002 % 251);
}

TEST(Writer, OutputsThatNobodyUsesAreNotStored) {
  auto source = std::make_shared<FakeSource>(100, 2);
  Graph graph;
  graph.add_constant({source, 0}, "codes");
  add_results(graph);
  Written written;
  EXPECT_EQ(GraphText::of(written.write_and_read(graph)), GraphText::of(graph));
  EXPECT_EQ(written.bin_size(), 100u);
}

TEST(Writer, TheSameGraphGivesTheSameBytesWhateverTheSlices) {
  auto source = std::make_shared<FakeSource>(517, 30);
  Graph graph;
  graph.add_constant({source, 0}, "codes");
  graph.add_constant(bytes(9999, 3), "view");
  graph.add_constant({source, 1}, "sums");
  add_results(graph);
  Written one, other;
  one.write_and_read(graph, {.slice_bytes = 1});
  other.write_and_read(graph);
  EXPECT_EQ(read_file(one.directory / "model.bin"), read_file(other.directory / "model.bin"));
  EXPECT_EQ(one.xml(), other.xml());
}

TEST(Writer, CountsProgressInBytes) {
  Graph graph;
  graph.add_constant({std::make_shared<FakeSource>(100, 2), 0}, "codes");
  graph.add_constant(bytes(5000, 0), "view");
  add_results(graph);
  Written written;
  RecordingProgress progress;
  write_ir(graph, written.directory / "model.xml", written.context, &progress, {.slice_bytes = 64});
  EXPECT_EQ(progress.name, "write weights in bytes");
  EXPECT_EQ(progress.total, 5100u);
  EXPECT_EQ(progress.done, 5100u);
  EXPECT_EQ(progress.ends, 1);
}

TEST(Writer, CancellingLeavesNothingBehind) {
  Graph graph;
  graph.add_constant(bytes(5000, 0), "view");
  add_results(graph);
  Written written;
  RecordingProgress progress;
  progress.cancel_at = 100;
  try {
    write_ir(graph, written.directory / "model.xml", written.context, &progress, {.slice_bytes = 64});
    FAIL() << "was written";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::cancelled);
  }
  EXPECT_LT(progress.done, 1000u);
  EXPECT_EQ(written.directory.file_count(), 0u);
}

TEST(Writer, AFailingSourceLeavesTheOldModelAlone) {
  Graph old;
  old.add_constant(bytes(4, 0), "old");
  add_results(old);
  Written written;
  written.write_and_read(old);
  auto source = std::make_shared<FakeSource>(100, 2);
  source->fails_at = 50;
  Graph graph;
  graph.add_constant({source, 0}, "codes");
  add_results(graph);
  EXPECT_THROW(written.write_and_read(graph, {.slice_bytes = 16}), Error);
  EXPECT_EQ(written.directory.file_count(), 2u);
  EXPECT_EQ(GraphText::of(read_ir(written.directory / "model.xml")), GraphText::of(old));
}

TEST(Writer, AModelCanReplaceItself) {
  Graph graph;
  graph.add_constant(bytes(5000, 0), "view");
  graph.add_constant(bytes(3, 1), "small");
  add_results(graph);
  Written written;
  Graph read = written.write_and_read(graph);
  EXPECT_EQ(GraphText::of(written.write_and_read(read)), GraphText::of(graph));
  EXPECT_EQ(GraphText::of(read), GraphText::of(graph));
}

TEST(Writer, RefusesGraphsThatAreNoModels) {
  Written written;
  Graph empty;
  EXPECT_THROW(written.write_and_read(empty), Error);
  Graph loose;
  loose.add_unlinked("Result", 1, {}, "loose", {});
  EXPECT_THROW(written.write_and_read(loose), Error);
  EXPECT_EQ(written.directory.file_count(), 0u);
}

TEST(Writer, RefusesOtherExtensions) {
  Graph graph;
  graph.add_constant(bytes(3, 1), "small");
  add_results(graph);
  Written written;
  EXPECT_THROW(write_ir(graph, written.directory / "model.bin", written.context), Error);
}

TEST(Writer, NamesOfAnyKindSurvive) {
  Graph graph;
  Node& x = graph.add_parameter(ElementType::i64, {}, "x");
  graph.add("Result", {x.output()}, {}, "<a & \"b\"> \xc3\xa9 '\t\n");
  x.output_info().names = {"with, comma", "plain", "\\d"};
  graph.rt_info().set("key", "a\nb");
  Written written;
  EXPECT_EQ(GraphText::of(written.write_and_read(graph)), GraphText::of(graph));
}

}  // namespace
}  // namespace nibble
