#pragma once

#include "device/cpu/kernels/float_gemm_parts.hpp"

// How the codes of a panel become floats, over the vectors of an instruction set: `Simd` has the types Floats and Ints of kLanes lanes,
// one per row of the panel, and their operations. A panel is kParts<Simd> vectors wide.
namespace nibble::cpu {
namespace {

template <class Simd>
constexpr size_t kParts = kPanelRows / Simd::kLanes;

/// 2^(23 - bit): the float whose fraction has the weight 1 at bit `bit`. An integer or-ed in there is added: no conversion needed.
template <int bit>
constexpr float kAnchor = static_cast<float>(1 << (23 - bit));

/// Decoder<Simd, type> decodes kColumns columns at a time, which take kBytes bytes of a panel; the vectors of a part begin part *
/// kPartBytes further. Its Group holds what is constant over a group of columns. decode() calls add(column, weights) for each column in
/// order: each is used before the next takes its registers.
template <class Simd, CodeType type>
struct Decoder;

/// Zero points from `index` on, one per lane.
template <class Simd>
[[gnu::always_inline]] inline typename Simd::Floats zero_points(const PackedMatrix& w, size_t index) {
  if (w.zero_points) return Simd::from_bytes(w.zero_points + index);
  return Simd::broadcast(static_cast<float>(w.zero_point));
}

/// Scales from `index` on, one per lane.
template <class Simd>
[[gnu::always_inline]] inline typename Simd::Floats load_scales(const PackedMatrix& w, size_t index) {
  if (w.scale_type == ScaleType::f16) return Simd::load_f16(w.scales + 2 * index);
  if (w.scale_type == ScaleType::f32) return Simd::load(reinterpret_cast<const float*>(w.scales) + index);
  return Simd::broadcast(1.0f);
}

/// The unsigned integer of `bits` bits at bit `bit`, less `offset` - kAnchor<bit>.
template <class Simd, int bit, int bits>
[[gnu::always_inline]] inline typename Simd::Floats integer(typename Simd::Ints v, typename Simd::Floats offset) {
  constexpr uint32_t mask = ((1u << bits) - 1) << bit;
  return Simd::subtract(Simd::template insert<mask>(v, kAnchor<bit>), offset);
}

template <class Simd>
struct Decoder<Simd, CodeType::u4> {
  static constexpr size_t kColumns = 8, kBytes = 64, kPartBytes = 4 * Simd::kLanes;
  struct Group {
    typename Simd::Floats at0, at4;  // anchor + zero point, by the bit where the code lies
    [[gnu::always_inline]] void load(const PackedMatrix& w, size_t index) {
      auto zero = zero_points<Simd>(w, index);
      at0 = Simd::add(zero, Simd::broadcast(kAnchor<0>));
      at4 = Simd::add(zero, Simd::broadcast(kAnchor<4>));
    }
  };
  template <class Add>
  [[gnu::always_inline]] static void decode(const std::byte* codes, const Group& group, const Add& add) {
    auto v0 = Simd::load_ints(codes), v1 = Simd::template shift_right<8>(v0);
    auto v2 = Simd::template shift_right<16>(v0), v3 = Simd::template shift_right<24>(v0);
    add(0, integer<Simd, 0, 4>(v0, group.at0));
    add(1, integer<Simd, 0, 4>(v1, group.at0));
    add(2, integer<Simd, 0, 4>(v2, group.at0));
    add(3, integer<Simd, 0, 4>(v3, group.at0));
    add(4, integer<Simd, 4, 4>(v0, group.at4));
    add(5, integer<Simd, 4, 4>(v1, group.at4));
    add(6, integer<Simd, 4, 4>(v2, group.at4));
    add(7, integer<Simd, 4, 4>(v3, group.at4));
  }
};

template <class Simd>
struct Decoder<Simd, CodeType::u8> {
  static constexpr size_t kColumns = 4, kBytes = 64, kPartBytes = 4 * Simd::kLanes;
  struct Group {
    typename Simd::Floats at0, at8;
    [[gnu::always_inline]] void load(const PackedMatrix& w, size_t index) {
      auto zero = zero_points<Simd>(w, index);
      at0 = Simd::add(zero, Simd::broadcast(kAnchor<0>));
      at8 = Simd::add(zero, Simd::broadcast(kAnchor<8>));
    }
  };
  template <class Add>
  [[gnu::always_inline]] static void decode(const std::byte* codes, const Group& group, const Add& add) {
    auto low = Simd::load_ints(codes), high = Simd::template shift_right<16>(low);
    add(0, integer<Simd, 0, 8>(low, group.at0));
    add(1, integer<Simd, 8, 8>(low, group.at8));
    add(2, integer<Simd, 0, 8>(high, group.at0));
    add(3, integer<Simd, 8, 8>(high, group.at8));
  }
};

template <class Simd>
struct Decoder<Simd, CodeType::level4> {
  static constexpr size_t kColumns = 8, kBytes = 64, kPartBytes = 4 * Simd::kLanes;
  struct Group {
    typename Simd::Levels levels;
    [[gnu::always_inline]] void load(const PackedMatrix& w, size_t) { levels = Simd::load_levels(w.levels); }
  };
  template <class Add>
  [[gnu::always_inline]] static void decode(const std::byte* codes, const Group& group, const Add& add) {
    auto v = Simd::load_ints(codes);
    add(0, Simd::template level<0>(v, group.levels));
    add(1, Simd::template level<8>(v, group.levels));
    add(2, Simd::template level<16>(v, group.levels));
    add(3, Simd::template level<24>(v, group.levels));
    add(4, Simd::template level<4>(v, group.levels));
    add(5, Simd::template level<12>(v, group.levels));
    add(6, Simd::template level<20>(v, group.levels));
    add(7, Simd::template level<28>(v, group.levels));
  }
};

/// For codes that mean the same in every group.
struct NoGroup {
  void load(const PackedMatrix&, size_t) {}
};

template <class Simd>
struct Decoder<Simd, CodeType::f8e4m3> {
  using Group = NoGroup;
  static constexpr size_t kColumns = 4, kBytes = 64, kPartBytes = 4 * Simd::kLanes;
  /// Exponent and fraction, moved to where a float has theirs, stand for the value * 2^-120, denormals too.
  template <int shift>
  [[gnu::always_inline]] static typename Simd::Floats value(typename Simd::Ints v) {
    auto bits = Simd::template bits_and<0x87f00000>(Simd::template shift_right_signed<4>(Simd::template shift_left<shift>(v)));
    return Simd::multiply(Simd::as_floats(bits), Simd::broadcast(0x1p120f));
  }
  template <class Add>
  [[gnu::always_inline]] static void decode(const std::byte* codes, const Group&, const Add& add) {
    auto v = Simd::load_ints(codes);
    add(0, value<24>(v));
    add(1, value<16>(v));
    add(2, value<8>(v));
    add(3, value<0>(v));
  }
};

template <class Simd>
struct Decoder<Simd, CodeType::f16> {
  using Group = NoGroup;
  static constexpr size_t kColumns = 4, kBytes = 128, kPartBytes = 2 * Simd::kLanes;
  template <class Add>
  [[gnu::always_inline]] static void decode(const std::byte* codes, const Group&, const Add& add) {
#pragma GCC unroll 4
    for (size_t c = 0; c < kColumns; ++c) add(c, Simd::load_f16(codes + 32 * c));
  }
};

template <class Simd>
struct Decoder<Simd, CodeType::bf16> {
  using Group = NoGroup;
  static constexpr size_t kColumns = 4, kBytes = 128, kPartBytes = 4 * Simd::kLanes;
  template <class Add>
  [[gnu::always_inline]] static void decode(const std::byte* codes, const Group&, const Add& add) {
#pragma GCC unroll 2
    for (size_t c = 0; c < kColumns; c += 2) {
      auto v = Simd::load_ints(codes + 32 * c);
      add(c, Simd::as_floats(Simd::template shift_left<16>(v)));
      add(c + 1, Simd::as_floats(Simd::template bits_and<0xffff0000>(v)));
    }
  }
};

template <class Simd>
struct Decoder<Simd, CodeType::f32> {
  using Group = NoGroup;
  static constexpr size_t kColumns = 4, kBytes = 256, kPartBytes = 4 * Simd::kLanes;
  template <class Add>
  [[gnu::always_inline]] static void decode(const std::byte* codes, const Group&, const Add& add) {
#pragma GCC unroll 4
    for (size_t c = 0; c < kColumns; ++c) add(c, Simd::load(reinterpret_cast<const float*>(codes) + kPanelRows * c));
  }
};

}  // namespace
}  // namespace nibble::cpu
