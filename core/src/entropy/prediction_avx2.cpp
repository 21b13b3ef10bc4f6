#include <immintrin.h>

#include "entropy/prediction.hpp"
#include "simd/inline.hpp"

namespace fmapzip {
namespace {

constexpr uint32_t kHalf = 8;  // lanes of a register; a chunk takes two

inline __m256i load(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
inline void store(void* p, __m256i x) { _mm256_storeu_si256(static_cast<__m256i*>(p), x); }

FMAPZIP_INLINE __m256i every_four(const void* p) {
  int32_t four;
  __builtin_memcpy(&four, p, 4);
  return _mm256_set1_epi32(four);
}

inline __m256i distance(__m256i a, __m256i b) {
  return _mm256_or_si256(_mm256_subs_epu8(a, b), _mm256_subs_epu8(b, a));
}

// Sums of four products of bytes with signed bytes; no pair of them exceeds 16 bits.
FMAPZIP_INLINE __m256i dot(__m256i sum, __m256i bytes, __m256i weights) {
  const __m256i pairs = _mm256_maddubs_epi16(bytes, weights);
  return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

FMAPZIP_INLINE __m256i within(__m256i x, int32_t most) {
  return _mm256_min_epi32(_mm256_max_epi32(x, _mm256_setzero_si256()), _mm256_set1_epi32(most));
}

// Numbers of 0 to 255 in 32 bits, as bytes.
FMAPZIP_INLINE void put(uint8_t* p, __m256i x) {
  const __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packus_epi16(words, words));
}

// Four rows of eight bytes as eight columns of four.
FMAPZIP_INLINE __m256i columns(const uint8_t* a, const uint8_t* b, const uint8_t* c, const uint8_t* d) {
  const auto row = [](const uint8_t* p) __attribute__((always_inline)) {
    return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
  };
  const __m128i ab = _mm_unpacklo_epi8(row(a), row(b)), cd = _mm_unpacklo_epi8(row(c), row(d));
  return _mm256_set_m128i(_mm_unpackhi_epi16(ab, cd), _mm_unpacklo_epi16(ab, cd));
}

// Of each lane of 32 bits, the bytes that four indices name.
FMAPZIP_INLINE __m256i picked(__m256i x, uint32_t indices) {
  const __m256i of_each = _mm256_set1_epi32(static_cast<int32_t>(indices));
  const __m256i lanes = _mm256_broadcastsi128_si256(_mm_setr_epi32(0, 0x04040404, 0x08080808, 0x0C0C0C0C));
  return _mm256_shuffle_epi8(x, _mm256_or_si256(of_each, lanes));
}

FMAPZIP_INLINE void half_chunk(const PredictionTables& t, const PredictionPlace& place, uint32_t at,
                               uint32_t c, __m256i added, const PredictionSteps& steps) {
  const uint8_t* const* x = place.neighbours;
  const __m256i near = columns(x[0] + c, x[1] + c, x[2] + c, x[3] + c);
  const __m256i far = columns(x[4] + c, x[5] + c, x[6] + c, x[6] + c);
  const __m256i own =
      dot(dot(load(t.offsets + c), near, load(t.near + 4 * size_t{c})), far, load(t.far + 4 * size_t{c}));
  const __m256i whole = _mm256_srai_epi32(_mm256_add_epi32(own, _mm256_set1_epi32(32)), 6);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(place.means + at),
                   _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1)));
  const __m256i mean = _mm256_add_epi32(_mm256_add_epi32(own, load(t.shifts + c)), added);
  // |W - N|, |W - NW|, |N - NW|, |N - NE|, then |W - WW|, |N - NN|.
  const __m256i close = distance(picked(near, 0x01010000), picked(near, 0x03020201));
  const __m256i wide = distance(picked(near, 0x01010100), picked(far, 0x01010100));
  __m256i sum = dot(_mm256_set1_epi32(t.distance_offset), close, every_four(t.distance_weights));
  sum = dot(sum, wide, every_four(t.distance_weights + 4));
  alignas(32) int32_t step[kHalf];
  store(step, within(_mm256_srai_epi32(sum, 8), kLogSteps - 1));
  const __m256i log = _mm256_setr_epi32(t.log[step[0]], t.log[step[1]], t.log[step[2]], t.log[step[3]],
                                        t.log[step[4]], t.log[step[5]], t.log[step[6]], t.log[step[7]]);
  const __m256i halved = _mm256_srai_epi32(mean, 5);
  const __m256i both = _mm256_or_si256(log, _mm256_slli_epi32(halved, 16));
  const __m256i spread = _mm256_add_epi32(
      _mm256_add_epi32(load(t.spread_bias + c), _mm256_set1_epi32(t.spread_of_activity * place.activity)),
      _mm256_madd_epi16(both, every_four(&t.spread_of_log)));
  const __m256i present = _mm256_min_epu8(distance(near, _mm256_set1_epi8(static_cast<char>(t.zero))),
                                          _mm256_set1_epi8(kPresent));
  __m256i zero =
      _mm256_add_epi32(load(t.zero_bias + c), _mm256_set1_epi32(t.zero_of_activity * place.activity));
  zero = dot(zero, present, every_four(t.zero_of_present));
  zero = _mm256_add_epi32(zero, _mm256_madd_epi16(both, load(t.zero_slopes + c)));
  if (t.zero_of_fold != 0) {
    const __m256i fold = _mm256_abs_epi32(_mm256_sub_epi32(halved, _mm256_set1_epi32(t.fold_origin)));
    zero = _mm256_add_epi32(zero, _mm256_mullo_epi32(fold, _mm256_set1_epi32(t.zero_of_fold)));
  }
  const __m256i moved = _mm256_add_epi32(mean, _mm256_set1_epi32(t.origin));
  put(steps.mean + at, within(_mm256_srai_epi32(moved, 8), kContextSteps - 1));
  put(steps.spread + at, within(_mm256_srai_epi32(spread, 8), kContextSteps - 1));
  put(steps.zero + at,
      within(_mm256_add_epi32(_mm256_srai_epi32(zero, 8), _mm256_set1_epi32(kZeroNumberOrigin)),
             kZeroNumbers - 1));
}

void predict(const PredictionTables& t, const PredictionPlace& place, uint32_t span,
             const PredictionSteps& steps) {
  const uint32_t first = span * t.width;
  const uint32_t count = t.channels - first < t.width ? t.channels - first : t.width;
  const uint32_t chunks = (t.width + kPredictionChunk - 1) / kPredictionChunk;
  const uint32_t groups = span == 0 ? 0 : t.rank / kPredictionGroup;
  const __m128i by = _mm_cvtsi32_si128(static_cast<int>(t.spread_shift));
  for (uint32_t at = 0; at < count; at += kPredictionChunk) {
    __m256i low = _mm256_setzero_si256(), high = low;
    if (groups != 0) {
      const size_t chunk = size_t{span} * chunks + at / kPredictionChunk;
      const int8_t* loadings = t.spread + chunk * groups * 64;
      const int32_t* corrections = t.spread_corrections + chunk * kPredictionChunk;
      low = load(corrections);
      high = load(corrections + kHalf);
      for (uint32_t k = 0; k < groups; ++k) {
        const __m256i four = every_four(place.factors + 4 * k);
        low = dot(low, four, load(loadings + 64 * k));
        high = dot(high, four, load(loadings + 64 * k + 32));
      }
      low = _mm256_sra_epi32(low, by);
      high = _mm256_sra_epi32(high, by);
    }
    half_chunk(t, place, at, first + at, low, steps);
    if (at + kHalf < count) half_chunk(t, place, at + kHalf, first + at + kHalf, high, steps);
  }
}

template <uint32_t kVectors>
FMAPZIP_INLINE void gather_in(const PredictionTables& t, PredictionPlace& place, uint32_t span) {
  const uint32_t first = span * t.width;
  alignas(32) uint8_t residuals[1024];
  alignas(32) static constexpr int16_t kInside[32] = {-1, -1, -1, -1, -1, -1, -1, -1,
                                                      -1, -1, -1, -1, -1, -1, -1, -1};
  __m256i magnitudes = _mm256_setzero_si256();
  for (uint32_t i = 0; i < t.width; i += 16) {
    const __m256i value =
        _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(place.current + first + i)));
    const __m256i moved =
        _mm256_add_epi16(_mm256_sub_epi16(value, load(place.means + i)), _mm256_set1_epi16(kSignedSeven));
    const __m256i clamped =
        _mm256_min_epi16(_mm256_max_epi16(moved, _mm256_setzero_si256()), _mm256_set1_epi16(127));
    const __m256i magnitude = _mm256_abs_epi16(_mm256_sub_epi16(clamped, _mm256_set1_epi16(kSignedSeven)));
    const __m256i inside = load(kInside + (t.width - i < 16 ? 16 - (t.width - i) : 0));
    magnitudes = _mm256_add_epi16(magnitudes, _mm256_and_si256(magnitude, inside));
    _mm_store_si128(reinterpret_cast<__m128i*>(residuals + i),
                    _mm_packus_epi16(_mm256_castsi256_si128(clamped), _mm256_extracti128_si256(clamped, 1)));
  }
  const __m128i by = _mm_cvtsi32_si128(static_cast<int>(t.gather_shift));
  __m256i sums[kVectors == 0 ? 1 : kVectors];
  for (uint32_t k = 0; k < kVectors; ++k) {
    sums[k] = _mm256_add_epi32(load(place.sums + kHalf * k),
                               load(t.gather_corrections + size_t{span} * t.rank + kHalf * k));
  }
  const int8_t* loadings = t.gather + size_t{first} * t.rank;
  for (uint32_t i = 0; i < t.width; i += 4, loadings += 32 * kVectors) {
    const __m256i four = every_four(residuals + i);
    for (uint32_t k = 0; k < kVectors; ++k) sums[k] = dot(sums[k], four, load(loadings + 32 * k));
  }
  for (uint32_t k = 0; k < kVectors; ++k) {
    store(place.sums + kHalf * k, sums[k]);
    put(place.factors + kHalf * k,
        within(_mm256_add_epi32(_mm256_sra_epi32(sums[k], by), _mm256_set1_epi32(kSignedSeven)), 127));
  }
  alignas(32) int32_t pairs[kHalf];
  store(pairs, _mm256_madd_epi16(magnitudes, _mm256_set1_epi16(1)));
  for (const int32_t pair : pairs) place.residuals += static_cast<uint32_t>(pair);
  const uint32_t activity = 4 * place.residuals / (first + t.width);
  place.activity = t.log[activity < kLogSteps ? activity : kLogSteps - 1];
}

void gather(const PredictionTables& t, PredictionPlace& place, uint32_t span) {
  switch (t.rank / 16) {
    case 0:
      return gather_in<0>(t, place, span);
    case 1:
      return gather_in<2>(t, place, span);
    case 2:
      return gather_in<4>(t, place, span);
    case 3:
      return gather_in<6>(t, place, span);
    default:
      return gather_in<8>(t, place, span);
  }
}

}  // namespace

const PredictionKernels kAvx2PredictionKernels{predict, gather};

}  // namespace fmapzip
