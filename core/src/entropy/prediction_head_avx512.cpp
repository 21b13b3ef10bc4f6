#include "entropy/alphabet.hpp"
#include "entropy/prediction_head.hpp"
#include "simd/avx512_intrinsics.hpp"
#include "simd/inline.hpp"

namespace fmapzip {
namespace {

constexpr uint32_t kVectorLanes = 16;

struct Vector {
  __m512i x;
};

FMAPZIP_INLINE Vector operator+(Vector a, Vector b) { return {_mm512_add_epi32(a.x, b.x)}; }
FMAPZIP_INLINE Vector operator-(Vector a, Vector b) { return {_mm512_sub_epi32(a.x, b.x)}; }
FMAPZIP_INLINE Vector operator|(Vector a, Vector b) { return {_mm512_or_si512(a.x, b.x)}; }
FMAPZIP_INLINE Vector operator&(Vector a, Vector b) { return {_mm512_and_si512(a.x, b.x)}; }
FMAPZIP_INLINE Vector load(const void* p) { return {_mm512_loadu_si512(p)}; }
FMAPZIP_INLINE Vector splat(int32_t x) { return {_mm512_set1_epi32(x)}; }
FMAPZIP_INLINE Vector smaller(Vector a, Vector b) { return {_mm512_min_epi32(a.x, b.x)}; }
FMAPZIP_INLINE Vector larger(Vector a, Vector b) { return {_mm512_max_epi32(a.x, b.x)}; }
FMAPZIP_INLINE Vector times(Vector a, Vector b) { return {_mm512_mullo_epi32(a.x, b.x)}; }
FMAPZIP_INLINE Vector magnitude(Vector a) { return {_mm512_abs_epi32(a.x)}; }
FMAPZIP_INLINE Vector plus_bytes(Vector a, Vector b) { return {_mm512_adds_epu8(a.x, b.x)}; }
FMAPZIP_INLINE Vector minus_bytes(Vector a, Vector b) { return {_mm512_subs_epu8(a.x, b.x)}; }
FMAPZIP_INLINE Vector smaller_bytes(Vector a, Vector b) { return {_mm512_min_epu8(a.x, b.x)}; }
FMAPZIP_INLINE Vector distance(Vector a, Vector b) { return minus_bytes(a, b) | minus_bytes(b, a); }
template <int kBits>
FMAPZIP_INLINE Vector shifted_by(Vector a) {
  return {_mm512_srai_epi32(a.x, kBits)};
}
template <int kBits>
FMAPZIP_INLINE Vector raised(Vector a) {
  return {_mm512_slli_epi32(a.x, kBits)};
}
FMAPZIP_INLINE Vector shifted(Vector a, uint32_t bits) {
  return {_mm512_sra_epi32(a.x, _mm_cvtsi32_si128(static_cast<int>(bits)))};
}

FMAPZIP_INLINE Vector every_four(const void* p) {
  int32_t four;
  __builtin_memcpy(&four, p, 4);
  return splat(four);
}

// Sums of four products of bytes with signed bytes.
FMAPZIP_INLINE Vector dot(Vector sum, Vector bytes, Vector weights) {
  return {_mm512_dpbusd_epi32(sum.x, bytes.x, weights.x)};
}

FMAPZIP_INLINE Vector dot_any(Vector sum, Vector bytes, Vector weights) { return dot(sum, bytes, weights); }

// of(i) for the i-th four lanes.
template <class Of>
FMAPZIP_INLINE Vector by_fours(Of of) {
  const __m256i low = _mm256_set_m128i(_mm_set1_epi32(of(1)), _mm_set1_epi32(of(0)));
  const __m256i high = _mm256_set_m128i(_mm_set1_epi32(of(3)), _mm_set1_epi32(of(2)));
  return {_mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1)};
}

// Of each lane of 32 bits, the bytes that four indices name.
FMAPZIP_INLINE Vector picked(Vector x, uint32_t indices) {
  const __m512i of_each = _mm512_set1_epi32(static_cast<int32_t>(indices));
  const __m512i lanes = _mm512_broadcast_i32x4(_mm_setr_epi32(0, 0x04040404, 0x08080808, 0x0C0C0C0C));
  return {_mm512_shuffle_epi8(x.x, _mm512_or_si512(of_each, lanes))};
}
FMAPZIP_INLINE Vector every_byte(Vector x) { return picked(x, 0); }

// Rows of bytes as columns of four.
FMAPZIP_INLINE Vector columns(const uint8_t* a, const uint8_t* b, const uint8_t* c, const uint8_t* d) {
  const auto row = [](const uint8_t* p) __attribute__((always_inline)) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  };
  const __m128i ab = _mm_unpacklo_epi8(row(a), row(b)), cd = _mm_unpacklo_epi8(row(c), row(d));
  const __m128i ab2 = _mm_unpackhi_epi8(row(a), row(b)), cd2 = _mm_unpackhi_epi8(row(c), row(d));
  const __m256i low = _mm256_set_m128i(_mm_unpackhi_epi16(ab, cd), _mm_unpacklo_epi16(ab, cd));
  const __m256i high = _mm256_set_m128i(_mm_unpackhi_epi16(ab2, cd2), _mm_unpacklo_epi16(ab2, cd2));
  return {_mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1)};
}

FMAPZIP_INLINE Vector logarithm(const PredictionTables& t, Vector steps) {
  return {_mm512_maskz_permutex2var_epi8(0x1111111111111111, load(t.log).x, steps.x, load(t.log + 64).x)};
}

FMAPZIP_INLINE Vector bytes(const uint8_t* p) {
  return {_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
}
FMAPZIP_INLINE Vector words(const void* p) {
  return {_mm512_cvtepu16_epi32(_mm256_loadu_si256(static_cast<const __m256i*>(p)))};
}
FMAPZIP_INLINE Vector signed_words(const int16_t* p) {
  return {_mm512_cvtepi16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}

// Lanes that are bytes, or fit 16 bits.
FMAPZIP_INLINE void put(uint8_t* p, Vector x) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(x.x));
}
FMAPZIP_INLINE void put_words(int16_t* p, Vector x) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(x.x));
}

#include "entropy/prediction_head.inc"

}  // namespace

const HeadKernels kAvx512HeadKernels{predict, find_errors};

}  // namespace fmapzip
