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

// Of eight numbers, those below 0 as 0 and those above `most` as that.
FMAPZIP_INLINE void put(uint8_t* p, __m256i x, int8_t most) {
  const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p),
                   _mm_min_epu8(_mm_packus_epi16(words, words), _mm_set1_epi8(most)));
}

// Four channels in a row are of one span: what `of` says of the spans of eight.
template <class Of>
FMAPZIP_INLINE __m256i by_span(const uint8_t* spans, Of of) {
  if (spans[0] == spans[1]) return _mm256_set1_epi32(of(spans[0]));
  return _mm256_set_m128i(_mm_set1_epi32(of(spans[1])), _mm_set1_epi32(of(spans[0])));
}

FMAPZIP_INLINE int32_t four_of(const uint8_t* p) {
  int32_t four;
  __builtin_memcpy(&four, p, 4);
  return four;
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

// What factors say of means.
void project(const PredictionTables& t, const PredictionStep& step) {
  const __m128i by = _mm_cvtsi32_si128(static_cast<int>(t.spread_shift));
  const uint32_t groups = t.rank / kPredictionGroup;
  for (uint32_t c = step.first / kHalf * kHalf; c < step.end; c += kHalf) {
    const uint8_t* spans = t.span_of + c / kPredictionGroup;
    if (spans[1] == 0) {
      store(step.projected + c, _mm256_setzero_si256());
      continue;
    }
    const int8_t* loadings =
        t.spread + size_t{c / kPredictionChunk} * groups * 64 + 4 * (c % kPredictionChunk);
    const uint8_t* factors = step.places[spans[0]]->factors;
    __m256i sum = load(t.spread_corrections + c), other = _mm256_setzero_si256();
    if (spans[0] == spans[1]) {
      for (uint32_t k = 0; k < groups; k += 2) {
        sum = dot(sum, every_four(factors + 4 * k), load(loadings + 64 * k));
        other = dot(other, every_four(factors + 4 * k + 4), load(loadings + 64 * k + 64));
      }
    } else {
      const uint8_t* others = step.places[spans[1]]->factors;
      for (uint32_t k = 0; k < groups; ++k) {
        const __m256i four = _mm256_set_m128i(_mm_set1_epi32(four_of(others + 4 * k)),
                                              _mm_set1_epi32(four_of(factors + 4 * k)));
        sum = dot(sum, four, load(loadings + 64 * k));
      }
    }
    store(step.projected + c, _mm256_sra_epi32(_mm256_add_epi32(sum, other), by));
  }
}

FMAPZIP_INLINE void half_chunk(const PredictionTables& t, const PredictionStep& step, uint32_t c) {
  const uint8_t* const* x = step.neighbours;
  const __m256i near = columns(x[0] + c, x[1] + c, x[2] + c, x[3] + c);
  const __m256i far = columns(x[4] + c, x[5] + c, x[6] + c, x[6] + c);
  const __m256i own =
      dot(dot(load(t.offsets + c), near, load(t.near + 4 * size_t{c})), far, load(t.far + 4 * size_t{c}));
  const __m256i whole =
      _mm256_srai_epi32(_mm256_add_epi32(own, _mm256_set1_epi32(32 - 64 * kSignedSeven)), 6);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(step.means + c),
                   _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1)));
  __m256i mean = _mm256_add_epi32(own, load(t.shifts + c));
  if (t.rank != 0) mean = _mm256_add_epi32(mean, load(step.projected + c));
  // |W - N|, |W - NW|, |N - NW|, |N - NE|, then |W - WW|, |N - NN|.
  const __m256i close = distance(picked(near, 0x01010000), picked(near, 0x03020201));
  const __m256i wide = distance(picked(near, 0x01010100), picked(far, 0x01010100));
  __m256i sum = dot(_mm256_set1_epi32(t.distance_offset), close, every_four(t.distance_weights));
  sum = dot(sum, wide, every_four(t.distance_weights + 4));
  alignas(32) int32_t place[kHalf];
  store(place, within(_mm256_srai_epi32(sum, 8), kLogSteps - 1));
  const __m256i log = _mm256_setr_epi32(t.log[place[0]], t.log[place[1]], t.log[place[2]], t.log[place[3]],
                                        t.log[place[4]], t.log[place[5]], t.log[place[6]], t.log[place[7]]);
  const __m256i halved = _mm256_srai_epi32(mean, 5);
  const __m256i both = _mm256_or_si256(log, _mm256_slli_epi32(halved, 16));
  // In 16 bits, beside nothing.
  const __m256i activity =
      by_span(t.span_of + c / kPredictionGroup,
              [&](uint32_t span) __attribute__((always_inline)) { return step.places[span]->activity; });
  const __m256i of_activity = _mm256_madd_epi16(activity, _mm256_set1_epi32(uint16_t(t.spread_of_activity)));
  const __m256i spread = _mm256_add_epi32(_mm256_add_epi32(load(t.spread_bias + c), of_activity),
                                          _mm256_madd_epi16(both, every_four(&t.spread_of_log)));
  const __m256i far_from_zero =
      t.zero == 0 ? near : distance(near, _mm256_set1_epi8(static_cast<char>(t.zero)));
  const __m256i present = _mm256_min_epu8(far_from_zero, _mm256_set1_epi8(kPresent));
  __m256i zero = _mm256_add_epi32(
      load(t.zero_bias + c), _mm256_madd_epi16(activity, _mm256_set1_epi32(uint16_t(t.zero_of_activity))));
  zero = dot(zero, present, every_four(t.zero_of_present));
  zero = _mm256_add_epi32(zero, _mm256_madd_epi16(both, load(t.zero_slopes + c)));
  if (t.zero_of_fold != 0) {
    const __m256i fold = _mm256_abs_epi32(_mm256_sub_epi32(halved, _mm256_set1_epi32(t.fold_origin)));
    zero = _mm256_add_epi32(zero, _mm256_mullo_epi32(fold, _mm256_set1_epi32(t.zero_of_fold)));
  }
  const __m256i moved = _mm256_add_epi32(mean, _mm256_set1_epi32(t.origin));
  put(step.context.mean + c, _mm256_srai_epi32(moved, 8), kContextSteps - 1);
  put(step.context.spread + c, _mm256_srai_epi32(spread, 8), kContextSteps - 1);
  put(step.context.zero + c,
      _mm256_add_epi32(_mm256_srai_epi32(zero, 8), _mm256_set1_epi32(kZeroNumberOrigin)), kZeroNumbers - 1);
}

void predict(const PredictionTables& t, const PredictionStep& step) {
  if (t.rank != 0) project(t, step);
  for (uint32_t c = step.first / kHalf * kHalf; c < step.end; c += kHalf) half_chunk(t, step, c);
}

// What values of a step differ from their means by.
FMAPZIP_INLINE void find_residuals(const PredictionStep& step, uint32_t end) {
  const auto half = [&](uint32_t c) __attribute__((always_inline)) {
    const __m256i value =
        _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(step.current + c)));
    return _mm256_sub_epi16(value, load(step.means + c));
  };
  for (uint32_t c = step.first; c < end; c += 32) {
    const __m256i bytes =
        _mm256_permute4x64_epi64(_mm256_packus_epi16(half(c), half(c + 16)), _MM_SHUFFLE(3, 1, 2, 0));
    store(step.residuals + c, _mm256_min_epu8(bytes, _mm256_set1_epi8(2 * kSignedSeven - 1)));
  }
}

// Of a span, a multiple of four.
FMAPZIP_INLINE uint32_t magnitude(const uint8_t* residuals, uint32_t width) {
  alignas(16) static constexpr int8_t kInside[32] = {-1, -1, -1, -1, -1, -1, -1, -1,
                                                     -1, -1, -1, -1, -1, -1, -1, -1};
  __m128i sum = _mm_setzero_si128();
  for (uint32_t i = 0; i < width; i += 16) {
    const __m128i inside =
        _mm_loadu_si128(reinterpret_cast<const __m128i*>(kInside + (width - i < 16 ? 16 - (width - i) : 0)));
    const __m128i some = _mm_loadu_si128(reinterpret_cast<const __m128i*>(residuals + i));
    sum = _mm_add_epi64(
        sum, _mm_sad_epu8(_mm_and_si128(some, inside), _mm_and_si128(_mm_set1_epi8(kSignedSeven), inside)));
  }
  return static_cast<uint32_t>(_mm_cvtsi128_si32(sum) + _mm_extract_epi32(sum, 2));
}

template <uint32_t kVectors>
FMAPZIP_INLINE void gather_in(const PredictionTables& t, const PredictionStep& step) {
  const uint32_t last = t.gathered;
  const uint32_t end = step.end < last ? step.end : last;
  find_residuals(step, end);
  const __m128i by = _mm_cvtsi32_si128(static_cast<int>(t.gather_shift));
  for (uint32_t first = step.first; first < end; first += t.width) {
    const uint32_t span = t.span_of[first / kPredictionGroup];
    PredictionPlace& place = *step.places[span];
    __m256i sums[kVectors == 0 ? 1 : kVectors];
    for (uint32_t k = 0; k < kVectors; ++k) {
      sums[k] = _mm256_add_epi32(load(place.sums + kHalf * k),
                                 load(t.gather_corrections + size_t{span} * t.rank + kHalf * k));
    }
    const int8_t* loadings = t.gather + size_t{first} * t.rank;
    for (uint32_t c = first; c < first + t.width; c += 4, loadings += 32 * kVectors) {
      const __m256i four = every_four(step.residuals + c);
      for (uint32_t k = 0; k < kVectors; ++k) sums[k] = dot(sums[k], four, load(loadings + 32 * k));
    }
    for (uint32_t k = 0; k < kVectors; ++k) {
      store(place.sums + kHalf * k, sums[k]);
      put(place.factors + kHalf * k,
          _mm256_add_epi32(_mm256_sra_epi32(sums[k], by), _mm256_set1_epi32(kSignedSeven)),
          2 * kSignedSeven - 1);
    }
    place.residuals += magnitude(step.residuals + first, t.width);
    const uint64_t activity = 4 * place.residuals * t.channels_until[span] >> kReciprocalBits;
    place.activity = t.log[activity < kLogSteps ? activity : kLogSteps - 1];
  }
}

void gather(const PredictionTables& t, const PredictionStep& step) {
  switch (t.rank / 16) {
    case 0:
      return gather_in<0>(t, step);
    case 1:
      return gather_in<2>(t, step);
    case 2:
      return gather_in<4>(t, step);
    case 3:
      return gather_in<6>(t, step);
    default:
      return gather_in<8>(t, step);
  }
}

}  // namespace

const PredictionKernels kAvx2PredictionKernels{predict, gather, nullptr};

}  // namespace fmapzip
