#include "chat/jinja/registry.hpp"

namespace nibble::jinja {

const Filter* find_filter(std::string_view name) {
  for (auto table : {case_filters(), layout_filters(), markup_filters(), number_filters(), sequence_filters(), order_filters(),
                     select_filters(), value_filters()})
    for (const Filter& filter : table)
      if (filter.name == name) return &filter;
  return nullptr;
}

const Test* find_test(std::string_view name) {
  for (const Test& test : tests())
    if (test.name == name) return &test;
  return nullptr;
}

}  // namespace nibble::jinja
