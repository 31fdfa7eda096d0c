#include <gmock/gmock.h>

#include <chrono>

#include "models.hpp"
#include "nibble/evaluate.hpp"
#include "nibble/export.hpp"
#include "nibble/llm_pipeline.hpp"

namespace nibble {
namespace {

using json = nlohmann::ordered_json;

TEST(Probe, Greedy) {
  auto context = test::two_threads();
  std::vector<std::tuple<std::string, bool, int>> formats{{"fp16", false, 0}, {"int8", false, 0}, {"int4", false, 128}, {"int4", true, 32}};
  nlohmann::json greedy = test::read_json(test::nib() / "eval/expected.json")["greedy"];
  for (auto [format, sym, group] : formats) {
    test::ScratchDirectory scratch;
    ExportOptions options;
    options.weight_format = format;
    options.sym = sym;
    if (group) options.group_size = group;
    export_model(test::nib(), scratch / "m", options, *context);
    std::vector<GenerationRequest> requests;
    std::map<std::string, std::vector<std::vector<int64_t>>> out;
    for (std::string device : {"REFERENCE", "EXACT", "CPU"}) {
      Properties p;
      if (device == "EXACT") p = {{"INFERENCE_PRECISION_HINT", "f32"}, {"KV_CACHE_PRECISION", "f32"}, {"DYNAMIC_QUANTIZATION_GROUP_SIZE", "0"}};
      auto t = std::chrono::steady_clock::now();
      LLMPipeline pipeline(scratch / "m", device == "EXACT" ? "CPU" : device, p, context);
      requests.clear();
      for (auto& c : greedy) {
        auto config = pipeline.generation_config();
        config.max_new_tokens = std::max<size_t>(c["generated_ids"].size(), 1);
        requests.push_back({Prompt::from_ids(c["prompt_ids"].get<std::vector<int64_t>>()), config});
      }
      for (auto& r : pipeline.generate(requests)) out[device].push_back(r.ids[0]);
      printf("%s %s %.2f s\n", format.c_str(), device.c_str(), std::chrono::duration<double>(std::chrono::steady_clock::now() - t).count());
    }
    int e = 0, d = 0;
    for (size_t i = 0; i < 30; ++i) e += out["EXACT"][i] == out["REFERENCE"][i], d += out["CPU"][i] == out["REFERENCE"][i];
    printf("%s exact %d default %d of 30\n", format.c_str(), e, d);
  }
}

TEST(Probe, Perplexity) {
  auto context = test::two_threads();
  std::vector<std::tuple<std::string, bool, int>> formats{{"fp16", false, 0}, {"fp32", false, 0}, {"int8", false, 0}, {"int8", true, 0}, {"int4", false, 128}, {"int4", true, 32}, {"int4", true, 128}, {"int4", false, 32}, {"nf4", false, 64}, {"mxfp4", false, 0},{"fp8", false, 0}, {"cb4",false,64}, {"nvfp4",false,0},{"mxfp8",false,0},{"fp4",false,32}, {"bf16",false,0}};
  std::string text = test::validation_text().substr(0, 6000);
  for (auto [format, sym, group] : formats) {
    test::ScratchDirectory scratch;
    ExportOptions options;
    options.weight_format = format;
    options.sym = sym;
    if (group) options.group_size = group;
    try {
    export_model(test::nib(), scratch / "m", options, *context);
    double ppl[3]; int k = 0;
    for (std::string device : {"REFERENCE", "EXACT", "CPU"}) {
      Properties p;
      if (device == "EXACT") p = {{"INFERENCE_PRECISION_HINT", "f32"}, {"KV_CACHE_PRECISION", "f32"}, {"DYNAMIC_QUANTIZATION_GROUP_SIZE", "0"}};
      auto t = std::chrono::steady_clock::now();
      LanguageModel model(scratch / "m", device == "EXACT" ? "CPU" : device, p, context);
      ppl[k] = evaluate(model, nullptr, test::nib(), text).model.perplexity;
      printf("%s %.5f %.2fs  ", device.c_str(), ppl[k], std::chrono::duration<double>(std::chrono::steady_clock::now() - t).count()); ++k;
    }
    printf("%s sym %d g %d: %.4f%% %.4f%%\n", format.c_str(), sym, group, 100 * (ppl[1]/ppl[0]-1), 100 * (ppl[2]/ppl[0]-1));
    } catch (const std::exception& e) { printf("%s: %s\n", format.c_str(), e.what()); }
  }
}
}
}
