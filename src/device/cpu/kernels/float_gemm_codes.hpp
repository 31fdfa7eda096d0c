#pragma once

#include "device/cpu/kernels/float_gemm_parts.hpp"

// How the codes of a panel become floats, over the vectors of an instruction set: `Simd` has the types Floats and Ints of 16 lanes, one
// per row of the panel, and their operations.
namespace nibble::cpu {
namespace {

/// 2^(23 - bit): the float whose fraction has the weight 1 at bit `bit`. An integer there, or-ed in, is added: no conversion needed.
template <int bit>
constexpr float kAnchor = static_cast<float>(1 << (23 - bit));

/// Decoder<Simd, type>: kColumns columns at a time. Group: what is constant over a group of columns.
template <class Simd, CodeType type>
struct Decoder;

/// Zero points of a group, per lane.
template <class Simd>
[[gnu::always_inline]] inline typename Simd::Floats zero_points(const PackedMatrix& w, size_t index) {
  if (w.zero_points) return Simd::from_bytes(w.zero_points + index);
  return Simd::broadcast(static_cast<float>(w.zero_point));
}

template <class Simd>
struct Decoder<Simd, CodeType::u4> {
  using Floats = typename Simd::Floats;
  static constexpr size_t kColumns = 8, kBytes = 64;
  struct Group {
    Floats at0, at4, at8, at12, at16;  // anchor + zero point, by the bit where the code lies
    void load(const PackedMatrix& w, size_t index) {
      Floats zero = zero_points<Simd>(w, index);
      at0 = Simd::add(zero, Simd::broadcast(kAnchor<0>));
      at4 = Simd::add(zero, Simd::broadcast(kAnchor<4>));
      at8 = Simd::add(zero, Simd::broadcast(kAnchor<8>));
      at12 = Simd::add(zero, Simd::broadcast(kAnchor<12>));
      at16 = Simd::add(zero, Simd::broadcast(kAnchor<16>));
    }
  };
  template <int bit>
  [[gnu::always_inline]] static Floats nibble(typename Simd::Ints v, Floats offset) {
    return Simd::subtract(Simd::template insert<15 << bit>(v, kAnchor<bit>), offset);
  }
  [[gnu::always_inline]] static void decode(const std::byte* codes, const Group& group, Floats (&out)[kColumns]) {
    auto low = Simd::load_ints(codes), high = Simd::template shift_right<12>(low);
    out[0] = nibble<0>(low, group.at0);
    out[4] = nibble<4>(low, group.at4);
    out[1] = nibble<8>(low, group.at8);
    out[5] = nibble<12>(low, group.at12);
    out[2] = nibble<16>(low, group.at16);
    out[6] = nibble<8>(high, group.at8);
    out[3] = nibble<12>(high, group.at12);
    out[7] = nibble<16>(high, group.at16);
  }
};

template <class Simd>
struct Decoder<Simd, CodeType::u8> {
  using Floats = typename Simd::Floats;
  static constexpr size_t kColumns = 4, kBytes = 64;
  struct Group {
    Floats at0, at8;
    void load(const PackedMatrix& w, size_t index) {
      Floats zero = zero_points<Simd>(w, index);
      at0 = Simd::add(zero, Simd::broadcast(kAnchor<0>));
      at8 = Simd::add(zero, Simd::broadcast(kAnchor<8>));
    }
  };
  template <int bit>
  [[gnu::always_inline]] static Floats byte(typename Simd::Ints v, Floats offset) {
    return Simd::subtract(Simd::template insert<255 << bit>(v, kAnchor<bit>), offset);
  }
  [[gnu::always_inline]] static void decode(const std::byte* codes, const Group& group, Floats (&out)[kColumns]) {
    auto low = Simd::load_ints(codes), high = Simd::template shift_right<16>(low);
    out[0] = byte<0>(low, group.at0);
    out[1] = byte<8>(low, group.at8);
    out[2] = byte<0>(high, group.at0);
    out[3] = byte<8>(high, group.at8);
  }
};

template <class Simd>
struct Decoder<Simd, CodeType::level4> {
  using Floats = typename Simd::Floats;
  static constexpr size_t kColumns = 8, kBytes = 64;
  struct Group {
    typename Simd::Levels levels;
    void load(const PackedMatrix& w, size_t) { levels = Simd::load_levels(w.levels); }
  };
  [[gnu::always_inline]] static void decode(const std::byte* codes, const Group& group, Floats (&out)[kColumns]) {
    auto v = Simd::load_ints(codes);
    out[0] = Simd::template level<0>(v, group.levels);
    out[1] = Simd::template level<8>(v, group.levels);
    out[2] = Simd::template level<16>(v, group.levels);
    out[3] = Simd::template level<24>(v, group.levels);
    out[4] = Simd::template level<4>(v, group.levels);
    out[5] = Simd::template level<12>(v, group.levels);
    out[6] = Simd::template level<20>(v, group.levels);
    out[7] = Simd::template level<28>(v, group.levels);
  }
};

/// For codes that mean the same in every group.
struct NoGroup {
  void load(const PackedMatrix&, size_t) {}
};

template <class Simd>
struct Decoder<Simd, CodeType::f8e4m3> {
  using Floats = typename Simd::Floats;
  using Group = NoGroup;
  static constexpr size_t kColumns = 4, kBytes = 64;
  /// Exponent and fraction, moved to where a float has theirs, stand for the value * 2^-120, denormals too.
  template <int shift>
  [[gnu::always_inline]] static Floats value(typename Simd::Ints v) {
    auto bits = Simd::template bits_and<0x87f00000>(Simd::template shift_right_signed<4>(Simd::template shift_left<shift>(v)));
    return Simd::multiply(Simd::as_floats(bits), Simd::broadcast(0x1p120f));
  }
  [[gnu::always_inline]] static void decode(const std::byte* codes, const Group&, Floats (&out)[kColumns]) {
    auto v = Simd::load_ints(codes);
    out[0] = value<24>(v);
    out[1] = value<16>(v);
    out[2] = value<8>(v);
    out[3] = value<0>(v);
  }
};

template <class Simd>
struct Decoder<Simd, CodeType::f16> {
  using Group = NoGroup;
  static constexpr size_t kColumns = 4, kBytes = 128;
  [[gnu::always_inline]] static void decode(const std::byte* codes, const Group&, typename Simd::Floats (&out)[kColumns]) {
    for (size_t c = 0; c < kColumns; ++c) out[c] = Simd::load_f16(codes + 32 * c);
  }
};

template <class Simd>
struct Decoder<Simd, CodeType::bf16> {
  using Group = NoGroup;
  static constexpr size_t kColumns = 4, kBytes = 128;
  [[gnu::always_inline]] static void decode(const std::byte* codes, const Group&, typename Simd::Floats (&out)[kColumns]) {
    for (size_t c = 0; c < kColumns; c += 2) {
      auto v = Simd::load_ints(codes + 32 * c);
      out[c] = Simd::as_floats(Simd::template shift_left<16>(v));
      out[c + 1] = Simd::as_floats(Simd::template bits_and<0xffff0000>(v));
    }
  }
};

template <class Simd>
struct Decoder<Simd, CodeType::f32> {
  using Group = NoGroup;
  static constexpr size_t kColumns = 4, kBytes = 256;
  [[gnu::always_inline]] static void decode(const std::byte* codes, const Group&, typename Simd::Floats (&out)[kColumns]) {
    for (size_t c = 0; c < kColumns; ++c) out[c] = Simd::load(reinterpret_cast<const float*>(codes) + 16 * c);
  }
};

/// Scales of a group, per lane.
template <class Simd>
[[gnu::always_inline]] inline typename Simd::Floats load_scales(const PackedMatrix& w, size_t index) {
  if (w.scale_type == ScaleType::f16) return Simd::load_f16(w.scales + 2 * index);
  if (w.scale_type == ScaleType::f32) return Simd::load(reinterpret_cast<const float*>(w.scales) + index);
  return Simd::broadcast(1.0f);
}

}  // namespace
}  // namespace nibble::cpu
