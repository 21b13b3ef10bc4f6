#include <arm_neon.h>

#include "simd/dct_cm_kernels.hpp"
#include "simd/inline.hpp"

namespace fmapzip {
namespace {

// The inverse transform takes 32 bits: its sums wrap for coefficients that no encoder writes.
constexpr unsigned kLanes = 4;
typedef uint32_t Vec __attribute__((vector_size(kLanes * 4)));
typedef int32_t SignedVec __attribute__((vector_size(kLanes * 4)));

// The forward one takes 16: each of its steps is orthogonal but for its scale, so that no sum exceeds 128 *
// 255 by more than roundings.
constexpr unsigned kForwardLanes = 8;
typedef uint16_t ForwardVec __attribute__((vector_size(kForwardLanes * 2)));

#include "simd/dct_cm_fill.inc"
#include "simd/shuffles_neon.inc"
#include "transform/angles.inc"
#include "transform/angles_rotate.inc"

// a c + b s, to the nearest of 2^13ths.
FMAPZIP_INLINE ForwardVec weighted(int16x8_t a, int16x8_t b, int16x4_t weights) {
  int32x4_t low = vmull_lane_s16(vget_low_s16(a), weights, 0);
  int32x4_t high = vmull_high_lane_s16(a, weights, 0);
  low = vmlal_lane_s16(low, vget_low_s16(b), weights, 1);
  high = vmlal_high_lane_s16(high, b, weights, 1);
  return (ForwardVec)vrshrn_high_n_s32(vrshrn_n_s32(low, kFraction), high, kFraction);
}

// The same of a c - b s.
FMAPZIP_INLINE ForwardVec weighted_less(int16x8_t a, int16x8_t b, int16x4_t weights) {
  int32x4_t low = vmull_lane_s16(vget_low_s16(a), weights, 0);
  int32x4_t high = vmull_high_lane_s16(a, weights, 0);
  low = vmlsl_lane_s16(low, vget_low_s16(b), weights, 1);
  high = vmlsl_high_lane_s16(high, b, weights, 1);
  return (ForwardVec)vrshrn_high_n_s32(vrshrn_n_s32(low, kFraction), high, kFraction);
}

FMAPZIP_INLINE void rotate(Rotation r, ForwardVec& a, ForwardVec& b) {
  const int16x4_t weights = {static_cast<int16_t>(r.cosine), static_cast<int16_t>(r.sine), 0, 0};
  const auto x = (int16x8_t)a, y = (int16x8_t)b;
  a = weighted(x, y, weights);
  b = weighted_less(y, x, weights);
}

FMAPZIP_INLINE ForwardVec times_sqrt2(ForwardVec x) {
  const auto y = (int16x8_t)x;
  const int32x4_t low = vmull_n_s16(vget_low_s16(y), kSqrt2), high = vmull_high_n_s16(y, kSqrt2);
  return (ForwardVec)vrshrn_high_n_s32(vrshrn_n_s32(low, kFraction), high, kFraction);
}

#include "transform/dct.inc"

FMAPZIP_INLINE ForwardVec load_u8(const uint8_t* p) { return (ForwardVec)vmovl_u8(vld1_u8(p)); }
FMAPZIP_INLINE ForwardVec load_i8(const uint8_t* p) {
  return (ForwardVec)vmovl_s8(vreinterpret_s8_u8(vld1_u8(p)));
}

// Values from -below to 255 - below.
FMAPZIP_INLINE ForwardVec load_from(const uint8_t* p, unsigned below) {
  const uint8x8_t offset = vdup_n_u8(static_cast<uint8_t>(below));
  return (ForwardVec)vsubl_u8(vadd_u8(vld1_u8(p), offset), offset);
}

FMAPZIP_INLINE void store_u16(uint16_t* p, ForwardVec x) { vst1q_u16(p, (uint16x8_t)x); }

// The reciprocals less 1, so that that of 1 fits too, as bytes to look up.
struct FillBytes {
  alignas(16) uint8_t low[48], high[48];
};

constexpr FillBytes make_fill_bytes() {
  FillBytes bytes{};
  for (unsigned c = 1; c <= kMaxGroup; ++c) {
    bytes.low[c] = static_cast<uint8_t>(kFill.of[c] - 1);
    bytes.high[c] = static_cast<uint8_t>((kFill.of[c] - 1) >> 8);
  }
  return bytes;
}

constexpr FillBytes kFillBytes = make_fill_bytes();

FMAPZIP_INLINE uint8x8_t look_up_fill(const uint8_t* table, uint8x8_t count) {
  return vqtbl3_u8({vld1q_u8(table), vld1q_u8(table + 16), vld1q_u8(table + 32)}, count);
}

// Replaces zeros of `x` by the mean of the others.
FMAPZIP_INLINE FMAPZIP_UNCHECKED void fill_zeros(ForwardVec* x, unsigned channels) {
  ForwardVec sum{}, count{};
  for (unsigned j = 0; j < channels; ++j) {
    sum += x[j];
    count -= (ForwardVec)(x[j] != 0);
  }
  const uint8x8_t index = vmovn_u16((uint16x8_t)count);
  const uint8x8_t low = look_up_fill(kFillBytes.low, index), high = look_up_fill(kFillBytes.high, index);
  const uint16x8_t reciprocal = vreinterpretq_u16_u8(vcombine_u8(vzip1_u8(low, high), vzip2_u8(low, high)));
  const auto mean_of = [](int16x4_t sums, uint16x4_t less_one) {
    const int32x4_t wide = vmovl_s16(sums);
    return vrshrn_n_s32(vmlaq_s32(wide, wide, vreinterpretq_s32_u32(vmovl_u16(less_one))),
                        kFillReciprocalBits);
  };
  const auto sums = (int16x8_t)sum;
  const auto mean = (ForwardVec)vcombine_s16(mean_of(vget_low_s16(sums), vget_low_u16(reciprocal)),
                                             mean_of(vget_high_s16(sums), vget_high_u16(reciprocal)));
  for (unsigned j = 0; j < channels; ++j) x[j] |= mean & (ForwardVec)(x[j] == 0);
}

// 0, 1, -1, 2, -2 ... -> 0, 1, 2, 3, 4 ... of the quantized coefficient.
FMAPZIP_INLINE ForwardVec quantize(ForwardVec y, const FrequencyStep& f) {
  const auto coefficient = (int16x8_t)y;
  const uint16x8_t magnitude = vreinterpretq_u16_s16(vabsq_s16(coefficient));
  const uint16x4_t half = vdup_n_u16(static_cast<uint16_t>(f.half));
  const int32x4_t shift = vdupq_n_s32(-static_cast<int32_t>(f.shift));
  const uint32x4_t low =
      vshlq_u32(vmulq_n_u32(vaddl_u16(vget_low_u16(magnitude), half), f.reciprocal), shift);
  const uint32x4_t high =
      vshlq_u32(vmulq_n_u32(vaddl_high_u16(magnitude, vcombine_u16(half, half)), f.reciprocal), shift);
  const uint16x8_t index = vuzp1q_u16(vreinterpretq_u16_u32(low), vreinterpretq_u16_u32(high));
  const uint16x8_t negative = vreinterpretq_u16_s16(vshrq_n_s16(coefficient, 15));
  return (ForwardVec)vqsubq_u16(vsubq_u16(vshlq_n_u16(index, 1), negative), vdupq_n_u16(1));
}

FMAPZIP_INLINE Vec load_coefficients(const uint16_t* codes, const FrequencyStep& f) {
  constexpr int32_t kMaxCoefficient = 40960;
  const uint16x4_t code = vld1_u16(codes);
  const uint16x4_t negated = veor_u16(vshr_n_u16(code, 1), vtst_u16(code, vdup_n_u16(1)));
  const int32x4_t y = vmull_n_s16(vreinterpret_s16_u16(negated), static_cast<int16_t>(-f.step));
  return (Vec)vminq_s32(vmaxq_s32(y, vdupq_n_s32(-kMaxCoefficient)), vdupq_n_s32(kMaxCoefficient));
}

struct Bounds {
  int16x4_t low, high;
};

FMAPZIP_INLINE Bounds make_bounds(int32_t low, int32_t high) {
  return {vdup_n_s16(static_cast<int16_t>(low)), vdup_n_s16(static_cast<int16_t>(high))};
}

// Of 128 times the values.
FMAPZIP_INLINE void store_values(uint8_t* p, Vec x, const Bounds& bounds) {
  const int16x4_t y = vmin_s16(vmax_s16(vqshrn_n_s32((int32x4_t)x, 7), bounds.low), bounds.high);
  const uint8x8_t bytes = vreinterpret_u8_s16(y);
  vst1_lane_u32(reinterpret_cast<uint32_t*>(p), vreinterpret_u32_u8(vuzp1_u8(bytes, bytes)), 0);
}

FMAPZIP_INLINE void load_row(const uint8_t* p, uint8x16_t x[4]) {
  for (unsigned k = 0; k < 4; ++k) x[k] = vld1q_u8(p + 16 * k);
}

FMAPZIP_INLINE void store_row(uint8_t* p, const uint8x16_t x[4]) {
  for (unsigned k = 0; k < 4; ++k) vst1q_u8(p + 16 * k, x[k]);
}

FMAPZIP_INLINE void copy_row(const uint8_t* src, unsigned n, uint8_t* dst) {
  if (n < kBlock) __builtin_memset(dst, 0, kBlock);
  __builtin_memcpy(dst, src, n);
}

FMAPZIP_INLINE void copy_back(const uint8_t* src, unsigned n, uint8_t* dst) {
  if (n == kBlock) {
    __builtin_memcpy(dst, src, kBlock);
  } else {
    __builtin_memcpy(dst, src, n);
  }
}

FMAPZIP_INLINE uint64_t nonzero(const uint8_t* row) {
  uint8x16_t x[4];
  load_row(row, x);
  return nonzero_mask(x);
}

// 255 in each byte whose bit is set.
FMAPZIP_INLINE void bytes_of(uint64_t mask, uint8x16_t x[4]) {
  const uint8x16_t bit = vreinterpretq_u8_u64(vdupq_n_u64(kBitOfByte));
  const uint8x16_t bytes = vreinterpretq_u8_u64(vdupq_n_u64(mask));
  const uint8x16_t first = vcombine_u8(vcreate_u8(0), vcreate_u8(kEachByte));
  for (unsigned k = 0; k < 4; ++k) {
    const uint8x16_t at = vaddq_u8(first, vdupq_n_u8(static_cast<uint8_t>(2 * k)));
    x[k] = vtstq_u8(vqtbl1q_u8(bytes, at), bit);
  }
}

FMAPZIP_INLINE void keep_only(uint8_t* row, uint64_t mask) {
  uint8x16_t kept[4], x[4];
  bytes_of(mask, kept);
  load_row(row, x);
  for (unsigned k = 0; k < 4; ++k) x[k] = vandq_u8(x[k], kept[k]);
  store_row(row, x);
}

#include "simd/dct_cm_splits.inc"
#include "simd/dct_cm_stream.inc"
#include "simd/dct_cm_transform.inc"

FMAPZIP_INLINE unsigned popcount(uint64_t x) { return vaddv_u8(vcnt_u8(vcreate_u8(x))); }

#include "simd/dct_cm_block_codes_neon.inc"
#include "simd/dct_cm_blocks.inc"
#include "simd/dct_cm_read_neon.inc"

}  // namespace

const DctCmKernels kDctCmNeon{analyse,      synthesise, write_blocks, write_mask,
                              write_values, read_block, read_mask,    read_values};

}  // namespace fmapzip
