#include <arm_neon.h>

#include "simd/float_kernels.hpp"
#include "simd/inline.hpp"

namespace fmapzip {
namespace {

constexpr size_t kLanes = kEnergyLanes;

struct Lanes {
  float32x4_t x[4];

  template <class At>
  FMAPZIP_INLINE static Lanes each(At at) {
    return {{at(0), at(1), at(2), at(3)}};
  }
  FMAPZIP_INLINE static Lanes of(float value) {
    return each([=](int) { return vdupq_n_f32(value); });
  }
  FMAPZIP_INLINE static Lanes load(const float* p) {
    return each([=](int k) { return vld1q_f32(p + 4 * k); });
  }
  template <bool kSigned>
  FMAPZIP_INLINE static Lanes from_bytes(const uint8_t* p) {
    const uint8x16_t bytes = vld1q_u8(p);
    if constexpr (kSigned) {
      const int8x16_t b = vreinterpretq_s8_u8(bytes);
      const int16x8_t low = vmovl_s8(vget_low_s8(b)), high = vmovl_high_s8(b);
      return {{vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))), vcvtq_f32_s32(vmovl_high_s16(low)),
               vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))), vcvtq_f32_s32(vmovl_high_s16(high))}};
    } else {
      const uint16x8_t low = vmovl_u8(vget_low_u8(bytes)), high = vmovl_high_u8(bytes);
      return {{vcvtq_f32_u32(vmovl_u16(vget_low_u16(low))), vcvtq_f32_u32(vmovl_high_u16(low)),
               vcvtq_f32_u32(vmovl_u16(vget_low_u16(high))), vcvtq_f32_u32(vmovl_high_u16(high))}};
    }
  }
  FMAPZIP_INLINE void store(float* p) const {
    for (int k = 0; k < 4; ++k) vst1q_f32(p + 4 * k, x[k]);
  }
  FMAPZIP_INLINE Lanes clamped(const Lanes& low, const Lanes& high) const {
    return each([&](int k) { return vminq_f32(vmaxq_f32(x[k], low.x[k]), high.x[k]); });
  }
  // Returns how many are not zero.
  FMAPZIP_INLINE uint32_t put_low_bytes(uint8_t* p) const {
    const auto words = [&](int k) {
      return vreinterpretq_u8_u16(vuzp1q_u16(vreinterpretq_u16_f32(x[k]), vreinterpretq_u16_f32(x[k + 1])));
    };
    const uint8x16_t bytes = vuzp1q_u8(words(0), words(2));
    vst1q_u8(p, bytes);
    return vaddvq_u8(vminq_u8(bytes, vdupq_n_u8(1)));
  }
  FMAPZIP_INLINE Lanes operator+(const Lanes& y) const {
    return each([&](int k) { return vaddq_f32(x[k], y.x[k]); });
  }
  FMAPZIP_INLINE Lanes operator-(const Lanes& y) const {
    return each([&](int k) { return vsubq_f32(x[k], y.x[k]); });
  }
  FMAPZIP_INLINE Lanes operator*(const Lanes& y) const {
    return each([&](int k) { return vmulq_f32(x[k], y.x[k]); });
  }
  FMAPZIP_INLINE Lanes operator/(const Lanes& y) const {
    return each([&](int k) { return vdivq_f32(x[k], y.x[k]); });
  }
};

#include "simd/float_kernels.inc"

}  // namespace

const FloatKernels kFloatNeon{quantize, quantize_each, restore, restore_each, dequantize, dequantize_each};

}  // namespace fmapzip
