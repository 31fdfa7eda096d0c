#include "tokenizer/metaspace.hpp"

namespace nibble::tokenizer {

Metaspace read_metaspace(const JsonView& view) {
  Metaspace options;
  options.replacement = view.at("replacement").character();
  options.split = view.boolean_or("split", true);
  const std::string scheme = view.string_or("prepend_scheme", "always");
  if (scheme == "first") {
    options.prepend = Metaspace::Prepend::first;
  } else if (scheme == "never" || !view.boolean_or("add_prefix_space", true)) {
    options.prepend = Metaspace::Prepend::never;
  } else if (scheme != "always") {
    view.at("prepend_scheme").reject("must be \"always\", \"first\" or \"never\"");
  }
  return options;
}

}  // namespace nibble::tokenizer
