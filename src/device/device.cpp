#include "device/device.hpp"

#include <algorithm>
#include <array>

#include "base/fail.hpp"
#include "device/cpu/cpu_device.hpp"
#include "device/model_runner.hpp"
#include "device/reference/reference_device.hpp"

namespace nibble {

bool CompiledModel::has_input(std::string_view name) const {
  return std::any_of(inputs().begin(), inputs().end(), [&](const PortInfo& port) { return port.name == name; });
}

std::unique_ptr<ModelRunner> CompiledModel::create_runner() const { return nullptr; }

std::span<const Device* const> devices() {
  static const cpu::CpuDevice cpu;
  static const ReferenceDevice reference;
  static const std::array<const Device*, 2> all{&cpu, &reference};
  return all;
}

const Device& find_device(std::string_view name) {
  if (name.empty()) return *devices().front();
  std::string known;
  for (const Device* device : devices()) {
    if (device->name() == name) return *device;
    known += (known.empty() ? "" : ", ") + std::string(device->name());
  }
  fail(ErrorKind::not_found, "there is no device {}: this build has {}", name, known);
}

std::vector<DeviceInfo> available_devices() {
  std::vector<DeviceInfo> infos;
  for (const Device* device : devices()) infos.push_back({std::string(device->name()), std::string(device->description())});
  return infos;
}

std::string default_device() { return std::string(devices().front()->name()); }

}  // namespace nibble
