#include <gmock/gmock.h>

#include "checkpoint/pickle.hpp"
#include "checkpoint/samples.hpp"

namespace nibble {

namespace {

using samples::fails;
using samples::global;
using samples::integer;
using samples::state_dict;
using samples::storage;
using samples::tensor;
using samples::text;
using samples::tuple;

/// tests/checkpoint/make_bins.py wrote each .bin with PyTorch, and the same tensors as safetensors beside it.
class WrittenByPyTorch : public ::testing::TestWithParam<const char*> {};

TEST_P(WrittenByPyTorch, HoldsTheSameTensorsAsSafetensors) {
  auto path = [](const char* suffix) { return samples::data(std::string("odd/") + GetParam() + suffix); };
  auto expected = open_safetensors(path(".safetensors")), found = open_pytorch(path(".bin"));
  ASSERT_EQ(found->names(), expected->names());
  for (const auto& name : found->names()) {
    auto a = found->get(name), b = expected->get(name);
    EXPECT_EQ(a.type(), b.type()) << name;
    EXPECT_EQ(a.shape(), b.shape()) << name;
    EXPECT_TRUE(std::equal(a.bytes().begin(), a.bytes().end(), b.bytes().begin(), b.bytes().end())) << name;
    EXPECT_EQ(found->info(name).shape, b.shape()) << name;
    EXPECT_EQ(found->info(name).type, b.type()) << name;
    found->release(name, PageCache::keep);
  }
}

INSTANTIATE_TEST_SUITE_P(All, WrittenByPyTorch,
                         ::testing::Values("types", "strided", "parameters", "training_run", "module", "protocol3", "protocol4",
                                           "protocol5", "legacy", "legacy_protocol4"),
                         [](const auto& test) { return std::string(test.param); });

class PyTorchFile : public ::testing::Test {
 protected:
  std::unique_ptr<WeightSource> open(std::string_view content) const { return open_pytorch(directory_.write("m.bin", content)); }
  std::unique_ptr<WeightSource> open_pickle(std::string_view pickle) const { return open(samples::archive(pickle, kSixFloats)); }
  ::testing::AssertionResult refuses(std::string_view content, ErrorKind kind, std::vector<std::string> parts) const {
    parts.push_back("m.bin");
    return fails(kind, parts, [&] { open(content); });
  }
  ::testing::AssertionResult refuses_pickle(std::string_view pickle, ErrorKind kind, std::vector<std::string> parts) const {
    return refuses(samples::archive(pickle, kSixFloats), kind, std::move(parts));
  }

  static inline const std::string kSixFloats = std::string(24, 'f');
  static inline const std::string kGood = tensor(storage("FloatStorage", 6), 0, {2, 3}, {3, 1});
  samples::Directory directory_;
};

TEST_F(PyTorchFile, HandMadeArchiveIsRead) {
  auto weights = open_pickle(state_dict({{"w", kGood}}));
  EXPECT_EQ(weights->get("w").shape(), (Shape{2, 3}));
  EXPECT_TRUE(weights->metadata().empty());
}

TEST_F(PyTorchFile, TheLastOfTwoEqualKeysCountsAsInPython) {
  auto weights = open_pickle(state_dict({{"w", kGood}, {"w", tensor(storage("FloatStorage", 6), 0, {6}, {1})}}));
  EXPECT_EQ(weights->get("w").shape(), (Shape{6}));
}

TEST_F(PyTorchFile, TakesTheDictUnderModel) {
  auto inner = state_dict({{"w", kGood}});
  auto weights = open_pickle("\x80\x02}(" + text("model") + inner.substr(2, inner.size() - 3) + "u.");
  EXPECT_EQ(weights->names(), std::vector<std::string>{"w"});
}

TEST_F(PyTorchFile, NamesTensorAndFileWhenThereIsNone) {
  auto weights = open_pickle(state_dict({{"w", kGood}}));
  EXPECT_TRUE(fails(ErrorKind::not_found, {"'v'", "m.bin"}, [&] { weights->get("v"); }));
}

// What a pickle may not do.

TEST_F(PyTorchFile, RefusesToCallAnythingElse) {
  EXPECT_TRUE(refuses_pickle("\x80\x02" + global("os", "system") + tuple({text("true")}) + "R.", ErrorKind::unsupported,
                             {"os.system", "refused", "data.pkl"}));
  EXPECT_TRUE(
      refuses_pickle("\x80\x04\x8c\x08"
                     "builtins\x8c\x04"
                     "eval\x93.",
                     ErrorKind::unsupported, {"builtins.eval", "refused"}));
  EXPECT_TRUE(refuses_pickle("\x80\x02" + global("torch", "load") + ")R.", ErrorKind::unsupported, {"torch.load"}));
  EXPECT_TRUE(
      refuses_pickle("\x80\x02" + global("torch", "FloatStorage") + ")R.", ErrorKind::unsupported, {"torch.FloatStorage", "refused"}));
}

TEST_F(PyTorchFile, RefusesOpcodesThatMakeObjects) {
  for (char opcode : {'i', 'o', '\x81', '\x92', '\x82', 'P', '2', '\x97'})
    EXPECT_TRUE(refuses_pickle(std::string("\x80\x02)") + opcode, ErrorKind::unsupported, {"opcode", "refused"})) << int(opcode);
  EXPECT_TRUE(refuses_pickle("\x80\x02" + global("torch", "Tensor") + "}b.", ErrorKind::unsupported, {"state", "refused"}));
}

TEST_F(PyTorchFile, RefusesTensorSubclasses) {
  auto call = [&](const std::string& function, const std::string& type) {
    return "\x80\x02" + global("torch._tensor", "_rebuild_from_type_v2") + tuple({function, type, ")", "}"}) + "R.";
  };
  EXPECT_TRUE(refuses_pickle(call(global("torch", "device"), global("torch", "Tensor")), ErrorKind::unsupported, {"torch.device"}));
  EXPECT_TRUE(
      refuses_pickle(call(global("torch._utils", "_rebuild_tensor_v2"), global("torch", "Size")), ErrorKind::unsupported, {"torch.Size"}));
}

TEST_F(PyTorchFile, RefusesProtocolsItDoesNotKnow) {
  EXPECT_TRUE(refuses_pickle("\x80\x06}.", ErrorKind::unsupported, {"protocol 6"}));
  EXPECT_TRUE(refuses_pickle("\x80\x01}.", ErrorKind::unsupported, {"protocol 1"}));
}

TEST_F(PyTorchFile, RefusesStacksThatDoNotWorkOut) {
  for (std::string_view pickle : {".",
                                  "(.",
                                  "t.",
                                  "a.",
                                  "]a.",
                                  "N)R.",
                                  "}Nu.",
                                  "}(Nu.",
                                  "(Nd.",
                                  "h\x05.",
                                  "q\x05",
                                  "}]s.",
                                  "NN(s.",
                                  "\x94",
                                  "Nb.",
                                  "\x85.",
                                  "e.",
                                  "u.",
                                  "l.",
                                  "N\x93.",
                                  "NN\x93.",
                                  "NQ.",
                                  ")Q.",
                                  "\x8a\x09",
                                  "X\xff\xff\xff\xff",
                                  "\x8d\xff\xff\xff\xff\xff\xff\xff\xff",
                                  "cos",
                                  "}"})
    EXPECT_TRUE(refuses_pickle("\x80\x02" + std::string(pickle), ErrorKind::corrupt, {"data.pkl"})) << ::testing::PrintToString(pickle);
}

TEST_F(PyTorchFile, RefusesStoragesOfAnotherForm) {
  auto id = [](std::vector<std::string> items) { return "\x80\x02" + tuple(items) + "Q."; };
  auto type = global("torch", "FloatStorage");
  EXPECT_TRUE(refuses_pickle(id({text("module"), type, text("0"), text("cpu"), integer(1)}), ErrorKind::corrupt, {"persistent id"}));
  EXPECT_TRUE(refuses_pickle(id({text("storage"), text("x"), text("0"), text("cpu"), integer(1)}), ErrorKind::corrupt, {"persistent id"}));
  EXPECT_TRUE(refuses_pickle(id({text("storage"), type, integer(0), text("cpu"), integer(1)}), ErrorKind::corrupt, {"persistent id"}));
  EXPECT_TRUE(refuses_pickle(id({text("storage"), type, text("0"), text("cpu"), text("1")}), ErrorKind::corrupt, {"persistent id"}));
  EXPECT_TRUE(refuses_pickle(id({text("storage"), type, text("0"), text("cpu")}), ErrorKind::corrupt, {"persistent id"}));
  EXPECT_TRUE(refuses_pickle(id({text("storage"), global("torch", "Size"), text("0"), text("cpu"), integer(1)}), ErrorKind::corrupt,
                             {"torch.Size"}));
  EXPECT_TRUE(refuses_pickle(id({text("storage"), type, text("0"), text("cpu"), integer(-1)}), ErrorKind::corrupt, {"-1 elements"}));
  EXPECT_TRUE(refuses_pickle(id({text("storage"), type, text("0"), text("cpu"), integer(1), ")"}), ErrorKind::unsupported, {"view"}));
}

TEST_F(PyTorchFile, RefusesTensorsOfAnotherForm) {
  auto call = [](std::vector<std::string> arguments) {
    return "\x80\x02" + global("torch._utils", "_rebuild_tensor_v2") + tuple(arguments) + "R.";
  };
  auto floats = storage("FloatStorage", 6),
       untyped = tuple({text("storage"), global("torch.storage", "UntypedStorage"), text("0"), text("cpu"), integer(24)}) + "Q";
  EXPECT_TRUE(refuses_pickle(call({}), ErrorKind::corrupt, {"argument 0", "_rebuild_tensor_v2"}));
  EXPECT_TRUE(refuses_pickle(call({floats, text("0")}), ErrorKind::corrupt, {"argument 1"}));
  EXPECT_TRUE(refuses_pickle(call({floats, integer(0), "]", ")"}), ErrorKind::corrupt, {"argument 2"}));
  EXPECT_TRUE(refuses_pickle(call({floats, integer(0), tuple({"N"}), ")"}), ErrorKind::corrupt, {"argument 2", "integers"}));
  EXPECT_TRUE(refuses_pickle(call({floats, integer(0), ")", "N"}), ErrorKind::corrupt, {"argument 3"}));
  EXPECT_TRUE(refuses_pickle(call({untyped, integer(0), ")", ")"}), ErrorKind::corrupt, {"element type"}));
  EXPECT_TRUE(
      refuses_pickle(call({floats, integer(0), tuple(std::vector<std::string>(65, integer(1))), ")"}), ErrorKind::corrupt, {"dimensions"}));
}

// What a tensor may not be.

TEST_F(PyTorchFile, RefusesTensorsBeyondTheirStorage) {
  auto one = [](const std::string& value) { return state_dict({{"model.w", value}}); };
  auto floats = storage("FloatStorage", 6);
  for (const auto& value :
       {tensor(floats, 0, {7}, {1}), tensor(floats, 1, {6}, {1}), tensor(floats, 6, {}, {}), tensor(floats, -1, {1}, {1}),
        tensor(floats, 0, {2, 3}, {4, 1}), tensor(floats, 0, {2}, {INT64_MAX}), tensor(floats, INT64_MAX, {2}, {1}),
        tensor(floats, 0, {INT64_MAX / 4}, {1}), tensor(storage("FloatStorage", 0), 0, {1}, {1})})
    EXPECT_TRUE(refuses_pickle(one(value), ErrorKind::corrupt, {"'model.w'", "beyond its storage"}));
}

TEST_F(PyTorchFile, RefusesShapesAndStridesThatCannotBe) {
  auto one = [](const std::string& value) { return state_dict({{"model.w", value}}); };
  auto floats = storage("FloatStorage", 6);
  EXPECT_TRUE(refuses_pickle(one(tensor(floats, 0, {2, 3}, {1})), ErrorKind::corrupt, {"'model.w'", "strides"}));
  EXPECT_TRUE(refuses_pickle(one(tensor(floats, 0, {-2}, {1})), ErrorKind::corrupt, {"'model.w'", "negative"}));
  EXPECT_TRUE(refuses_pickle(one(tensor(floats, 5, {2}, {-1})), ErrorKind::corrupt, {"'model.w'", "strides"}));
  EXPECT_TRUE(refuses_pickle(one(tensor(floats, 0, {1 << 30, 1 << 30, 1 << 30}, {0, 0, 0})), ErrorKind::corrupt,
                             {"'model.w'", "too many elements"}));
}

TEST_F(PyTorchFile, RefusesToExpandAFewElementsToGigabytes) {
  for (int64_t rows : {int64_t{1} << 27, int64_t{1} << 60})
    EXPECT_TRUE(refuses_pickle(state_dict({{"model.w", tensor(storage("FloatStorage", 6), 0, {rows, 2}, {0, 1})}}), ErrorKind::unsupported,
                               {"'model.w'", "expanded"}));
}

TEST_F(PyTorchFile, RefusesStoragesShorterThanTheyShouldBe) {
  for (int64_t elements : {int64_t{7}, INT64_MAX})
    EXPECT_TRUE(refuses_pickle(state_dict({{"model.w", tensor(storage("FloatStorage", elements), 0, {1}, {1})}}), ErrorKind::corrupt,
                               {"'model.w'", "storage '0'", "takes 24"}));
}

TEST_F(PyTorchFile, RefusesNamesThatAreNotUtf8) {
  EXPECT_TRUE(refuses_pickle(state_dict({{"\xc0\x80", kGood}}), ErrorKind::corrupt, {"UTF-8"}));
}

TEST_F(PyTorchFile, RefusesFilesWithoutTensors) {
  EXPECT_TRUE(refuses_pickle("\x80\x02}.", ErrorKind::unsupported, {"no tensors"}));
  EXPECT_TRUE(refuses_pickle("\x80\x02].", ErrorKind::unsupported, {"state dict"}));
}

// Pickles that try to take time, memory or stack.

TEST_F(PyTorchFile, StopsAtTooManyValues) {
  EXPECT_TRUE(refuses_pickle("\x80\x02" + std::string(5'000'000, 'N') + ".", ErrorKind::exhausted, {"4000000 values"}));
  EXPECT_TRUE(refuses_pickle("\x80\x02" + std::string(5'000'000, '(') + ".", ErrorKind::exhausted, {"4000000 values"}));
}

TEST_F(PyTorchFile, TakesDeepNestingWithoutRecursion) {
  std::string nested = ")" + std::string(2'000'000, '\x85');
  auto pickle = state_dict({{"deep", nested}, {"w", kGood}});
  EXPECT_EQ(open_pickle(pickle)->names(), std::vector<std::string>{"w"});
}

TEST_F(PyTorchFile, TakesListsThatContainThemselves) {
  auto pickle = state_dict({{"cycle",
                             "]q\x01h\x01"
                             "a"},
                            {"w", kGood}});
  EXPECT_EQ(open_pickle(pickle)->names(), std::vector<std::string>{"w"});
}

TEST_F(PyTorchFile, CallsShareTheirArguments) {
  std::string pickle = "\x80\x02}(" + text("w") + kGood + text("x") + "(" + std::string(1'000'000, 'N') + "tq\x02";
  pickle += text("device") + global("torch", "device") + "q\x03";
  for (int i = 0; i < 200'000; ++i) pickle += "h\x03h\x02R" + text("again");  // copying a megabyte for each would take minutes
  EXPECT_EQ(open_pickle(pickle + "u.")->names(), std::vector<std::string>{"w"});
}

// The archive around the pickle.

TEST_F(PyTorchFile, ReadsZip64Archives) {
  auto content = samples::zip({{"m/data.pkl", state_dict({{"w", kGood}})}, {"m/data/0", kSixFloats}}, true);
  EXPECT_EQ(open(content)->get("w").byte_size(), 24u);
}

TEST_F(PyTorchFile, RefusesBigEndianFiles) {
  EXPECT_TRUE(refuses(samples::archive(state_dict({{"w", kGood}}), kSixFloats, "big"), ErrorKind::unsupported, {"'big'", "byte order"}));
}

TEST_F(PyTorchFile, RefusesOtherArchives) {
  EXPECT_TRUE(refuses(samples::zip({{"word/document.xml", ""}}), ErrorKind::unsupported, {"torch.save"}));
  EXPECT_TRUE(refuses(samples::zip({{"m/data.pkl", "}."}, {"m/constants.pkl", "}."}}), ErrorKind::unsupported, {"TorchScript"}));
}

TEST_F(PyTorchFile, RefusesCompressedAndEncryptedEntries) {
  auto pickle = state_dict({{"w", kGood}});
  EXPECT_TRUE(refuses(samples::zip({{"m/data.pkl", pickle, 8}, {"m/data/0", kSixFloats}}), ErrorKind::unsupported,
                      {"'m/data.pkl'", "compressed", "zip -0"}));
  EXPECT_TRUE(
      refuses(samples::zip({{"m/data.pkl", pickle}, {"m/data/0", kSixFloats, 0, 1}}), ErrorKind::unsupported, {"'m/data/0'", "encrypted"}));
}

TEST_F(PyTorchFile, RefusesMissingAndRepeatedEntries) {
  auto pickle = state_dict({{"w", kGood}});
  EXPECT_TRUE(refuses(samples::zip({{"m/data.pkl", pickle}}), ErrorKind::corrupt, {"'m/data/0'"}));
  EXPECT_TRUE(refuses(samples::zip({{"m/data.pkl", pickle}, {"m/data.pkl", pickle}}), ErrorKind::corrupt, {"'m/data.pkl'", "twice"}));
}

TEST_F(PyTorchFile, RefusesArchivesCutAtAnyPlace) {
  for (bool zip64 : {false, true}) {
    auto whole = samples::zip({{"m/data.pkl", state_dict({{"w", kGood}})}, {"m/data/0", kSixFloats}}, zip64);
    for (size_t size = 0; size < whole.size(); ++size) EXPECT_TRUE(refuses(whole.substr(0, size), ErrorKind::corrupt, {})) << size;
  }
}

TEST_F(PyTorchFile, RefusesOffsetsThatLeadElsewhere) {
  auto whole = samples::archive(state_dict({{"w", kGood}}), kSixFloats);
  size_t central = whole.find("PK\x01\x02"), end = whole.rfind("PK\x05\x06");
  auto with = [&](size_t at, uint32_t value) { return std::string(whole).replace(at, 4, samples::little_endian(value, 4)); };
  EXPECT_TRUE(refuses(with(central + 42, 1), ErrorKind::corrupt, {"'model/data.pkl'", "damaged"}));
  EXPECT_TRUE(refuses(with(central + 42, 0xfffffff0), ErrorKind::corrupt, {"'model/data.pkl'", "ends after"}));
  EXPECT_TRUE(refuses(with(central + 42, static_cast<uint32_t>(whole.find("PK\x03\x04", 4))), ErrorKind::corrupt, {"another entry"}));
  EXPECT_TRUE(refuses(with(central + 20, 9), ErrorKind::corrupt, {"'model/data.pkl'", "differ"}));
  EXPECT_TRUE(refuses(with(central + 42, 0xffffffff), ErrorKind::corrupt, {"'model/data.pkl'"}));
  EXPECT_TRUE(refuses(with(end + 16, 0xfffffffe), ErrorKind::corrupt, {"zip directory"}));
  EXPECT_TRUE(refuses(with(end + 12, 0xfffffffe), ErrorKind::corrupt, {"zip directory"}));
}

TEST_F(PyTorchFile, RefusesWhatTorchSaveDidNotWrite) {
  EXPECT_TRUE(refuses("", ErrorKind::corrupt, {"torch.save"}));
  EXPECT_TRUE(refuses("<!DOCTYPE html>", ErrorKind::corrupt, {"torch.save"}));
  EXPECT_TRUE(refuses("version https://git-lfs.github.com/spec/v1\n", ErrorKind::corrupt, {"git lfs pull"}));
}

// The form before PyTorch 1.6.

class LegacyPyTorchFile : public PyTorchFile {
 protected:
  static std::string pickled(const std::string& value) { return "\x80\x02" + value + "."; }
  static std::string file(const std::string& keys, const std::string& data, const std::string& machine = "}") {
    return pickled("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19") + pickled(integer(1001)) + pickled(machine) +
           state_dict({{"w", kGood}}) + pickled(keys) + data;
  }
  static std::string block(uint64_t elements) { return samples::little_endian(elements, 8) + kSixFloats; }
};

TEST_F(LegacyPyTorchFile, HandMadeFileIsRead) {
  auto weights = open(file("](" + text("0") + "e", block(6)));
  EXPECT_EQ(weights->get("w").byte_size(), 24u);
}

TEST_F(LegacyPyTorchFile, RefusesStoragesThatDoNotFit) {
  auto keys = "](" + text("0") + "e";
  EXPECT_TRUE(refuses(file(keys, block(7)), ErrorKind::corrupt, {"'0'", "7 elements"}));
  EXPECT_TRUE(refuses(file(keys, block(6).substr(0, 31)), ErrorKind::corrupt, {"incomplete"}));
  EXPECT_TRUE(refuses(file("]", block(6)), ErrorKind::corrupt, {"'0'", "missing"}));
  EXPECT_TRUE(refuses(file("](" + text("0") + text("0") + "e", block(6) + block(6)), ErrorKind::corrupt, {"'0'", "twice"}));
  EXPECT_TRUE(refuses(file("](" + text("9") + "e", block(6)), ErrorKind::corrupt, {"'9'", "nothing refers to"}));
  EXPECT_TRUE(refuses(file("](Ne", block(6)), ErrorKind::corrupt, {}));
  EXPECT_TRUE(refuses(file("}", block(6)), ErrorKind::corrupt, {"keys"}));
}

TEST_F(LegacyPyTorchFile, RefusesBigEndianMachines) {
  EXPECT_TRUE(
      refuses(file("](" + text("0") + "e", block(6), "}(" + text("little_endian") + "\x89u"), ErrorKind::unsupported, {"big-endian"}));
}

}  // namespace

}  // namespace nibble
