#include <immintrin.h>

#include "entropy/alphabet.hpp"
#include "entropy/prediction_head.hpp"
#include "simd/inline.hpp"

namespace fmapzip {
namespace {

constexpr uint32_t kVectorLanes = 8;

struct Vector {
  __m256i x;
};

FMAPZIP_INLINE Vector operator+(Vector a, Vector b) { return {_mm256_add_epi32(a.x, b.x)}; }
FMAPZIP_INLINE Vector operator-(Vector a, Vector b) { return {_mm256_sub_epi32(a.x, b.x)}; }
FMAPZIP_INLINE Vector operator|(Vector a, Vector b) { return {_mm256_or_si256(a.x, b.x)}; }
FMAPZIP_INLINE Vector operator&(Vector a, Vector b) { return {_mm256_and_si256(a.x, b.x)}; }
FMAPZIP_INLINE Vector load(const void* p) { return {_mm256_loadu_si256(static_cast<const __m256i*>(p))}; }
FMAPZIP_INLINE Vector splat(int32_t x) { return {_mm256_set1_epi32(x)}; }
FMAPZIP_INLINE Vector smaller(Vector a, Vector b) { return {_mm256_min_epi32(a.x, b.x)}; }
FMAPZIP_INLINE Vector larger(Vector a, Vector b) { return {_mm256_max_epi32(a.x, b.x)}; }
FMAPZIP_INLINE Vector times(Vector a, Vector b) { return {_mm256_mullo_epi32(a.x, b.x)}; }
FMAPZIP_INLINE Vector magnitude(Vector a) { return {_mm256_abs_epi32(a.x)}; }
FMAPZIP_INLINE Vector plus_bytes(Vector a, Vector b) { return {_mm256_adds_epu8(a.x, b.x)}; }
FMAPZIP_INLINE Vector minus_bytes(Vector a, Vector b) { return {_mm256_subs_epu8(a.x, b.x)}; }
FMAPZIP_INLINE Vector smaller_bytes(Vector a, Vector b) { return {_mm256_min_epu8(a.x, b.x)}; }
FMAPZIP_INLINE Vector distance(Vector a, Vector b) { return minus_bytes(a, b) | minus_bytes(b, a); }
template <int kBits>
FMAPZIP_INLINE Vector shifted_by(Vector a) {
  return {_mm256_srai_epi32(a.x, kBits)};
}
template <int kBits>
FMAPZIP_INLINE Vector raised(Vector a) {
  return {_mm256_slli_epi32(a.x, kBits)};
}
FMAPZIP_INLINE Vector shifted(Vector a, uint32_t bits) {
  return {_mm256_sra_epi32(a.x, _mm_cvtsi32_si128(static_cast<int>(bits)))};
}

FMAPZIP_INLINE Vector every_four(const void* p) {
  int32_t four;
  __builtin_memcpy(&four, p, 4);
  return splat(four);
}

// Sums of four products of bytes with signed bytes; no pair of them exceeds 16 bits.
FMAPZIP_INLINE Vector dot(Vector sum, Vector bytes, Vector weights) {
  const __m256i pairs = _mm256_maddubs_epi16(bytes.x, weights.x);
  return {_mm256_add_epi32(sum.x, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))};
}

FMAPZIP_INLINE Vector dot_any(Vector sum, Vector bytes, Vector weights) { return dot(sum, bytes, weights); }

// of(i) for the i-th four lanes.
template <class Of>
FMAPZIP_INLINE Vector by_fours(Of of) {
  return {_mm256_set_m128i(_mm_set1_epi32(of(1)), _mm_set1_epi32(of(0)))};
}

// Of each lane of 32 bits, the bytes that four indices name.
FMAPZIP_INLINE Vector picked(Vector x, uint32_t indices) {
  const __m256i of_each = _mm256_set1_epi32(static_cast<int32_t>(indices));
  const __m256i lanes = _mm256_broadcastsi128_si256(_mm_setr_epi32(0, 0x04040404, 0x08080808, 0x0C0C0C0C));
  return {_mm256_shuffle_epi8(x.x, _mm256_or_si256(of_each, lanes))};
}
FMAPZIP_INLINE Vector every_byte(Vector x) { return picked(x, 0); }

// Rows of bytes as columns of four.
FMAPZIP_INLINE Vector columns(const uint8_t* a, const uint8_t* b, const uint8_t* c, const uint8_t* d) {
  const auto row = [](const uint8_t* p) __attribute__((always_inline)) {
    return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
  };
  const __m128i ab = _mm_unpacklo_epi8(row(a), row(b)), cd = _mm_unpacklo_epi8(row(c), row(d));
  return {_mm256_set_m128i(_mm_unpackhi_epi16(ab, cd), _mm_unpacklo_epi16(ab, cd))};
}

FMAPZIP_INLINE Vector logarithm(const PredictionTables& t, Vector steps) {
  alignas(32) int32_t place[kVectorLanes];
  _mm256_store_si256(reinterpret_cast<__m256i*>(place), steps.x);
  return {_mm256_setr_epi32(t.log[place[0]], t.log[place[1]], t.log[place[2]], t.log[place[3]],
                            t.log[place[4]], t.log[place[5]], t.log[place[6]], t.log[place[7]])};
}

FMAPZIP_INLINE Vector bytes(const uint8_t* p) {
  return {_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)))};
}
FMAPZIP_INLINE Vector words(const void* p) {
  return {_mm256_cvtepu16_epi32(_mm_loadu_si128(static_cast<const __m128i*>(p)))};
}
FMAPZIP_INLINE Vector signed_words(const int16_t* p) {
  return {_mm256_cvtepi16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
}

// Lanes that are bytes, or fit 16 bits.
FMAPZIP_INLINE void put_words(int16_t* p, Vector x) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                   _mm_packs_epi32(_mm256_castsi256_si128(x.x), _mm256_extracti128_si256(x.x, 1)));
}
FMAPZIP_INLINE void put(uint8_t* p, Vector x) {
  const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(x.x), _mm256_extracti128_si256(x.x, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packus_epi16(words, words));
}

#include "entropy/prediction_head.inc"

}  // namespace

const HeadKernels kAvx2HeadKernels{predict, find_errors};

}  // namespace fmapzip
