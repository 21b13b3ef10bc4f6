#include <immintrin.h>

#include "simd/float_kernels.hpp"
#include "simd/inline.hpp"

namespace fmapzip {
namespace {

constexpr size_t kLanes = kEnergyLanes;

struct Lanes {
  __m256 low;
  __m256 high;

  FMAPZIP_INLINE static Lanes of(float value) { return {_mm256_set1_ps(value), _mm256_set1_ps(value)}; }
  FMAPZIP_INLINE static Lanes load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
  template <bool kSigned>
  FMAPZIP_INLINE static __m256 eight(const uint8_t* p) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
    return _mm256_cvtepi32_ps(kSigned ? _mm256_cvtepi8_epi32(bytes) : _mm256_cvtepu8_epi32(bytes));
  }
  template <bool kSigned>
  FMAPZIP_INLINE static Lanes from_bytes(const uint8_t* p) {
    return {eight<kSigned>(p), eight<kSigned>(p + 8)};
  }
  FMAPZIP_INLINE void store(float* p) const {
    _mm256_storeu_ps(p, low);
    _mm256_storeu_ps(p + 8, high);
  }
  FMAPZIP_INLINE Lanes operator+(Lanes y) const {
    return {_mm256_add_ps(low, y.low), _mm256_add_ps(high, y.high)};
  }
  FMAPZIP_INLINE Lanes operator-(Lanes y) const {
    return {_mm256_sub_ps(low, y.low), _mm256_sub_ps(high, y.high)};
  }
  FMAPZIP_INLINE Lanes operator*(Lanes y) const {
    return {_mm256_mul_ps(low, y.low), _mm256_mul_ps(high, y.high)};
  }
};

#include "simd/float_kernels.inc"

}  // namespace

const FloatKernels kFloatAvx2{quantize, quantize_each, dequantize, dequantize_each};

}  // namespace fmapzip
