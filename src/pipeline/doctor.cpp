#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/usable_memory.hpp"
#include "nibble/inspect.hpp"
#include "nibble/system.hpp"

#include <fmt/format.h>

namespace nibble {

namespace {

namespace fs = std::filesystem;
using Severity = Finding::Severity;

constexpr uint64_t kChannelWiseFrom = 4'000'000'000;  // parameters from which the NPU is faster with one scale per channel

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> list) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

/// The layers that a weight format's ratio counts: all but embeddings and head.
bool is_inner(const WeightFormatInfo& f) { return f.kind == "attention" || f.kind == "mlp"; }
bool is_4_bit(const WeightFormatInfo& f) { return f.is_compressed && is_one_of(f.codes, {"i4", "u4", "nf4", "f4e2m1"}); }
bool is_4_bit_integer(const WeightFormatInfo& f) { return is_4_bit(f) && is_one_of(f.codes, {"i4", "u4"}) && !f.has_codebook; }
bool is_experimental(const WeightFormatInfo& f) {
  return f.has_codebook || is_one_of(f.codes, {"nf4", "f4e2m1", "f8e4m3", "f8e5m2", "f8e8m0"});
}

/// Finds what there is to say about a model on one device.
class DeviceRules {
 public:
  DeviceRules(const ModelInfo& info, const ModelDiagnosis& diagnosis) : info_(info), diagnosis_(diagnosis) {}

  DeviceDiagnosis cpu() {
    begin("CPU");
    state();
    memory();
    if (info_.format != "OpenVINO IR")
      add(Severity::note, "the graph is made from the checkpoint at every start", "nibble export MODEL OUT, once");
    if (any([](const auto& f) { return is_inner(f) && !f.is_compressed; }) && info_.parameters > 1'000'000'000)
      add(Severity::note, "decoding reads every weight for every token: 4-bit weights are up to four times as fast as 16-bit ones",
          "nibble export MODEL OUT --for cpu");
    if (any([](const auto& f) { return is_4_bit_integer(f) && f.group_size > 0 && f.group_size % 32 != 0; }))
      add(Severity::warning, "groups that are no multiple of 32 weights are computed in floats: prompts take longer",
          "groups of 32, 64 or 128");
    if (any([](const auto& f) { return f.is_compressed && is_experimental(f); }))
      add(Severity::note, "weights in nf4, fp4, fp8 or with a codebook are computed in floats: prompts take longer than with int4", "");
    return end();
  }

  DeviceDiagnosis npu() {
    begin("NPU");
    state();
    npu_formats();
    if (info_.operations.count("TopK"))
      add(Severity::obstacle, "it chooses experts per token, which the NPU's static graphs do not", "another device");
    add(Severity::note,
        "prompts are limited to 1024 tokens and answers to the rest of 1152, unless MAX_PROMPT_LEN and MIN_RESPONSE_LEN say otherwise; one "
        "sequence at a time",
        "");
    return end();
  }

  DeviceDiagnosis gpu() {
    begin("GPU");
    state();
    if (any([](const auto& f) {
          return is_4_bit_integer(f) && f.group_size > 0 && !is_one_of(fmt::to_string(f.group_size), {"32", "64", "128"});
        }))
      add(Severity::warning, "its kernels know groups of 32, 64 and 128 weights and whole channels: others are decompressed first",
          "nibble export MODEL OUT --for gpu");
    if (any([](const auto& f) { return f.is_compressed && is_experimental(f); }))
      add(Severity::warning, "nf4, fp4, fp8 and codebooks are experimental there", "nibble export MODEL OUT --for gpu");
    if (any([](const auto& f) { return !f.is_compressed && f.codes == "bf16"; }))
      add(Severity::warning, "it computes in half precision: values that bfloat16 holds may overflow",
          "INFERENCE_PRECISION_HINT=f32 where answers break off");
    return end();
  }

 private:
  template <class Test>
  bool any(const Test& test) const {
    return std::any_of(info_.formats.begin(), info_.formats.end(), test);
  }

  void begin(std::string device) { result_ = {std::move(device), {}}; }
  DeviceDiagnosis end() { return std::move(result_); }
  void add(Severity severity, std::string text, std::string remedy) {
    result_.findings.push_back({severity, std::move(text), std::move(remedy)});
  }

  void state() {
    if (info_.operations.count("ReadValue") == 0)
      add(Severity::obstacle, "the model keeps no state between tokens: it is no stateful language model",
          "export it again with a state (optimum-cli without --disable-stateful, or nibble export)");
  }

  void memory() {
    uint64_t needed = diagnosis_.weight_bytes + diagnosis_.cache_bytes;
    if (needed <= diagnosis_.usable_memory) return;
    auto gb = [](uint64_t bytes) { return static_cast<double>(bytes) / 1e9; };
    add(diagnosis_.cache_bytes > diagnosis_.usable_memory ? Severity::obstacle : Severity::warning,
        fmt::format("{:.1f} GB of weights and {:.1f} GB for {} tokens of context do not fit in the {:.1f} GB of memory that can be had: "
                    "weights are read from the "
                    "disk again for every token",
                    gb(diagnosis_.weight_bytes), gb(diagnosis_.cache_bytes), diagnosis_.context_length, gb(diagnosis_.usable_memory)),
        "fewer bits per weight (nibble export --weight-format int4), a shorter context or KV_CACHE_PRECISION=u8");
  }

  void npu_formats() {
    bool has_4_bit = any([](const auto& f) { return is_inner(f) && is_4_bit(f); });
    auto has = [&](auto test) { return any([&](const auto& f) { return is_inner(f) && test(f); }); };
    std::string again = "nibble export MODEL OUT --for npu";
    if (has([](const auto& f) { return is_4_bit_integer(f) && f.has_zero_points; }))
      add(Severity::warning,
          "asymmetric 4-bit weights: the NPU multiplies symmetric ones only, zero points cost it most of its speed or the compilation "
          "fails",
          again);
    if (has_4_bit && has([](const auto& f) { return !is_4_bit(f); }))
      add(Severity::warning, "some layers have 4 bits and others more (a ratio below 1): the NPU wants one precision for all", again);
    if (has([](const auto& f) { return is_4_bit_integer(f) && f.group_size != -1 && f.group_size != 128; }))
      add(Severity::warning, "the NPU knows groups of 128 weights and whole channels", again);
    if (info_.parameters > kChannelWiseFrom && has([](const auto& f) { return is_4_bit(f) && f.group_size != -1; }))
      add(Severity::warning,
          fmt::format("{:.1f} billion parameters in groups: above about 4 billion one scale per channel is much faster",
                      static_cast<double>(info_.parameters) / 1e9),
          again);
    if (has([](const auto& f) { return f.codes == "nf4" && f.group_size != -1; }))
      add(Severity::obstacle, "nf4 in groups: the NPU has it for whole channels only, from Core Ultra Series 2 on", again);
    if (has([](const auto& f) { return is_experimental(f) && f.codes != "nf4"; }))
      add(Severity::warning, "fp4, fp8 and codebooks are experimental there", again);
    if (!has_4_bit && info_.parameters > 1'000'000'000)
      add(Severity::note, "without 4-bit weights the NPU is bound by memory even more than a CPU", again);
  }

  const ModelInfo& info_;
  const ModelDiagnosis& diagnosis_;
  DeviceDiagnosis result_;
};

int64_t default_context(const ModelInfo& info) {
  constexpr int64_t kMost = 4096;
  auto found = info.sizes.find("max_position_embeddings");
  return found == info.sizes.end() ? 2048 : std::clamp<int64_t>(found->second, 1, kMost);
}

/// The first device file of a directory whose name begins so: present, and may be opened.
DevicePresence find_device_file(std::string device, const fs::path& directory, std::string_view prefix) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    if (!entry.path().filename().string().starts_with(prefix)) continue;
    if (access(entry.path().c_str(), R_OK | W_OK) == 0)
      return {std::move(device),
              fmt::format("{} is there; this version of Nibble does not use it, OpenVINO GenAI runs what Nibble exports",
                          entry.path().string()),
              false};
    return {std::move(device),
            fmt::format("{} may not be opened: add yourself to the group that owns it (usually render) and log in again",
                        entry.path().string()),
            false};
  }
  return {std::move(device), fmt::format("no {}/{}*: there is none, or its driver is not loaded", directory.string(), prefix), false};
}

}  // namespace

Finding::Severity DeviceDiagnosis::worst() const {
  auto worst = Severity::note;
  for (const Finding& finding : findings) worst = std::max(worst, finding.severity);
  return worst;
}

ModelDiagnosis diagnose_model(const ModelInfo& info, int64_t context_length, uint64_t usable_memory) {
  ModelDiagnosis diagnosis;
  diagnosis.context_length = context_length > 0 ? context_length : default_context(info);
  diagnosis.usable_memory = usable_memory;
  diagnosis.weight_bytes = info.weight_bytes;
  bool is_compressed = std::any_of(info.formats.begin(), info.formats.end(), [](const auto& f) { return f.is_compressed; });
  diagnosis.cache_bytes = info.cache_elements_per_token * static_cast<uint64_t>(diagnosis.context_length) * (is_compressed ? 1 : 2);
  DeviceRules rules(info, diagnosis);
  diagnosis.devices = {rules.cpu(), rules.npu(), rules.gpu()};
  return diagnosis;
}

ModelDiagnosis diagnose_model(const fs::path& path, int64_t context_length) {
  return diagnose_model(inspect_model(path), context_length, usable_memory_bytes());
}

std::vector<DevicePresence> find_devices() {
  return {{"CPU", fmt::format("kernels for {}", instruction_set()), true},
          find_device_file("NPU", "/dev/accel", "accel"),
          find_device_file("GPU", "/dev/dri", "renderD")};
}

}  // namespace nibble
