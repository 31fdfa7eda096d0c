#pragma once

#include <map>
#include <string>
#include <vector>

namespace nibble {

/// Options of a device by their OpenVINO names, e.g. {"INFERENCE_NUM_THREADS", "4"}.
using Properties = std::map<std::string, std::string>;

struct DeviceInfo {
  std::string name;         ///< what `device` arguments take: "REFERENCE"
  std::string description;  ///< one line for a person
};

/// The devices that this build of Nibble can use on this machine. Thread-safe.
std::vector<DeviceInfo> available_devices();

/// The device that is used when none is asked for.
std::string default_device();

}  // namespace nibble
