#pragma once

#include "device/cpu/steps.hpp"

namespace nibble::cpu {

/// From every group of `size` columns of x those that the indices of the same group name. Throws Error{corrupt} for an index that is not
/// within the group.
class GatherElementsStep : public Step {
 public:
  GatherElementsStep(View x, size_t size, View indices, View out) : x_(x), size_(size), indices_(indices), out_(out) {}
  std::string_view kind() const override { return "GatherElements"; }
  std::string detail(const Plan& plan) const override;
  std::vector<View> inputs() const override { return {x_, indices_}; }
  std::vector<View> outputs() const override { return {out_}; }
  void run(Execution& execution) const override;

 private:
  View x_;
  size_t size_;
  View indices_, out_;
};

/// x with those columns of every group of `size` replaced that the indices of the same group name. x and updates may be one number.
class ScatterElementsStep : public Step {
 public:
  struct Source {
    View view;
    float number = 0;
    bool is_number = false;  ///< instead of the view
  };
  ScatterElementsStep(Source x, size_t size, View indices, Source updates, View out)
      : x_(x), size_(size), indices_(indices), updates_(updates), out_(out) {}
  std::string_view kind() const override { return "ScatterElements"; }
  std::string detail(const Plan& plan) const override;
  std::vector<View> inputs() const override;
  std::vector<View> outputs() const override { return {out_}; }
  void run(Execution& execution) const override;

 private:
  Source x_;
  size_t size_;
  View indices_;
  Source updates_;
  View out_;
};

/// condition != 0 ? yes : no, element by element.
class SelectStep : public Step {
 public:
  SelectStep(BinaryStep::Operand condition, BinaryStep::Operand yes, BinaryStep::Operand no, View out)
      : condition_(std::move(condition)), yes_(std::move(yes)), no_(std::move(no)), out_(out) {}
  std::string_view kind() const override { return "Select"; }
  std::string detail(const Plan& plan) const override;
  std::vector<View> inputs() const override;
  std::vector<View> outputs() const override { return {out_}; }
  void run(Execution& execution) const override;

 private:
  BinaryStep::Operand condition_, yes_, no_;
  View out_;
};

}  // namespace nibble::cpu
