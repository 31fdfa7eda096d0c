#include "device/cpu/weight_cache.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <csignal>
#include <mutex>
#include <thread>

#include "device/cpu/packed_weights.hpp"
#include "device/cpu/weight_file_header.hpp"
#include "device/cpu/weight_key.hpp"
#include "expect_error.hpp"
#include "scratch_directory.hpp"
#include "weight_samples.hpp"

namespace nibble::cpu {
namespace {

namespace fs = std::filesystem;
using test::expected_weights;
using test::fails;
using test::packed_weights;
using test::random_weight;
using test::same_values;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using enum ElementType;

/// Requests with codes, scales, zero points and levels.
std::vector<PackRequest> some_requests() {
  return {{{random_weight({u4, f16, u4}, 64, 256, 128, 1), random_weight({u4, f16, u4}, 19, 256, 128, 2)}, {}},
          {{random_weight({nf4, f16}, 40, 64, 32, 3)}, {}}};
}

/// Loads of one cache directory, with what they logged.
class WeightCacheTest : public testing::Test {
 protected:
  std::shared_ptr<const PackedWeights> load(std::vector<PackRequest> requests = some_requests()) {
    warnings_.clear();
    WeightCacheOptions options{.directory = directory_.path() / "cache", .model_name = "a model", .least_bytes = 0};
    return load_packed_weights(std::move(requests), options, context_);
  }

  static bool is_right(const PackedWeights& weights) {
    auto requests = some_requests();
    std::vector<float> stacked = expected_weights(requests[0].parts[0]), second = expected_weights(requests[0].parts[1]);
    stacked.insert(stacked.end(), second.begin(), second.end());
    return same_values(packed_weights(weights.matrix(0)), stacked) &&
           same_values(packed_weights(weights.matrix(1)), expected_weights(requests[1].parts[0]));
  }

  /// The one file of the cache.
  fs::path entry() {
    auto entries = cache().entries();
    EXPECT_EQ(entries.size(), 1u);
    return entries.at(0).path;
  }

  WeightCache cache() { return WeightCache(directory_.path() / "cache"); }

  /// Replaces the entry by `text`; then a load must notice, pack again and leave a good entry.
  void expect_repair(const std::string& text, const std::string& warning) {
    fs::path path = entry();
    fs::remove(path);  // not in place: someone may have it mapped
    test::write_text(path, text);
    auto weights = load();
    EXPECT_FALSE(weights->report().from_cache);
    EXPECT_THAT(weights->report().reason, HasSubstr(warning));
    EXPECT_THAT(warnings_, ElementsAre(HasSubstr(warning)));
    EXPECT_TRUE(is_right(*weights));
    EXPECT_TRUE(load()->report().from_cache);
  }

  test::ScratchDirectory directory_;
  std::mutex mutex_;
  std::vector<std::string> warnings_;
  Context context_{{.threads = 2, .log = [this](LogLevel level, std::string_view message) {
                      std::lock_guard lock(mutex_);
                      if (level == LogLevel::warning) warnings_.emplace_back(message);
                    }}};
};

TEST_F(WeightCacheTest, SecondLoadComesFromTheCache) {
  auto first = load(), second = load();
  EXPECT_FALSE(first->report().from_cache);
  EXPECT_EQ(first->report().reason, "not in the cache");
  EXPECT_TRUE(second->report().from_cache);
  EXPECT_EQ(first->report().bytes, second->report().bytes);
  EXPECT_TRUE(is_right(*first));
  EXPECT_TRUE(is_right(*second));
  EXPECT_THAT(warnings_, IsEmpty());
}

TEST_F(WeightCacheTest, EveryTypeComesBackAsItWas) {
  std::vector<PackRequest> requests;
  unsigned seed = 0;
  for (const test::WeightTypes& types : std::initializer_list<test::WeightTypes>{
           {u4, f32, u8}, {i4, f16}, {u8, f16, u8}, {i8, f32}, {f4e2m1, f8e4m3}, {f8e4m3, f16}, {f16}, {bf16}, {f32}})
    requests.push_back({{random_weight(types, 50, 96, 32, ++seed)}, {}});
  requests.push_back({{random_weight({f32}, 20, 70, 0)}, {.to_bf16 = true}});
  auto first = load(requests), second = load(requests);
  ASSERT_TRUE(second->report().from_cache);
  for (size_t i = 0; i < requests.size(); ++i)
    EXPECT_TRUE(same_values(packed_weights(first->matrix(i)), packed_weights(second->matrix(i)))) << i;
}

TEST_F(WeightCacheTest, WeightsOutliveTheEntry) {
  load();
  auto weights = load();
  fs::remove_all(directory_.path());
  EXPECT_TRUE(is_right(*weights));
}

TEST_F(WeightCacheTest, KeyDependsOnEverything) {
  ThreadPool threads(2);
  auto key = [&](const std::vector<PackRequest>& requests) { return to_hex(weight_key(requests, threads)); };
  auto changed = [&](auto change) {
    auto requests = some_requests();
    change(requests);
    return key(requests);
  };
  auto flipped = [](const ConstantValue& value) {
    Tensor tensor = value.tensor().clone();
    tensor.mutable_data()[tensor.byte_size() - 1] ^= std::byte{1};
    return ConstantValue(tensor);
  };
  std::vector<std::string> keys{key(some_requests())};
  EXPECT_EQ(key(some_requests()), keys[0]);
  keys.push_back(changed([&](auto& r) { r[0].parts[1].codes = flipped(r[0].parts[1].codes); }));
  keys.push_back(changed([&](auto& r) { r[0].parts[0].scales = flipped(r[0].parts[0].scales); }));
  keys.push_back(changed([&](auto& r) { r[0].parts[0].zero_points = flipped(r[0].parts[0].zero_points); }));
  keys.push_back(changed([&](auto& r) { r[0].parts[0].zero_points = {}; }));
  keys.push_back(changed([&](auto& r) { r[0].parts[0].levels.assign(16, 1.0f); }));
  keys.push_back(changed([&](auto& r) { r[0].parts[0].levels.assign(16, 2.0f); }));
  keys.push_back(changed([&](auto& r) { r[0].parts[0].first_row = 16; }));
  keys.push_back(changed([&](auto& r) { r[0].parts[0].rows = 48; }));
  keys.push_back(changed([&](auto& r) { r[0].parts[0].columns = 128; }));
  keys.push_back(changed([&](auto& r) { r[0].parts[0].group_size = 64; }));
  keys.push_back(changed([&](auto& r) { r[0].parts[0].transposed = true; }));
  keys.push_back(changed([&](auto& r) { r[0].options.to_bf16 = true; }));
  keys.push_back(changed([&](auto& r) { r.pop_back(); }));
  keys.push_back(changed([&](auto& r) { r[1].parts.push_back(r[1].parts[0]); }));
  keys.push_back(changed([&](auto& r) { std::swap(r[0], r[1]); }));
  keys.push_back(changed([&](auto& r) {  // the same bytes as another type
    r[1].parts[0].codes = Tensor::view(f4e2m1, {40, 64}, r[1].parts[0].codes.view().bytes(), nullptr);
  }));
  std::sort(keys.begin(), keys.end());
  EXPECT_EQ(std::adjacent_find(keys.begin(), keys.end()), keys.end());
}

TEST_F(WeightCacheTest, KeyDoesNotDependOnThreadsOrPlace) {
  auto requests = some_requests();
  requests.push_back({{random_weight({f32}, 1500, 700, 0)}, {}});  // more than one block
  auto copies = requests;
  copies[2].parts[0].codes = requests[2].parts[0].codes.tensor().clone();
  ThreadPool one(1), three(3);
  EXPECT_EQ(weight_key(requests, one), weight_key(copies, three));
}

TEST_F(WeightCacheTest, NoticesAFlippedBitAnywhere) {
  load();
  fs::path path = entry();
  const std::string good = test::file_text(path);
  auto header = decode(std::as_bytes(std::span(good.data(), good.size())), path);
  size_t data = data_offset(header.formats.size(), header.ranges.size(), header.model_name.size());
  std::vector<size_t> places{0, 7, 8, 12, 16, 20, 24, 39, 40, 48, 56, 63, 64, 65, 72, 80, 95};  // magic .. matrices
  size_t ranges_at = 64 + 32 * header.formats.size();
  for (size_t i = 0; i < header.ranges.size(); ++i)
    for (size_t byte : {0, 8, 16, 23}) places.push_back(ranges_at + 24 * i + byte);
  places.push_back(ranges_at + 24 * header.ranges.size());  // the name
  for (const DataRange& range : header.ranges)              // codes, scales, zero points, levels
    for (uint64_t byte : {uint64_t{0}, range.bytes / 2, range.bytes - 1}) places.push_back(data + range.offset + byte);
  for (size_t place : places) {
    SCOPED_TRACE(place);
    ASSERT_LT(place, good.size());
    std::string bad = good;
    bad[place] = static_cast<char>(bad[place] ^ (1 << place % 8));
    expect_repair(bad, path.string());
  }
}

TEST_F(WeightCacheTest, NoticesAnotherLength) {
  load();
  fs::path path = entry();
  const std::string good = test::file_text(path);
  for (size_t size : {size_t{0}, size_t{1}, size_t{63}, size_t{64}, size_t{100}, size_t{4095}, size_t{4096}, good.size() - 1}) {
    SCOPED_TRACE(size);
    expect_repair(good.substr(0, size), path.string());
  }
  expect_repair(good + "x", "expected");
}

TEST_F(WeightCacheTest, NoticesAnotherVersion) {
  load();
  std::string text = test::file_text(entry());
  text[8] = 99;
  expect_repair(text, "version 99");
}

TEST_F(WeightCacheTest, NoticesWeightsOfAnotherKey) {
  load();
  std::string other_path = entry().string();
  std::string other = test::file_text(other_path);
  fs::remove(other_path);
  auto requests = some_requests();
  requests[0].parts[0].codes = random_weight({u4}, 64, 256, 128, 77).codes;
  load(requests);
  std::string text = test::file_text(entry());
  fs::remove(entry());
  test::write_text(other_path, other);
  expect_repair(text, "holds other weights");
}

TEST_F(WeightCacheTest, NoticesAnotherPlanUnderTheRightKey) {
  load();
  fs::path path = entry();
  auto key = WeightFile::open(path)->key();
  auto requests = some_requests();
  std::swap(requests[0], requests[1]);
  WeightPacking packing(requests, context_.threads());
  WeightFile::write(path, key, "", packing);
  expect_repair(test::file_text(path), "not those of the model");
}

TEST_F(WeightCacheTest, ADirectoryThatCannotBeWrittenIsAWarning) {
  test::write_text(directory_ / "cache", "a file where the directory should be");
  auto weights = load();
  EXPECT_FALSE(weights->report().from_cache);
  EXPECT_THAT(warnings_, ElementsAre(HasSubstr("not cached")));
  EXPECT_TRUE(is_right(*weights));
}

TEST_F(WeightCacheTest, AnEntryThatCannotBeReplacedIsAWarning) {
  load();
  fs::path path = entry();
  fs::remove(path);
  fs::create_directories(path / "in the way");
  auto weights = load();
  EXPECT_FALSE(weights->report().from_cache);
  EXPECT_THAT(warnings_, ElementsAre(HasSubstr("not cached")));
  EXPECT_TRUE(is_right(*weights));
  EXPECT_EQ(test::listing(path.parent_path()).size(), 2u);  // nothing left behind
}

TEST_F(WeightCacheTest, AFullDiskIsAWarning) {
  // A limit on the size of files: writes fail as they do on a full disk.
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  auto* handler = std::signal(SIGXFSZ, SIG_IGN);
  for (rlim_t bytes : {rlim_t{0}, rlim_t{100}, rlim_t{5000}, rlim_t{9000}}) {
    rlimit limit{bytes, before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
    auto weights = load();
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    EXPECT_FALSE(weights->report().from_cache);
    EXPECT_THAT(warnings_, ElementsAre(HasSubstr("not cached"))) << bytes;
    EXPECT_TRUE(is_right(*weights));
    EXPECT_THAT(test::listing(directory_.path()), ElementsAre("cache", "cache/weights"));
  }
  std::signal(SIGXFSZ, handler);
}

TEST_F(WeightCacheTest, BuildersOfTheSameEntryDoNotDisturbEachOther) {
  // Nothing but the name of the temporary file tells threads from processes here.
  std::atomic<int> right = 0;
  auto build = [&] {
    Context context({.threads = 2, .log = {}});
    WeightCacheOptions options{.directory = directory_.path() / "cache", .model_name = {}, .least_bytes = 0};
    for (int round = 0; round < 5; ++round) {
      right += is_right(*load_packed_weights(some_requests(), options, context));
      std::error_code ignored;
      fs::remove_all(directory_.path() / "cache" / "weights", ignored);  // under the feet of the others
    }
  };
  std::vector<std::thread> builders;
  for (int i = 0; i < 4; ++i) builders.emplace_back(build);
  for (std::thread& builder : builders) builder.join();
  EXPECT_EQ(right, 20);
}

TEST_F(WeightCacheTest, BuildersLeaveOneGoodEntry) {
  std::vector<std::thread> builders;
  for (int i = 0; i < 4; ++i)
    builders.emplace_back([&] {
      Context context({.threads = 1, .log = {}});
      load_packed_weights(some_requests(), {.directory = directory_.path() / "cache", .model_name = {}, .least_bytes = 0}, context);
    });
  for (std::thread& builder : builders) builder.join();
  EXPECT_EQ(test::listing(directory_.path()).size(), 3u);  // the cache, its directory and the entry
  EXPECT_TRUE(load()->report().from_cache);
}

TEST_F(WeightCacheTest, ListsEntriesByLastUse) {
  load();
  auto requests = some_requests();
  requests.pop_back();
  load(requests);
  auto entries = cache().entries();
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].model_name, "a model");
  EXPECT_EQ(entries[0].bytes, fs::file_size(entries[0].path));
  for (const CacheEntry& entry : entries) fs::last_write_time(entry.path, entry.last_use - std::chrono::hours(24));
  load();  // the first again
  EXPECT_EQ(cache().entries()[1].path, entries[0].path);
}

TEST_F(WeightCacheTest, ListsOnlyItsOwnFiles) {
  EXPECT_THAT(cache().entries(), IsEmpty());
  load();
  fs::path weights = entry().parent_path();
  test::write_text(weights / "notes.txt", "x");
  test::write_text(weights / "0123.packed", "x");
  test::write_text(weights / "00000000000000000000000000000000.packed", "not a file of weights");
  auto entries = cache().entries();
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[1].model_name, "");
}

TEST_F(WeightCacheTest, VerifiesAnEntry) {
  load();
  ThreadPool threads(2);
  CacheEntry good = cache().entries().at(0);
  EXPECT_NO_THROW(cache().verify(good, threads));
  std::string text = test::file_text(good.path);
  text.back() ^= 1;
  test::write_text(good.path, text);
  EXPECT_TRUE(fails(ErrorKind::corrupt, {good.path.string(), "checksum"}, [&] { cache().verify(good, threads); }));
  text.back() ^= 1;
  CacheEntry renamed = good;
  renamed.path.replace_filename("00000000000000000000000000000000.packed");
  test::write_text(renamed.path, text);
  EXPECT_TRUE(fails(ErrorKind::corrupt, {"name"}, [&] { cache().verify(renamed, threads); }));
}

TEST_F(WeightCacheTest, RemovesAnEntry) {
  load();
  cache().remove(cache().entries().at(0));
  EXPECT_THAT(cache().entries(), IsEmpty());
  EXPECT_FALSE(load()->report().from_cache);
}

TEST_F(WeightCacheTest, RemovesWhatKilledWritersLeft) {
  load();
  fs::path old = entry();
  fs::path fresh = old;
  old += ".tmp-123-0";
  fresh += ".tmp-124-0";
  test::write_text(old, "half a file");
  test::write_text(fresh, "half a file");
  fs::last_write_time(old, fs::file_time_type::clock::now() - std::chrono::hours(2));
  EXPECT_EQ(cache().remove_abandoned(), 1u);
  EXPECT_FALSE(fs::exists(old));
  EXPECT_TRUE(fs::exists(fresh));
  EXPECT_TRUE(load()->report().from_cache);
}

/// An environment variable for the time of a test.
class Environment {
 public:
  Environment(const char* name, const char* value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    value ? ::setenv(name, value, 1) : ::unsetenv(name);
  }
  ~Environment() { before_ ? ::setenv(name_, before_->c_str(), 1) : ::unsetenv(name_); }

 private:
  const char* name_;
  std::optional<std::string> before_;
};

TEST(DefaultCacheDirectory, FollowsTheXdgSpecification) {
  Environment home("HOME", "/home/someone");
  {
    Environment cache("XDG_CACHE_HOME", "/var/cache/someone");
    EXPECT_EQ(default_cache_directory(), "/var/cache/someone/nibble");
  }
  for (const char* ignored : {static_cast<const char*>(nullptr), "", "relative"}) {
    Environment cache("XDG_CACHE_HOME", ignored);
    EXPECT_EQ(default_cache_directory(), "/home/someone/.cache/nibble");
  }
}

TEST(DefaultCacheDirectory, IsNoneWithoutAHome) {
  Environment home("HOME", nullptr), cache("XDG_CACHE_HOME", nullptr);
  EXPECT_EQ(default_cache_directory(), std::nullopt);
}

}  // namespace
}  // namespace nibble::cpu
