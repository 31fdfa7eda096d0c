#include "chat/response/formats.hpp"

namespace nibble {

namespace {

constexpr ReasoningFormat kFormats[] = {
    {.name = "harmony",
     .aliases = {"openai", "gptoss", "gpt_oss", "openai_gptoss"},
     .template_marks = {"<|channel|>", "<|message|>"},
     .harmony = true},
    {.name = "cohere",
     .aliases = {"cohere_command3", "command_r7b"},
     .template_marks = {"<|START_THINKING|>"},
     .opens = {"<|START_THINKING|>"},
     .closes = {"<|END_THINKING|>"},
     .dropped = {"<|START_RESPONSE|>", "<|END_RESPONSE|>"}},
    {.name = "gemma4",
     .template_marks = {"<|channel>thought"},
     .opens = {"<|channel>thought"},
     .closes = {"<channel|>"},
     .dropped = {"<|channel>final"}},
    {.name = "mistral", .aliases = {"magistral"}, .template_marks = {"[THINK]"}, .opens = {"[THINK]"}, .closes = {"[/THINK]"}},
    {.name = "seed_oss", .template_marks = {"seed:think"}, .opens = {"<seed:think>"}, .closes = {"</seed:think>"}},
    {.name = "minimax_m3", .template_marks = {"<mm:think>"}, .opens = {"<mm:think>"}, .closes = {"</mm:think>"}},
    {.name = "longcat", .template_marks = {"<longcat_think>"}, .opens = {"<longcat_think>"}, .closes = {"</longcat_think>"}},
    {.name = "apriel",
     .template_marks = {"[BEGIN FINAL RESPONSE]"},
     .opens = {"Here are my reasoning steps:"},
     .closes = {"[BEGIN FINAL RESPONSE]"},
     .dropped = {"[END FINAL RESPONSE]"}},
    {.name = "granite",
     .template_marks = {"Here is my thought process:"},
     .opens = {"Here is my thought process:", "Here's my thought process:"},
     .closes = {"Here is my response:", "Here's my response:"}},
    {.name = "exaone_deep", .template_marks = {"<thought>"}, .opens = {"<thought>"}, .closes = {"</thought>"}, .dropped = {}},
    {.name = "granite33",
     .template_marks = {"</think>", "<response></response>"},
     .opens = {"<think>"},
     .closes = {"</think>"},
     .dropped = {"<response>", "</response>"}},
    {.name = "hunyuan_a13b",
     .aliases = {"hunyuan"},
     .template_marks = {"<think>", "</answer>"},
     .opens = {"<think>"},
     .closes = {"</think>"},
     .dropped = {"<answer>", "</answer>"}},
    {.name = "think",
     .aliases = {"qwen3", "glm45", "smollm3", "phi4", "exaone4", "ernie45", "lfm2", "kimi_k2", "nemotron", "minicpm5"},
     .template_marks = {"</think>"},
     .opens = {"<think>"},
     .closes = {"</think>"}},
    {.name = "deepseek_r1", .aliases = {"minimax_m2", "step3"}, .opens = {"<think>"}, .closes = {"</think>"}, .opened_by_prompt = true},
    {.name = "none"},
};

}  // namespace

std::span<const ReasoningFormat> reasoning_formats() { return kFormats; }

}  // namespace nibble
