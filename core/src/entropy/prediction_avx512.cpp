#include "entropy/prediction.hpp"
#include "simd/avx512_intrinsics.hpp"
#include "simd/inline.hpp"

namespace fmapzip {
namespace {

inline __m512i load(const void* p) { return _mm512_loadu_si512(p); }
inline void store(void* p, __m512i x) { _mm512_storeu_si512(p, x); }

FMAPZIP_INLINE __m512i every_four(const void* p) {
  int32_t four;
  __builtin_memcpy(&four, p, 4);
  return _mm512_set1_epi32(four);
}

inline __m512i distance(__m512i a, __m512i b) {
  return _mm512_or_si512(_mm512_subs_epu8(a, b), _mm512_subs_epu8(b, a));
}

// Of each lane of 32 bits, the bytes that four indices name.
FMAPZIP_INLINE __m512i picked(__m512i x, uint32_t indices) {
  const __m512i of_each = _mm512_set1_epi32(static_cast<int32_t>(indices));
  const __m512i lanes = _mm512_broadcast_i32x4(_mm_setr_epi32(0, 0x04040404, 0x08080808, 0x0C0C0C0C));
  return _mm512_shuffle_epi8(x, _mm512_or_si512(of_each, lanes));
}

FMAPZIP_INLINE __m512i within(__m512i x, int32_t most) {
  return _mm512_min_epi32(_mm512_max_epi32(x, _mm512_setzero_si512()), _mm512_set1_epi32(most));
}

// Of 64 numbers, those below 0 as 0 and those above `most` as that.
FMAPZIP_INLINE void put(uint8_t* p, const __m512i x[4], int8_t most) {
  const __m512i bytes = _mm512_packus_epi16(_mm512_packs_epi32(x[0], x[1]), _mm512_packs_epi32(x[2], x[3]));
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  store(p, _mm512_min_epu8(_mm512_permutexvar_epi32(order, bytes), _mm512_set1_epi8(most)));
}

FMAPZIP_INLINE void put_words(int16_t* p, __m512i low, __m512i high) {
  const __m512i order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
  store(p, _mm512_permutexvar_epi64(order, _mm512_packs_epi32(low, high)));
}

// Four channels in a row are of one span: what `of` says of the spans of sixteen.
template <class Of>
FMAPZIP_INLINE __m512i by_span(const uint8_t* spans, Of of) {
  __m512i all = _mm512_set1_epi32(of(spans[0]));
  for (uint32_t i = 1; i < 4; ++i) {
    if (spans[i] != spans[0])
      all = _mm512_mask_set1_epi32(all, static_cast<__mmask16>(0xF << 4 * i), of(spans[i]));
  }
  return all;
}

FMAPZIP_INLINE int32_t four_of(const uint8_t* p) {
  int32_t four;
  __builtin_memcpy(&four, p, 4);
  return four;
}

// What factors say of means.
template <uint32_t kGroups>
FMAPZIP_INLINE void project_in(const PredictionTables& t, const PredictionStep& step) {
  const __m128i by = _mm_cvtsi32_si128(static_cast<int>(t.spread_shift));
  const int8_t* const spread = t.spread;
  const int32_t* const corrections = t.spread_corrections;
  const uint8_t* const span_of = t.span_of;
  int32_t* const projected = step.projected;
  __m512i factors[kGroups];
  const uint8_t* held = nullptr;
  for (uint32_t c = step.first / kPredictionChunk * kPredictionChunk; c < step.end; c += kPredictionChunk) {
    const uint8_t* spans = span_of + c / kPredictionGroup;
    if (spans[3] == 0) {
      store(projected + c, _mm512_setzero_si512());
      continue;
    }
    const uint8_t* first = step.places[spans[0]]->factors;
    if (spans[0] == spans[3]) {
      if (held != first) {
        for (uint32_t k = 0; k < kGroups; ++k) factors[k] = every_four(first + 4 * k);
      }
      held = first;
    } else {
      for (uint32_t k = 0; k < kGroups; ++k) factors[k] = every_four(first + 4 * k);
      for (uint32_t i = 1; i < 4; ++i) {
        if (spans[i] == spans[i - 1]) continue;
        const uint8_t* from = step.places[spans[i]]->factors;
        const auto behind = static_cast<__mmask16>(0xFFFF << 4 * i);
        for (uint32_t k = 0; k < kGroups; ++k)
          factors[k] = _mm512_mask_set1_epi32(factors[k], behind, four_of(from + 4 * k));
      }
      held = nullptr;
    }
    const int8_t* loadings = spread + size_t{c} * 4 * kGroups;
    __m512i even = load(corrections + c), odd = _mm512_setzero_si512();
    for (uint32_t k = 0; k < kGroups; k += 2) {
      even = _mm512_dpbusd_epi32(even, factors[k], load(loadings + 64 * k));
      odd = _mm512_dpbusd_epi32(odd, factors[k + 1], load(loadings + 64 * k + 64));
    }
    store(projected + c, _mm512_sra_epi32(_mm512_add_epi32(even, odd), by));
  }
}

void project(const PredictionTables& t, const PredictionStep& step) {
  switch (t.rank / 16) {
    case 0:
      return;
    case 1:
      return project_in<4>(t, step);
    case 2:
      return project_in<8>(t, step);
    case 3:
      return project_in<12>(t, step);
    default:
      return project_in<16>(t, step);
  }
}

// Rows of 64 bytes as columns: of each channel its bytes of the four rows.
FMAPZIP_INLINE void as_columns(__m512i a, __m512i b, __m512i c, __m512i d, __m512i made[4]) {
  const __m512i bytes = _mm512_add_epi16(
      _mm512_mullo_epi16(
          _mm512_set1_epi16(0x0101),
          _mm512_cvtepu8_epi16(_mm256_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17,
                                                18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31))),
      _mm512_set1_epi16(0x4000));
  const __m512i pairs = _mm512_add_epi16(
      _mm512_mullo_epi32(_mm512_set1_epi32(0x00010001),
                         _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)),
      _mm512_set1_epi32(0x00200000));
  const __m512i half = _mm512_set1_epi8(32), quarter = _mm512_set1_epi16(16);
  const __m512i others = _mm512_add_epi8(bytes, half), more = _mm512_add_epi16(pairs, quarter);
  const __m512i ab = _mm512_permutex2var_epi8(a, bytes, b), cd = _mm512_permutex2var_epi8(c, bytes, d);
  const __m512i ab2 = _mm512_permutex2var_epi8(a, others, b), cd2 = _mm512_permutex2var_epi8(c, others, d);
  made[0] = _mm512_permutex2var_epi16(ab, pairs, cd);
  made[1] = _mm512_permutex2var_epi16(ab, more, cd);
  made[2] = _mm512_permutex2var_epi16(ab2, pairs, cd2);
  made[3] = _mm512_permutex2var_epi16(ab2, more, cd2);
}

// Its members are copies: the compiler need not expect that what is written changes them.
class Predictor {
 public:
  Predictor(const PredictionTables& t, const PredictionStep& step)
      : rows_{step.neighbours[0], step.neighbours[1], step.neighbours[2], step.neighbours[3],
              step.neighbours[4], step.neighbours[5], step.neighbours[6]},
        offsets_(t.offsets),
        shifts_(t.shifts),
        spread_bias_(t.spread_bias),
        zero_bias_(t.zero_bias),
        zero_slopes_(t.zero_slopes),
        near_(t.near),
        far_(t.far),
        projected_(t.rank == 0 ? nullptr : step.projected),
        span_of_(t.span_of),
        places_(step.places),
        means_(step.means),
        context_(step.context),
        zero_(t.zero),
        folds_(t.zero_of_fold != 0),
        distance_offset_(_mm512_set1_epi32(t.distance_offset)),
        close_weights_(every_four(t.distance_weights)),
        wide_weights_(every_four(t.distance_weights + 4)),
        spread_weights_(every_four(&t.spread_of_log)),
        spread_of_activity_(_mm512_set1_epi32(static_cast<uint16_t>(t.spread_of_activity))),
        zero_of_activity_(_mm512_set1_epi32(static_cast<uint16_t>(t.zero_of_activity))),
        zero_of_present_(every_four(t.zero_of_present)),
        zero_of_fold_(_mm512_set1_epi32(t.zero_of_fold)),
        fold_origin_(_mm512_set1_epi32(t.fold_origin)),
        origin_(_mm512_set1_epi32(t.origin)),
        log_{load(t.log), load(t.log + 64)} {}

  // So many times sixteen channels, at most four; numbers of 64 are read and written.
  template <uint32_t kChunks>
  FMAPZIP_INLINE void chunks(uint32_t c) const {
    const auto row = [&](int k) __attribute__((always_inline)) { return load(rows_[k] + c); };
    __m512i near[4], far[4], whole[4] = {}, mean[4] = {}, spread[4] = {}, zero[4] = {};
    as_columns(row(0), row(1), row(2), row(3), near);
    as_columns(row(4), row(5), row(6), row(6), far);
#pragma GCC unroll 4
    for (uint32_t i = 0; i < kChunks; ++i) {
      chunk(c + 16 * i, near[i], far[i], whole[i], mean[i], spread[i], zero[i]);
    }
    put_words(means_ + c, whole[0], whole[1]);
    if (kChunks > 2) put_words(means_ + c + 32, whole[2], whole[3]);
    put(context_.mean + c, mean, kContextSteps - 1);
    put(context_.spread + c, spread, kContextSteps - 1);
    put(context_.zero + c, zero, kZeroNumbers - 1);
  }

 private:
  FMAPZIP_INLINE void chunk(uint32_t c, __m512i near, __m512i far, __m512i& whole, __m512i& mean_step,
                            __m512i& spread_step, __m512i& zero_number) const {
    const __m512i own =
        _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(load(offsets_ + c), near, load(near_ + 4 * size_t{c})), far,
                            load(far_ + 4 * size_t{c}));
    whole = _mm512_srai_epi32(_mm512_add_epi32(own, _mm512_set1_epi32(32 - 64 * kSignedSeven)), 6);
    __m512i mean = _mm512_add_epi32(own, load(shifts_ + c));
    if (projected_ != nullptr) mean = _mm512_add_epi32(mean, load(projected_ + c));
    // |W - N|, |W - NW|, |N - NW|, |N - NE|, then |W - WW|, |N - NN|.
    const __m512i close = distance(picked(near, 0x01010000), picked(near, 0x03020201));
    const __m512i wide = distance(picked(near, 0x01010100), picked(far, 0x01010100));
    const __m512i sum = _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(distance_offset_, close, close_weights_),
                                            wide, wide_weights_);
    const __m512i place = within(_mm512_srai_epi32(sum, 8), kLogSteps - 1);
    const __m512i log = _mm512_maskz_permutex2var_epi8(0x1111111111111111, log_[0], place, log_[1]);
    const __m512i halved = _mm512_srai_epi32(mean, 5);
    const __m512i both = _mm512_or_si512(log, _mm512_slli_epi32(halved, 16));
    // In 16 bits, beside nothing.
    const auto of_span = [&](uint32_t span)
                             __attribute__((always_inline)) { return places_[span]->activity; };
    const __m512i activity = by_span(span_of_ + c / kPredictionGroup, of_span);
    __m512i spread = _mm512_dpwssd_epi32(load(spread_bias_ + c), both, spread_weights_);
    spread = _mm512_dpwssd_epi32(spread, activity, spread_of_activity_);
    const __m512i far_from_zero =
        zero_ == 0 ? near : distance(near, _mm512_set1_epi8(static_cast<char>(zero_)));
    const __m512i present = _mm512_min_epu8(far_from_zero, _mm512_set1_epi8(kPresent));
    __m512i zero = _mm512_dpwssd_epi32(load(zero_bias_ + c), both, load(zero_slopes_ + c));
    zero = _mm512_dpwssd_epi32(zero, activity, zero_of_activity_);
    zero = _mm512_dpbusd_epi32(zero, present, zero_of_present_);
    if (folds_) {
      const __m512i fold = _mm512_abs_epi32(_mm512_sub_epi32(halved, fold_origin_));
      zero = _mm512_add_epi32(zero, _mm512_mullo_epi32(fold, zero_of_fold_));
    }
    mean_step = _mm512_srai_epi32(_mm512_add_epi32(mean, origin_), 8);
    spread_step = _mm512_srai_epi32(spread, 8);
    zero_number = _mm512_add_epi32(_mm512_srai_epi32(zero, 8), _mm512_set1_epi32(kZeroNumberOrigin));
  }

  const uint8_t* rows_[7];
  const int32_t *offsets_, *shifts_, *spread_bias_, *zero_bias_, *zero_slopes_;
  const int8_t *near_, *far_;
  const int32_t* projected_;
  const uint8_t* span_of_;
  PredictionPlace* const* places_;
  int16_t* means_;
  PredictionSteps context_;
  uint8_t zero_;
  bool folds_;
  __m512i distance_offset_, close_weights_, wide_weights_, spread_weights_, spread_of_activity_,
      zero_of_activity_, zero_of_present_, zero_of_fold_, fold_origin_, origin_;
  __m512i log_[2];
};

void predict(const PredictionTables& t, const PredictionStep& step) {
  project(t, step);
  const Predictor predictor(t, step);
  uint32_t c = step.first / kPredictionChunk * kPredictionChunk;
  for (; c + 3 * kPredictionChunk < step.end; c += 4 * kPredictionChunk) predictor.chunks<4>(c);
  for (; c < step.end; c += kPredictionChunk) predictor.chunks<1>(c);
}

// What values of a step differ from their means by.
FMAPZIP_INLINE void find_residuals(const PredictionStep& step, uint32_t end) {
  const __m512i order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
  const auto half = [&](uint32_t c) __attribute__((always_inline)) {
    const __m512i value =
        _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(step.current + c)));
    return _mm512_sub_epi16(value, load(step.means + c));
  };
  for (uint32_t c = step.first; c < end; c += 64) {
    const __m512i bytes = _mm512_permutexvar_epi64(order, _mm512_packus_epi16(half(c), half(c + 32)));
    store(step.residuals + c, _mm512_min_epu8(bytes, _mm512_set1_epi8(2 * kSignedSeven - 1)));
  }
}

// Of a span, a multiple of four.
FMAPZIP_INLINE uint32_t magnitude(const uint8_t* residuals, uint32_t width) {
  __m128i sum = _mm_setzero_si128();
  for (uint32_t i = 0; i < width; i += 16) {
    const auto inside = static_cast<__mmask16>(width - i >= 16 ? 0xFFFF : (1 << (width - i)) - 1);
    sum = _mm_add_epi64(sum, _mm_sad_epu8(_mm_maskz_loadu_epi8(inside, residuals + i),
                                          _mm_maskz_set1_epi8(inside, kSignedSeven)));
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
    // Two sums of each factor, so that one need not wait for the other.
    __m512i sums[4] = {}, others[4] = {};
    for (uint32_t k = 0; k < kVectors; ++k) {
      sums[k] = load(place.sums + 16 * k);
      others[k] = load(t.gather_corrections + size_t{span} * t.rank + 16 * k);
    }
    const int8_t* loadings = t.gather + size_t{first} * t.rank;
    uint32_t c = first;
    for (; c + 8 <= first + t.width; c += 8, loadings += 128 * kVectors) {
      const __m512i four = every_four(step.residuals + c), next = every_four(step.residuals + c + 4);
      for (uint32_t k = 0; k < kVectors; ++k) {
        sums[k] = _mm512_dpbusd_epi32(sums[k], four, load(loadings + 64 * k));
        others[k] = _mm512_dpbusd_epi32(others[k], next, load(loadings + 64 * (kVectors + k)));
      }
    }
    if (c < first + t.width) {
      const __m512i four = every_four(step.residuals + c);
      for (uint32_t k = 0; k < kVectors; ++k)
        sums[k] = _mm512_dpbusd_epi32(sums[k], four, load(loadings + 64 * k));
    }
    for (uint32_t k = 0; k < kVectors; ++k) {
      sums[k] = _mm512_add_epi32(sums[k], others[k]);
      store(place.sums + 16 * k, sums[k]);
      sums[k] = _mm512_add_epi32(_mm512_sra_epi32(sums[k], by), _mm512_set1_epi32(kSignedSeven));
    }
    if (kVectors != 0) put(place.factors, sums, 2 * kSignedSeven - 1);
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
      return gather_in<1>(t, step);
    case 2:
      return gather_in<2>(t, step);
    case 3:
      return gather_in<3>(t, step);
    default:
      return gather_in<4>(t, step);
  }
}

}  // namespace

const PredictionKernels kAvx512PredictionKernels{predict, gather};

}  // namespace fmapzip
