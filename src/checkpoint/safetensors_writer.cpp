#include "checkpoint/safetensors_writer.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/fail.hpp"
#include "base/output_file.hpp"
#include "checkpoint/safetensors_types.hpp"
#include "checkpoint/shown.hpp"

namespace nibble {

namespace {

using Item = std::pair<const std::string, Tensor>;

std::vector<const Item*> in_file_order(const std::map<std::string, Tensor>& tensors) {
  std::vector<const Item*> items;
  for (const auto& item : tensors) items.push_back(&item);
  std::stable_sort(items.begin(), items.end(),
                   [](const Item* a, const Item* b) { return bit_width(a->second.type()) > bit_width(b->second.type()); });
  return items;
}

void check(const Item& item, const std::filesystem::path& path) {
  const auto& [name, tensor] = item;
  if (name == "__metadata__") fail(ErrorKind::invalid_argument, "{}: no tensor may be called \"__metadata__\"", path.string());
  if (safetensors_type_name(tensor.type()).empty())
    fail(ErrorKind::unsupported, "{}: tensor {} is of type {}, which safetensors files cannot hold", path.string(), shown(name),
         to_string(tensor.type()));
  if (bit_width(tensor.type()) < 8 && tensor.size() % 2 != 0)
    fail(ErrorKind::unsupported, "{}: tensor {} has an odd number of 4-bit elements, which safetensors files cannot hold", path.string(),
         shown(name));
}

std::string header_text(const std::vector<const Item*>& items, const std::map<std::string, std::string>& metadata,
                        const std::filesystem::path& path) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  uint64_t offset = 0;
  for (const auto* item : items) {
    check(*item, path);
    const auto& tensor = item->second;
    header.emplace(item->first, nlohmann::ordered_json{{"dtype", safetensors_type_name(tensor.type())},
                                                       {"shape", tensor.shape()},
                                                       {"data_offsets", {offset, offset + tensor.byte_size()}}});
    offset += tensor.byte_size();
  }
  try {
    return header.dump();
  } catch (const nlohmann::json::exception&) {
    fail(ErrorKind::invalid_argument, "{}: names and metadata of a safetensors file must be UTF-8", path.string());
  }
}

std::string little_endian(uint64_t value) {
  std::string out;
  for (int i = 0; i < 8; ++i) out += static_cast<char>(value >> (8 * i) & 0xff);
  return out;
}

}  // namespace

void write_safetensors(const std::filesystem::path& path, const std::map<std::string, Tensor>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  auto items = in_file_order(tensors);
  auto header = header_text(items, metadata, path);
  header.resize((header.size() + 7) / 8 * 8, ' ');
  OutputFile file(path);
  file.append(little_endian(header.size()));
  file.append(header);
  for (const auto* item : items) file.append(item->second.bytes());
  file.commit();
}

}  // namespace nibble
