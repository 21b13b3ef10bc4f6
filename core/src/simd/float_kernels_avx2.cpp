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
  FMAPZIP_INLINE Lanes clamped(Lanes least, Lanes most) const {
    return {_mm256_min_ps(_mm256_max_ps(low, least.low), most.low),
            _mm256_min_ps(_mm256_max_ps(high, least.high), most.high)};
  }
  // Returns how many are not zero.
  FMAPZIP_INLINE uint32_t put_low_bytes(uint8_t* p) const {
    const __m256i byte = _mm256_set1_epi32(0xFF);
    const __m256i words = _mm256_packus_epi32(_mm256_and_si256(_mm256_castps_si256(low), byte),
                                              _mm256_and_si256(_mm256_castps_si256(high), byte));
    const __m256i joined = _mm256_permute4x64_epi64(words, 0xD8);
    const __m128i bytes =
        _mm_packus_epi16(_mm256_castsi256_si128(joined), _mm256_extracti128_si256(joined, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bytes);
    const auto zeros = static_cast<uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_setzero_si128())));
    return static_cast<uint32_t>(kLanes) - static_cast<uint32_t>(_mm_popcnt_u32(zeros));
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
  FMAPZIP_INLINE Lanes operator/(Lanes y) const {
    return {_mm256_div_ps(low, y.low), _mm256_div_ps(high, y.high)};
  }
};

#include "simd/float_kernels.inc"

}  // namespace

const FloatKernels kFloatAvx2{quantize, quantize_each, restore, restore_each, dequantize, dequantize_each};

}  // namespace fmapzip
