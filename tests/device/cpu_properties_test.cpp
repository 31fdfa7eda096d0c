#include "device/cpu/cpu_properties.hpp"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "base/usable_cores.hpp"
#include "cpu_session.hpp"
#include "device/cpu/kernels/packed_matrix.hpp"
#include "expect_error.hpp"

namespace nibble::cpu {

using test::fails;

namespace {

CpuOptions options(const Properties& properties, const Graph& graph = Graph()) { return read_cpu_properties(properties, graph); }

Graph with_runtime_option(const std::string& name, const std::string& value) {
  Graph graph;
  graph.rt_info().child("runtime_options").set(name, value);
  return graph;
}

Graph with_weights(ElementType type) {
  Graph graph;
  graph.add_constant(Tensor(type, {128, 64}));
  return graph;
}

TEST(CpuProperties, DefaultsFollowTheProcessor) {
  for (Isa isa : available_isas()) {
    test::ForcedIsa forced(isa);
    CpuOptions found = options({});
    EXPECT_EQ(found.precision.isa, isa);
    EXPECT_EQ(found.precision.bf16, isa == Isa::avx512bf16);
    EXPECT_EQ(found.precision.dynamic_quantization_group, 32u);
    EXPECT_EQ(found.threads, 0);
    EXPECT_FALSE(found.pinned);
    EXPECT_FALSE(found.cache.directory.has_value());
  }
}

TEST(CpuProperties, TheCacheIsAsPreciseAsTheWeights) {
  EXPECT_EQ(options({}, with_weights(ElementType::u4)).precision.kv, KvPrecision::u8);
  EXPECT_EQ(options({}, with_weights(ElementType::i8)).precision.kv, KvPrecision::u8);
  EXPECT_EQ(options({}, with_weights(ElementType::f16)).precision.kv, KvPrecision::f16);
  EXPECT_EQ(options({}, with_weights(ElementType::f32)).precision.kv, KvPrecision::f16);
}

TEST(CpuProperties, KvCachePrecision) {
  auto read = [](const char* value) { return options({{"KV_CACHE_PRECISION", value}}).precision.kv; };
  EXPECT_EQ(read("f32"), KvPrecision::f32);
  EXPECT_EQ(read("F16"), KvPrecision::f16);
  EXPECT_EQ(read("bf16"), KvPrecision::bf16);
  EXPECT_EQ(read("u8"), KvPrecision::u8);
  EXPECT_EQ(read("i8"), KvPrecision::u8);
}

TEST(CpuProperties, InferencePrecision) {
  auto bf16 = [](const char* value) { return options({{"INFERENCE_PRECISION_HINT", value}}).precision.bf16; };
  EXPECT_TRUE(bf16("bf16"));
  for (const char* value : {"f32", "f16", "F32"}) EXPECT_FALSE(bf16(value)) << value;
}

TEST(CpuProperties, DynamicQuantizationComesInWholeChunks) {
  auto group = [](const char* value) { return options({{"DYNAMIC_QUANTIZATION_GROUP_SIZE", value}}).precision.dynamic_quantization_group; };
  EXPECT_EQ(group("0"), 0u);
  EXPECT_EQ(group("1"), kChunk);
  EXPECT_EQ(group("32"), 32u);
  EXPECT_EQ(group("100"), 96u);
  EXPECT_EQ(group("128"), 128u);
  EXPECT_GT(group("18446744073709551615"), size_t{1} << 40) << "OpenVINO's way to ask for one scale per row";
}

TEST(CpuProperties, Threads) {
  EXPECT_EQ(options({{"INFERENCE_NUM_THREADS", "3"}}).threads, 3);
  EXPECT_EQ(options({{"INFERENCE_NUM_THREADS", "0"}}).threads, 0);
  for (const char* yes : {"YES", "true", "1"}) EXPECT_TRUE(options({{"ENABLE_CPU_PINNING", yes}}).pinned) << yes;
  for (const char* no : {"NO", "False", "0"}) EXPECT_FALSE(options({{"ENABLE_CPU_PINNING", no}}).pinned) << no;
}

TEST(CpuProperties, CacheDirectory) {
  EXPECT_EQ(options({{"CACHE_DIR", "/somewhere"}}).cache.directory, std::filesystem::path("/somewhere"));
  EXPECT_EQ(options({{"CACHE_DIR", ""}}).cache.directory, std::filesystem::path()) << "no cache";
}

TEST(CpuProperties, AccuracyKeepsActivationsInFloats) {
  CpuOptions found = options({{"EXECUTION_MODE_HINT", "ACCURACY"}});
  EXPECT_FALSE(found.precision.bf16);
  EXPECT_EQ(found.precision.dynamic_quantization_group, 0u);
  EXPECT_EQ(options({{"EXECUTION_MODE_HINT", "PERFORMANCE"}}).precision.dynamic_quantization_group, 32u);
}

TEST(CpuProperties, WhatIsSaidOutrightGoesBeforeAccuracy) {
  Properties both{{"EXECUTION_MODE_HINT", "ACCURACY"}, {"DYNAMIC_QUANTIZATION_GROUP_SIZE", "64"}, {"INFERENCE_PRECISION_HINT", "bf16"}};
  EXPECT_EQ(options(both).precision.dynamic_quantization_group, 64u);
  EXPECT_TRUE(options(both).precision.bf16);
}

TEST(CpuProperties, HintsThatChangeNothingAreTaken) {
  for (const char* hint : {"LATENCY", "THROUGHPUT", "CUMULATIVE_THROUGHPUT", "UNDEFINED", ""})
    EXPECT_NO_THROW(options({{"PERFORMANCE_HINT", hint}})) << hint;
  for (const char* streams : {"1", "AUTO"}) EXPECT_NO_THROW(options({{"NUM_STREAMS", streams}})) << streams;
}

TEST(CpuProperties, TheModelMayAskForPrecisions) {
  EXPECT_EQ(options({}, with_runtime_option("KV_CACHE_PRECISION", "f32")).precision.kv, KvPrecision::f32);
  EXPECT_EQ(options({}, with_runtime_option("DYNAMIC_QUANTIZATION_GROUP_SIZE", "0")).precision.dynamic_quantization_group, 0u);
  EXPECT_EQ(options({}, with_runtime_option("ACTIVATIONS_SCALE_FACTOR", "8.0")).precision.dynamic_quantization_group, 32u) << "ignored";
}

TEST(CpuProperties, ThoseWhoRunAModelGoBeforeIt) {
  Graph graph = with_runtime_option("KV_CACHE_PRECISION", "f32");
  EXPECT_EQ(options({{"KV_CACHE_PRECISION", "u8"}}, graph).precision.kv, KvPrecision::u8);
}

TEST(CpuProperties, AModelThatAsksForNonsenseIsRefused) {
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"KV_CACHE_PRECISION=u2", "u8"},
                    [] { options({}, with_runtime_option("KV_CACHE_PRECISION", "u2")); }));
}

struct Refusal {
  const char *name, *value, *known;
};
void PrintTo(const Refusal& refusal, std::ostream* stream) { *stream << refusal.name << "=" << refusal.value; }

class CpuPropertyRefusal : public testing::TestWithParam<Refusal> {};

INSTANTIATE_TEST_SUITE_P(
    Values, CpuPropertyRefusal,
    testing::Values(Refusal{"KV_CACHE_PRECISION", "u4", "f32, f16, bf16 or u8"}, Refusal{"KV_CACHE_PRECISION", "", "f32, f16, bf16 or u8"},
                    Refusal{"INFERENCE_PRECISION_HINT", "i8", "f32, f16 (computed in f32) or bf16"},
                    Refusal{"DYNAMIC_QUANTIZATION_GROUP_SIZE", "-1", "a number"},
                    Refusal{"DYNAMIC_QUANTIZATION_GROUP_SIZE", "32x", "a number"},
                    Refusal{"DYNAMIC_QUANTIZATION_GROUP_SIZE", "", "a number"}, Refusal{"INFERENCE_NUM_THREADS", "two", "a number"},
                    Refusal{"INFERENCE_NUM_THREADS", "99999999999999999999", "a number"},
                    Refusal{"ENABLE_CPU_PINNING", "maybe", "YES or NO"}, Refusal{"PERFORMANCE_HINT", "FAST", "LATENCY, THROUGHPUT"},
                    Refusal{"NUM_STREAMS", "4", "1, AUTO"}, Refusal{"EXECUTION_MODE_HINT", "EXACT", "PERFORMANCE, ACCURACY"}),
    [](const auto& test) { return std::string(test.param.name) + "_" + std::to_string(test.index); });

TEST_P(CpuPropertyRefusal, SaysWhatThereIs) {
  const auto& [name, value, known] = GetParam();
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {std::string(name) + "=" + value, known}, [&] {
    options({{GetParam().name, GetParam().value}});
  }));
}

TEST(CpuProperties, UnknownNamesAreRefusedWithTheKnownOnes) {
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"NPU_TURBO", "INFERENCE_NUM_THREADS", "KV_CACHE_PRECISION", "CACHE_DIR"}, [] {
    options({{"NPU_TURBO", "YES"}});
  }));
}

/// What compiled models make of the properties.
class CpuCompilation : public testing::Test {
 protected:
  static Graph graph() { return test::IrFixture(test::data_path("ir/llama-gqa-int4-sym-g32")).graph(); }
  std::vector<float> logits(const Properties& properties) {
    auto runner = make_runner(test::compile_on_cpu(graph(), context_, properties));
    const std::vector<int64_t> prompt{5, 17, 40, 2, 77, 8, 120, 3, 3, 9};
    return test::logits_row(runner->forward(std::vector<TokenSpan>{{1, prompt}}), 0);
  }
  /// Threads of this process by the number of cores that each may use.
  static size_t threads_on_one_core() {
    size_t found = 0;
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
      std::ifstream status(task.path() / "status");
      for (std::string line; std::getline(status, line);)
        found += line.rfind("Cpus_allowed_list:", 0) == 0 && line.find_first_of(",-") == std::string::npos;
    }
    return found;
  }
  static size_t threads() {
    auto tasks = std::filesystem::directory_iterator("/proc/self/task");
    return static_cast<size_t>(std::distance(begin(tasks), end(tasks)));
  }
  Context context_{{.threads = 1, .log = {}}};
};

TEST_F(CpuCompilation, EachPropertyOfPrecisionChangesTheNumbers) {
  std::vector<float> exact = logits(test::exact());
  for (const auto& [name, value] :
       Properties{{"KV_CACHE_PRECISION", "u8"}, {"KV_CACHE_PRECISION", "f16"}, {"DYNAMIC_QUANTIZATION_GROUP_SIZE", "32"}}) {
    Properties changed = test::exact();
    changed[name] = value;
    EXPECT_NE(logits(changed), exact) << name << "=" << value;
  }
}

TEST_F(CpuCompilation, GroupsOfActivationsMayBeWholeRows) {
  auto with_group = [&](const char* size) {
    Properties changed = test::exact();
    changed["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = size;
    return logits(changed);
  };
  std::vector<float> exact = logits(test::exact()), whole = with_group("18446744073709551615");
  EXPECT_EQ(whole, with_group("256")) << "no row is longer";
  EXPECT_NE(whole, with_group("32"));
  EXPECT_LT(test::divergence(exact, whole), 0.02);
}

TEST_F(CpuCompilation, RuntimeOptionsOfTheModelCount) {
  Graph asking = graph();
  asking.rt_info().child("runtime_options").set("KV_CACHE_PRECISION", "f32");
  asking.rt_info().child("runtime_options").set("DYNAMIC_QUANTIZATION_GROUP_SIZE", "0");
  auto runner = make_runner(test::compile_on_cpu(std::move(asking), context_, {{"INFERENCE_PRECISION_HINT", "f32"}}));
  const std::vector<int64_t> prompt{5, 17, 40, 2, 77, 8, 120, 3, 3, 9};
  EXPECT_EQ(test::logits_row(runner->forward(std::vector<TokenSpan>{{1, prompt}}), 0), logits(test::exact()));
}

TEST_F(CpuCompilation, ThreadsAreTheContextsUnlessTheirNumberIsGiven) {
  std::thread([] {}).join();  // a sanitizer starts one of its own with the first
  size_t before = threads();
  auto model = test::compile_on_cpu(graph(), context_);
  EXPECT_EQ(threads(), before);
  auto other = test::compile_on_cpu(graph(), context_, {{"INFERENCE_NUM_THREADS", "4"}});
  EXPECT_EQ(threads(), before + 3) << "and the caller";
  other.reset();
  EXPECT_EQ(threads(), before);
}

TEST_F(CpuCompilation, PinnedThreadsStayOnACore) {
  if (usable_cores() < 2) GTEST_SKIP() << "one core only";
  size_t before = threads_on_one_core();
  auto model = test::compile_on_cpu(graph(), context_, {{"ENABLE_CPU_PINNING", "YES"}, {"INFERENCE_NUM_THREADS", "2"}});
  EXPECT_EQ(threads_on_one_core(), before + 1);
}

TEST_F(CpuCompilation, ReportsItsPlan) {
  auto plan = test::compile_on_cpu(graph(), context_)->plan();
  ASSERT_TRUE(plan);
  EXPECT_GT(plan->weight_bytes, 100000u);
  EXPECT_THAT(plan->weights, testing::HasSubstr("packed now"));
  auto steps = [&](std::string_view kind) {
    return std::count_if(plan->steps.begin(), plan->steps.end(), [&](const PlanStep& step) { return step.kind == kind; });
  };
  EXPECT_EQ(steps("Embedding"), 1);
  EXPECT_EQ(steps("RMSNorm"), 5);
  EXPECT_EQ(steps("PagedAttention"), 2);
  EXPECT_EQ(steps("Rotary"), 4);
  EXPECT_EQ(steps("Gated"), 2);
  EXPECT_EQ(steps("Linear"), 9) << "q, k and v in one, and gate and up";
}

TEST_F(CpuCompilation, UnknownPropertiesAreRefused) {
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"NPU_TURBO"}, [&] { test::compile_on_cpu(graph(), context_, {{"NPU_TURBO", "YES"}}); }));
}

TEST(CpuDevices, AreListedFirst) {
  EXPECT_EQ(default_device(), "CPU");
  EXPECT_EQ(find_device("").name(), "CPU");
  EXPECT_EQ(find_device("CPU").name(), "CPU");
}

}  // namespace
}  // namespace nibble::cpu
