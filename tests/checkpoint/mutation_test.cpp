// Files with random damage: whatever it is, opening ends in weights that can be read or in an Error.
#include <gtest/gtest.h>

#include <random>

#include "base/mapped_file.hpp"
#include "checkpoint/byte_reader.hpp"
#include "checkpoint/pytorch_weights.hpp"
#include "checkpoint/safetensors_header.hpp"
#include "checkpoint/samples.hpp"
#include "checkpoint/strided_copy.hpp"
#include "checkpoint/zip_directory.hpp"

namespace nibble {

namespace {

using Random = std::mt19937;

size_t below(Random& random, size_t limit) { return std::uniform_int_distribution<size_t>(0, limit - 1)(random); }

/// Numbers that sit at the edges of what fields hold.
uint64_t edge_number(Random& random) {
  constexpr uint64_t kEdges[] = {0, 1, 7, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0xffffffff, 0x100000000, INT64_MAX, UINT64_MAX};
  return kEdges[below(random, std::size(kEdges))] + below(random, 3) - 1;
}

/// One damage to bytes [begin, end) of the text.
void damage(Random& random, std::string& text, size_t begin, size_t end) {
  end = std::min(end, text.size());
  if (begin >= end) return;
  size_t at = begin + below(random, end - begin), length = std::min(end - at, 1 + below(random, 8));
  switch (below(random, 6)) {
    case 0: text[at] = static_cast<char>(text[at] ^ 1 << below(random, 8)); break;
    case 1: text[at] = static_cast<char>(below(random, 256)); break;
    case 2: text.erase(at, length); break;
    case 3: text.insert(at, text.substr(begin + below(random, end - begin), length)); break;
    case 4: text.replace(at, length, samples::little_endian(edge_number(random), 8), 0, length); break;
    default: text.replace(at, length, std::to_string(edge_number(random))); break;
  }
}

std::string damaged(Random& random, std::string text, size_t begin, size_t end) {
  for (size_t i = 1 + below(random, 3); i > 0; --i) damage(random, text, begin, end);
  return text;
}

struct Outcome {
  int opened = 0, refused = 0;
  void count(const std::function<void()>& action) {
    try {
      action();
      ++opened;
    } catch (const Error&) {
      ++refused;
    }
  }
};

std::string file_text(std::string_view name) { return read_file(samples::data(name)); }

std::span<const std::byte> as_bytes(const std::string& text) { return std::as_bytes(std::span(text)); }

TEST(Mutation, SafetensorsHeaders) {
  Random random(1);
  auto whole = file_text("odd/types.safetensors");
  size_t data = 8 + static_cast<uint8_t>(whole[0]) + (static_cast<uint8_t>(whole[1]) << 8);
  auto header = whole.substr(8, data - 8);
  Outcome outcome;
  for (int i = 0; i < 30'000; ++i) {
    auto text = damaged(random, header, 0, header.size());
    outcome.count([&] { check_safetensors_layout(parse_safetensors_header(text, "m"), whole.size() - data, "m"); });
  }
  EXPECT_GT(outcome.refused, 20'000);
}

TEST(Mutation, SafetensorsFiles) {
  samples::Directory directory;
  Random random(2);
  auto whole = file_text("odd/strided.safetensors");
  Outcome outcome;
  for (int i = 0; i < 4'000; ++i) {
    auto path = directory.write("m.safetensors", damaged(random, whole, 0, i % 2 ? 16 : whole.size()));
    outcome.count([&] { samples::read_everything(*open_safetensors(path)); });
  }
  EXPECT_GT(outcome.refused, 1'000);
  EXPECT_GT(outcome.opened, 100);
}

bool lies_in(std::span<const std::byte> part, const std::string& whole) {
  auto bytes = as_bytes(whole);
  return part.data() >= bytes.data() && part.data() + part.size() <= bytes.data() + bytes.size();
}

TEST(Mutation, ZipStructures) {
  Random random(3);
  Outcome outcome;
  for (bool zip64 : {false, true}) {
    auto whole = samples::zip({{"m/data.pkl", "}."}, {"m/byteorder", "little"}, {"m/data/0", std::string(64, 's')}}, zip64);
    for (int i = 0; i < 20'000; ++i) {
      auto text = damaged(random, whole, i % 2 ? whole.size() - 120 : 0, whole.size());
      outcome.count([&] {
        ZipDirectory zip(as_bytes(text), "m");
        for (std::string_view name : {"m/data.pkl", "m/byteorder", "m/data/0"}) EXPECT_TRUE(lies_in(zip.stored(name), text));
      });
    }
  }
  EXPECT_GT(outcome.refused, 10'000);
  EXPECT_GT(outcome.opened, 1'000);
}

/// A pickle of torch.save with storages in memory of their own, so that a sanitizer sees a read beyond one.
class PickledModel {
 public:
  explicit PickledModel(std::string_view file) : archive_(file_text(file)), zip_(as_bytes(archive_), "m") {
    root_ = zip_.first().substr(0, zip_.first().find('/') + 1);
    pickle = as_text(zip_.stored(root_ + "data.pkl"));
  }

  void read(const std::string& text) {
    auto parsed = read_pickle(as_bytes(text), "m");
    auto weights = pytorch_weights(
        parsed, [&](const PickleValue& storage) { return this->storage(storage.text); }, "m");
    for (const auto& [name, weight] : weights)
      if (element_count(weight.shape) < 100'000) read(weight);
  }

  std::string pickle;

 private:
  std::span<const std::byte> storage(std::string_view key) {
    auto& copy = storages_[std::string(key)];
    if (copy.empty()) {
      auto bytes = zip_.stored(root_ + "data/" + std::string(key));
      copy.assign(bytes.begin(), bytes.end());
    }
    return copy;
  }

  void read(const MappedWeight& weight) {
    auto tensor = weight.strides.empty() ? Tensor::view(weight.type, weight.shape, weight.bytes, nullptr).clone()
                                         : copy_strided(weight.type, weight.shape, weight.strides, weight.bytes);
    ASSERT_EQ(tensor.byte_size(), packed_bytes(weight.type, element_count(weight.shape)));
  }

  std::string archive_;
  ZipDirectory zip_;
  std::string root_;
  std::map<std::string, std::vector<std::byte>> storages_;
};

class PickleMutation : public ::testing::TestWithParam<const char*> {};

TEST_P(PickleMutation, OfRealFiles) {
  Random random(4);
  PickledModel model(GetParam());
  Outcome outcome;
  for (int i = 0; i < 10'000; ++i) {
    auto text = damaged(random, model.pickle, 0, model.pickle.size());
    outcome.count([&] { model.read(text); });
  }
  EXPECT_GT(outcome.refused, 1'000);
  EXPECT_GT(outcome.opened, 100);
}

INSTANTIATE_TEST_SUITE_P(All, PickleMutation,
                         ::testing::Values("odd/types.bin", "odd/strided.bin", "odd/training_run.bin", "odd/protocol4.bin"),
                         [](const auto& test) { return "File" + std::to_string(test.index); });

/// A piece of a pickle that by itself is well-formed, so that long runs of them reach far into the machine.
std::string random_piece(Random& random) {
  static const std::vector<std::string> kPieces = {"(",
                                                   "N",
                                                   "\x88",
                                                   "}",
                                                   "]",
                                                   ")",
                                                   "t",
                                                   "\x85",
                                                   "\x86",
                                                   "\x87",
                                                   "l",
                                                   "d",
                                                   "a",
                                                   "e",
                                                   "s",
                                                   "u",
                                                   "R",
                                                   "b",
                                                   "Q",
                                                   "\x93",
                                                   "\x94",
                                                   "q\x01",
                                                   "h\x01",
                                                   "q\x02",
                                                   "h\x02",
                                                   samples::integer(3),
                                                   "K\x02",
                                                   samples::integer(-1),
                                                   "J\xff\xff\xff\x7f",
                                                   samples::text("storage"),
                                                   samples::text("0"),
                                                   samples::text("model"),
                                                   samples::text("w"),
                                                   samples::global("torch", "FloatStorage"),
                                                   samples::global("torch.storage", "UntypedStorage"),
                                                   samples::global("torch", "int8"),
                                                   samples::global("torch", "Size"),
                                                   samples::global("torch", "Tensor"),
                                                   samples::global("collections", "OrderedDict"),
                                                   samples::global("torch._utils", "_rebuild_tensor_v2"),
                                                   samples::global("torch._utils", "_rebuild_tensor_v3"),
                                                   samples::global("torch._utils", "_rebuild_parameter"),
                                                   samples::global("torch._tensor", "_rebuild_from_type_v2"),
                                                   samples::storage("FloatStorage", 4),
                                                   samples::tensor(samples::storage("FloatStorage", 4), 0, {2, 2}, {1, 2})};
  return kPieces[below(random, kPieces.size())];
}

TEST(Mutation, PicklesOfRandomPieces) {
  Random random(5);
  PickledModel model("odd/strided.bin");
  Outcome outcome;
  for (int i = 0; i < 50'000; ++i) {
    std::string text = "\x80\x04" + samples::text("w") + "q\x01" + samples::integer(1) + "q\x02";
    for (size_t pieces = 1 + below(random, 40); pieces > 0; --pieces) text += random_piece(random);
    outcome.count([&] { model.read(text + "."); });
  }
  EXPECT_EQ(outcome.refused + outcome.opened, 50'000);
}

class FileMutation : public ::testing::TestWithParam<const char*> {};

TEST_P(FileMutation, OfPyTorch) {
  samples::Directory directory;
  Random random(6);
  auto whole = file_text(GetParam());
  Outcome outcome;
  for (int i = 0; i < 3'000; ++i) {
    auto path = directory.write("m.bin", damaged(random, whole, 0, whole.size()));
    outcome.count([&] { samples::read_everything(*open_pytorch(path)); });
  }
  EXPECT_GT(outcome.refused, 100);
  EXPECT_GT(outcome.opened, 100);
}

INSTANTIATE_TEST_SUITE_P(All, FileMutation, ::testing::Values("odd/module.bin", "odd/legacy.bin", "odd/legacy_protocol4.bin"),
                         [](const auto& test) { return "File" + std::to_string(test.index); });

TEST(Mutation, Indexes) {
  samples::Directory directory;
  directory.write("a.safetensors", samples::safetensors(R"({"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", "1"));
  const std::string whole = R"({"metadata":{"total_size":1,"more":[1,{"x":null}]},"weight_map":{"w":"a.safetensors"}})";
  Random random(7);
  Outcome outcome;
  for (int i = 0; i < 3'000; ++i) {
    auto path = directory.write("i.json", damaged(random, whole, 0, whole.size()));
    outcome.count([&] { samples::read_everything(*open_sharded_safetensors(path)); });
  }
  EXPECT_GT(outcome.refused, 1'000);
  EXPECT_GT(outcome.opened, 100);
}

}  // namespace

}  // namespace nibble
