#include <fmt/format.h>

#include <algorithm>

#include "cli/command.hpp"
#include "nibble/inspect.hpp"
#include "nibble/system.hpp"

namespace nibble::cli {

namespace {

struct Options {
  std::string model;
  int64_t context_length = 0;
  bool as_json = false;
};

std::string_view name_of(Finding::Severity severity) {
  switch (severity) {
    case Finding::Severity::note: return "note";
    case Finding::Severity::warning: return "warning";
    case Finding::Severity::obstacle: return "obstacle";
  }
  return "";
}

std::string_view verdict(Finding::Severity worst) {
  switch (worst) {
    case Finding::Severity::note: return "suits it";
    case Finding::Severity::warning: return "with reservations";
    case Finding::Severity::obstacle: return "does not run";
  }
  return "";
}

json machine_json(const std::vector<DevicePresence>& devices) {
  json list = json::array();
  for (const auto& device : devices) list.push_back({{"device", device.device}, {"usable", device.usable}, {"state", device.state}});
  return {{"isa", instruction_set()}, {"usable_memory_bytes", usable_memory_bytes()}, {"devices", list}};
}

json model_json(const ModelDiagnosis& diagnosis, const std::string& model) {
  json devices = json::array();
  for (const auto& device : diagnosis.devices) {
    json findings = json::array();
    for (const auto& f : device.findings) findings.push_back({{"severity", name_of(f.severity)}, {"text", f.text}, {"remedy", f.remedy}});
    devices.push_back({{"device", device.device}, {"verdict", name_of(device.worst())}, {"findings", findings}});
  }
  return {{"model", model},
          {"context_length", diagnosis.context_length},
          {"weight_bytes", diagnosis.weight_bytes},
          {"cache_bytes", diagnosis.cache_bytes},
          {"devices", devices}};
}

void print_machine(const std::vector<DevicePresence>& devices) {
  print(fmt::format("memory  {} can be had\n", human_bytes(static_cast<double>(usable_memory_bytes()))));
  for (const auto& device : devices) print(fmt::format("{:<7} {}\n", device.device, device.state));
}

void print_model(const ModelDiagnosis& diagnosis, const std::string& model) {
  print(fmt::format("\n{}: {} of weights, {} for {} tokens of context\n", model, human_bytes(static_cast<double>(diagnosis.weight_bytes)),
                    human_bytes(static_cast<double>(diagnosis.cache_bytes)), diagnosis.context_length));
  for (const auto& device : diagnosis.devices) {
    print(fmt::format("\n{}: {}\n", device.device, verdict(device.worst())));
    for (const auto& f : device.findings)
      print(
          fmt::format("  {:<9} {}{}\n", name_of(f.severity), f.text, f.remedy.empty() ? "" : fmt::format("\n            -> {}", f.remedy)));
  }
}

void run(const Options& o) {
  auto devices = find_devices();
  if (o.as_json) {
    json document = machine_json(devices);
    if (!o.model.empty()) document["model"] = model_json(diagnose_model(o.model, o.context_length), o.model);
    return print_json(document);
  }
  print_machine(devices);
  if (!o.model.empty()) print_model(diagnose_model(o.model, o.context_length), o.model);
}

}  // namespace

void add_doctor(CLI::App& app) {
  auto* command = app.add_subcommand("doctor", "Say what is here, and how a model suits each device");
  auto o = std::make_shared<Options>();
  command->add_option("model", o->model, "an OpenVINO IR directory, an .xml file or a Hugging Face directory");
  command->add_option("--context-length", o->context_length, "tokens of context to compute memory for")->check(CLI::PositiveNumber);
  command->add_flag("--json", o->as_json, "print the result as JSON");
  command->footer("\nExamples:\n  nibble doctor\n  nibble doctor ./llama-int4\n  nibble doctor ./llama-int4 --context-length 32768 --json");
  command->callback([o] { run(*o); });
}

}  // namespace nibble::cli
