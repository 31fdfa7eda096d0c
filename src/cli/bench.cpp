#include <fmt/format.h>

#include "cli/command.hpp"
#include "cli/progress_bar.hpp"
#include "nibble/benchmark.hpp"

namespace nibble::cli {

namespace {

struct Options {
  ModelOptions model;
  std::string prompt_tokens = "512", depths = "0", batches;
  BenchmarkOptions benchmark;
  bool as_json = false;
};

json to_json(const Rate& r, const char* first_key, int64_t first) {
  return {{first_key, first}, {"tps", r.tps}, {"tps_min", r.tps_min}, {"tps_max", r.tps_max}, {"share", r.share}};
}

json to_json(const BenchmarkResult& r) {
  json prefill = json::array(), decode = json::array(), batch = json::array();
  for (const Rate& rate : r.prefill) prefill.push_back(to_json(rate, "tokens", rate.tokens));
  for (const Rate& rate : r.decode) {
    decode.push_back(to_json(rate, "depth", rate.depth));
    decode.back()["tokens"] = rate.tokens;
  }
  for (const Rate& rate : r.batch) {
    batch.push_back(to_json(rate, "sequences", rate.sequences));
    batch.back()["tokens"] = rate.tokens;
  }
  return {{"model", r.model},
          {"device", r.device},
          {"isa", r.isa},
          {"threads", r.threads},
          {"arithmetic", r.arithmetic},
          {"limits",
           {{"read_gb_s", r.limits.read_gb_s},
            {"int8_gmac_s", r.limits.int8_gmac_s},
            {"int4_gmac_s", r.limits.int4_gmac_s},
            {"bf16_gmac_s", r.limits.bf16_gmac_s},
            {"f32_gflop_s", r.limits.f32_gflop_s}}},
          {"load_s", r.load_s},
          {"ttft_ms", r.ttft_ms},
          {"prefill", prefill},
          {"decode", decode},
          {"batch", batch},
          {"peak_rss_mb", static_cast<double>(r.peak_rss_bytes) / 1e6},
          {"weight_bytes", r.weight_bytes},
          {"weight_bytes_per_token", r.weight_bytes_per_token},
          {"prefill_weights", r.prefill_weights}};
}

void print_result(const BenchmarkResult& r) {
  print(fmt::format("{} on {}, {} threads, {}, multiplies in {}\n", r.model, r.device, r.threads, r.isa, r.arithmetic));
  print(fmt::format("machine: {:.1f} GB/s read, {:.0f} int8 and {:.0f} int4 GMAC/s, {:.0f} f32 GFLOP/s\n", r.limits.read_gb_s,
                    r.limits.int8_gmac_s, r.limits.int4_gmac_s, r.limits.f32_gflop_s));
  print(fmt::format("loaded in {:.2f} s, first token after {:.1f} ms, peak memory {}\n\n", r.load_s, r.ttft_ms,
                    human_bytes(static_cast<double>(r.peak_rss_bytes))));
  std::vector<std::vector<std::string>> rows{{"test", "tokens/s", "lowest", "highest", "of the machine"}};
  auto add = [&](std::string name, const Rate& rate) {
    rows.push_back({std::move(name), fmt::format("{:.1f}", rate.tps), fmt::format("{:.1f}", rate.tps_min),
                    fmt::format("{:.1f}", rate.tps_max), fmt::format("{:.1f} %", 100 * rate.share)});
  };
  for (const Rate& rate : r.prefill) add(fmt::format("prompt of {}", rate.tokens), rate);
  for (const Rate& rate : r.decode) add(fmt::format("{} new after {}", rate.tokens, rate.depth), rate);
  for (const Rate& rate : r.batch) add(fmt::format("{} new, {} sequences", rate.tokens, rate.sequences), rate);
  print(format_table(rows));
}

void run(Options& o) {
  o.benchmark.prompt_tokens = parse_ids(o.prompt_tokens);
  o.benchmark.depths = parse_ids(o.depths);
  if (!o.batches.empty()) o.benchmark.batches = parse_ids(o.batches);
  ProgressBar progress(o.model.progress);
  BenchmarkResult result = benchmark(o.model.model, o.model.device, o.model.property_map(), o.benchmark, o.model.context(), &progress);
  if (o.as_json) return print_json(to_json(result));
  print_result(result);
}

}  // namespace

void add_bench(CLI::App& app) {
  auto* command = app.add_subcommand("bench", "Time a model and compare it with what the machine can do");
  auto o = std::make_shared<Options>();
  o->model.add_to(*command);
  command->add_option("-p,--prompt-tokens", o->prompt_tokens, "lengths of prompts to time: 128,512")->capture_default_str();
  command->add_option("-n,--new-tokens", o->benchmark.new_tokens, "tokens to decode")->capture_default_str();
  command->add_option("--depth", o->depths, "tokens in the cache before decoding: 0,4096")->capture_default_str();
  command->add_option("--batch", o->batches, "numbers of sequences that decode together: 1,8");
  command->add_option("-r,--repetitions", o->benchmark.repetitions, "runs of each test; the median counts")->capture_default_str();
  command->add_flag("--json", o->as_json, "print the result as JSON");
  command->footer("\nExamples:\n  nibble bench ./model\n  nibble bench ./model -p 128,1024 -n 32 --depth 0,4096 --batch 8 --json");
  command->callback([o] { run(*o); });
}

}  // namespace nibble::cli
