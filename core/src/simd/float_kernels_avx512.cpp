#include "simd/avx512_intrinsics.hpp"
#include "simd/float_kernels.hpp"
#include "simd/inline.hpp"

namespace fmapzip {
namespace {

constexpr size_t kLanes = kEnergyLanes;

struct Lanes {
  __m512 x;

  FMAPZIP_INLINE static Lanes of(float value) { return {_mm512_set1_ps(value)}; }
  FMAPZIP_INLINE static Lanes load(const float* p) { return {_mm512_loadu_ps(p)}; }
  template <bool kSigned>
  FMAPZIP_INLINE static Lanes from_bytes(const uint8_t* p) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return {_mm512_cvtepi32_ps(kSigned ? _mm512_cvtepi8_epi32(bytes) : _mm512_cvtepu8_epi32(bytes))};
  }
  FMAPZIP_INLINE void store(float* p) const { _mm512_storeu_ps(p, x); }
  FMAPZIP_INLINE Lanes clamped(Lanes low, Lanes high) const {
    return {_mm512_min_ps(_mm512_max_ps(x, low.x), high.x)};
  }
  // Returns how many are not zero.
  FMAPZIP_INLINE uint32_t put_low_bytes(uint8_t* p) const {
    const __m128i bytes = _mm512_cvtepi32_epi8(_mm512_castps_si512(x));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bytes);
    return static_cast<uint32_t>(_mm_popcnt_u32(_mm_test_epi8_mask(bytes, bytes)));
  }
  FMAPZIP_INLINE Lanes operator+(Lanes y) const { return {_mm512_add_ps(x, y.x)}; }
  FMAPZIP_INLINE Lanes operator-(Lanes y) const { return {_mm512_sub_ps(x, y.x)}; }
  FMAPZIP_INLINE Lanes operator*(Lanes y) const { return {_mm512_mul_ps(x, y.x)}; }
  FMAPZIP_INLINE Lanes operator/(Lanes y) const { return {_mm512_div_ps(x, y.x)}; }
};

#include "simd/float_kernels.inc"

}  // namespace

const FloatKernels kFloatAvx512{quantize, quantize_each, restore, restore_each, dequantize, dequantize_each};

}  // namespace fmapzip
