#include <fmt/format.h>

#include "cli/command.hpp"
#include "nibble/system.hpp"

namespace nibble::cli {

void add_devices(CLI::App& app) {
  auto* command = app.add_subcommand("devices", "List the devices that models can run on");
  auto as_json = std::make_shared<bool>(false);
  command->add_flag("--json", *as_json, "print the result as JSON");
  command->footer("\nExamples:\n  nibble devices\n  nibble generate ./model --device REFERENCE -p Hello");
  command->callback([as_json] {
    auto devices = available_devices();
    json list = json::array();
    for (const auto& device : devices)
      list.push_back({{"name", device.name}, {"description", device.description}, {"default", device.name == default_device()}});
    if (*as_json) return print_json({{"devices", list}, {"isa", instruction_set()}});
    for (const auto& device : devices)
      print(fmt::format("{:<12} {}{}\n", device.name, device.description, device.name == default_device() ? " (default)" : ""));
  });
}

}  // namespace nibble::cli
