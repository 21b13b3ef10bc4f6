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

// Four rows of 16 bytes as 16 columns of four.
FMAPZIP_INLINE __m512i columns(__m512i order, const uint8_t* a, const uint8_t* b, const uint8_t* c,
                               const uint8_t* d) {
  const auto row = [](const uint8_t* p) __attribute__((always_inline)) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  };
  __m512i rows = _mm512_castsi128_si512(row(a));
  rows = _mm512_inserti32x4(rows, row(b), 1);
  rows = _mm512_inserti32x4(rows, row(c), 2);
  rows = _mm512_inserti32x4(rows, row(d), 3);
  return _mm512_permutexvar_epi8(order, rows);
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

FMAPZIP_INLINE void put(uint8_t* p, __m512i x) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(x));
}

class Predictor {
 public:
  explicit Predictor(const PredictionTables& tables)
      : t(tables),
        order_(_mm512_add_epi8(
            _mm512_mullo_epi32(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
                               _mm512_set1_epi32(0x01010101)),
            _mm512_set1_epi32(0x30201000))),
        log_{load(t.log), load(t.log + 64)} {}

  template <uint32_t kGroups>
  FMAPZIP_INLINE void span(const PredictionPlace& place, uint32_t span, const PredictionSteps& steps) const {
    const uint32_t first = span * t.width;
    const uint32_t chunks = (t.width + kPredictionChunk - 1) / kPredictionChunk;
    const uint32_t left = (t.channels - first + kPredictionChunk - 1) / kPredictionChunk;
    const uint32_t count = left < chunks ? left : chunks;
    constexpr uint32_t kKept = kGroups == 0 ? 1 : kGroups;
    __m512i factors[kKept];
    for (uint32_t k = 0; k < kGroups; ++k) factors[k] = every_four(place.factors + 4 * k);
    for (uint32_t i = 0; i < count; ++i) {
      const uint32_t at = i * kPredictionChunk, c = first + at;
      __m512i added = _mm512_setzero_si512();
      if constexpr (kGroups != 0) {
        const size_t chunk = size_t{span} * chunks + i;
        const int8_t* loadings = t.spread + chunk * kGroups * 64;
        __m512i even = load(t.spread_corrections + chunk * kPredictionChunk), odd = added;
        for (uint32_t k = 0; k < kGroups; k += 2) {
          even = _mm512_dpbusd_epi32(even, factors[k], load(loadings + 64 * k));
          odd = _mm512_dpbusd_epi32(odd, factors[k + 1], load(loadings + 64 * k + 64));
        }
        added = _mm512_sra_epi32(_mm512_add_epi32(even, odd),
                                 _mm_cvtsi32_si128(static_cast<int>(t.spread_shift)));
      }
      chunk(place, at, c, added, steps);
    }
  }

 private:
  FMAPZIP_INLINE void chunk(const PredictionPlace& place, uint32_t at, uint32_t c, __m512i added,
                            const PredictionSteps& steps) const {
    const uint8_t* const* x = place.neighbours;
    const __m512i near = columns(order_, x[0] + c, x[1] + c, x[2] + c, x[3] + c);
    const __m512i far = columns(order_, x[4] + c, x[5] + c, x[6] + c, x[6] + c);
    const __m512i own =
        _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(load(t.offsets + c), near, load(t.near + 4 * size_t{c})), far,
                            load(t.far + 4 * size_t{c}));
    const __m512i whole = _mm512_srai_epi32(_mm512_add_epi32(own, _mm512_set1_epi32(32)), 6);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(place.means + at), _mm512_cvtepi32_epi16(whole));
    const __m512i mean = _mm512_add_epi32(_mm512_add_epi32(own, load(t.shifts + c)), added);
    // |W - N|, |W - NW|, |N - NW|, |N - NE|, then |W - WW|, |N - NN|.
    const __m512i close = distance(picked(near, 0x01010000), picked(near, 0x03020201));
    const __m512i wide = distance(picked(near, 0x01010100), picked(far, 0x01010100));
    __m512i sum =
        _mm512_dpbusd_epi32(_mm512_set1_epi32(t.distance_offset), close, every_four(t.distance_weights));
    sum = _mm512_dpbusd_epi32(sum, wide, every_four(t.distance_weights + 4));
    const __m512i step = within(_mm512_srai_epi32(sum, 8), kLogSteps - 1);
    const __m512i log = _mm512_maskz_permutex2var_epi8(0x1111111111111111, log_[0], step, log_[1]);
    const __m512i halved = _mm512_srai_epi32(mean, 5);
    const __m512i both = _mm512_or_si512(log, _mm512_slli_epi32(halved, 16));
    const __m512i spread = _mm512_add_epi32(
        _mm512_add_epi32(load(t.spread_bias + c), _mm512_set1_epi32(t.spread_of_activity * place.activity)),
        _mm512_madd_epi16(both, every_four(&t.spread_of_log)));
    const __m512i present = _mm512_min_epu8(distance(near, _mm512_set1_epi8(static_cast<char>(t.zero))),
                                            _mm512_set1_epi8(kPresent));
    __m512i zero =
        _mm512_add_epi32(load(t.zero_bias + c), _mm512_set1_epi32(t.zero_of_activity * place.activity));
    zero = _mm512_dpbusd_epi32(zero, present, every_four(t.zero_of_present));
    zero = _mm512_add_epi32(zero, _mm512_madd_epi16(both, load(t.zero_slopes + c)));
    if (t.zero_of_fold != 0) {
      const __m512i fold = _mm512_abs_epi32(_mm512_sub_epi32(halved, _mm512_set1_epi32(t.fold_origin)));
      zero = _mm512_add_epi32(zero, _mm512_mullo_epi32(fold, _mm512_set1_epi32(t.zero_of_fold)));
    }
    const __m512i moved = _mm512_add_epi32(mean, _mm512_set1_epi32(t.origin));
    put(steps.mean + at, within(_mm512_srai_epi32(moved, 8), kContextSteps - 1));
    put(steps.spread + at, within(_mm512_srai_epi32(spread, 8), kContextSteps - 1));
    put(steps.zero + at,
        within(_mm512_add_epi32(_mm512_srai_epi32(zero, 8), _mm512_set1_epi32(kZeroNumberOrigin)),
               kZeroNumbers - 1));
  }

  const PredictionTables& t;
  __m512i order_;
  __m512i log_[2];
};

void predict(const PredictionTables& t, const PredictionPlace& place, uint32_t span,
             const PredictionSteps& steps) {
  const Predictor predictor(t);
  switch (span == 0 ? 0 : t.rank / 16) {
    case 0:
      return predictor.span<0>(place, span, steps);
    case 1:
      return predictor.span<4>(place, span, steps);
    case 2:
      return predictor.span<8>(place, span, steps);
    case 3:
      return predictor.span<12>(place, span, steps);
    default:
      return predictor.span<16>(place, span, steps);
  }
}

template <uint32_t kVectors>
FMAPZIP_INLINE void gather_in(const PredictionTables& t, PredictionPlace& place, uint32_t span) {
  const uint32_t first = span * t.width;
  alignas(64) uint8_t residuals[1024];
  const __m512i seven = _mm512_set1_epi16(kSignedSeven);
  __m512i magnitudes = _mm512_setzero_si512();
  for (uint32_t at = 0; at < t.width; at += 32) {
    const __m512i value = _mm512_cvtepu8_epi16(
        _mm256_loadu_si256(reinterpret_cast<const __m256i*>(place.current + first + at)));
    const __m512i moved = _mm512_add_epi16(_mm512_sub_epi16(value, load(place.means + at)), seven);
    const __m512i clamped =
        _mm512_min_epi16(_mm512_max_epi16(moved, _mm512_setzero_si512()), _mm512_set1_epi16(127));
    const __mmask32 inside = t.width - at >= 32 ? ~__mmask32{0} : (__mmask32{1} << (t.width - at)) - 1;
    magnitudes = _mm512_mask_add_epi16(magnitudes, inside, magnitudes,
                                       _mm512_abs_epi16(_mm512_sub_epi16(clamped, seven)));
    _mm256_store_si256(reinterpret_cast<__m256i*>(residuals + at), _mm512_cvtepi16_epi8(clamped));
  }
  __m512i sums[kVectors == 0 ? 1 : kVectors];
  for (uint32_t k = 0; k < kVectors; ++k) {
    sums[k] = _mm512_add_epi32(load(place.sums + 16 * k),
                               load(t.gather_corrections + size_t{span} * t.rank + 16 * k));
  }
  // Two sums of each factor, so that one need not wait for the other.
  __m512i others[kVectors == 0 ? 1 : kVectors];
  for (uint32_t k = 0; k < kVectors; ++k) others[k] = _mm512_setzero_si512();
  const int8_t* loadings = t.gather + size_t{first} * t.rank;
  uint32_t i = 0;
  for (; i + 8 <= t.width; i += 8, loadings += 128 * kVectors) {
    const __m512i four = every_four(residuals + i), next = every_four(residuals + i + 4);
    for (uint32_t k = 0; k < kVectors; ++k) {
      sums[k] = _mm512_dpbusd_epi32(sums[k], four, load(loadings + 64 * k));
      others[k] = _mm512_dpbusd_epi32(others[k], next, load(loadings + 64 * (k + kVectors)));
    }
  }
  if (i < t.width) {
    const __m512i four = every_four(residuals + i);
    for (uint32_t k = 0; k < kVectors; ++k)
      sums[k] = _mm512_dpbusd_epi32(sums[k], four, load(loadings + 64 * k));
  }
  for (uint32_t k = 0; k < kVectors; ++k) sums[k] = _mm512_add_epi32(sums[k], others[k]);
  const __m128i by = _mm_cvtsi32_si128(static_cast<int>(t.gather_shift));
  for (uint32_t k = 0; k < kVectors; ++k) {
    store(place.sums + 16 * k, sums[k]);
    const __m512i factor = _mm512_add_epi32(_mm512_sra_epi32(sums[k], by), _mm512_set1_epi32(kSignedSeven));
    put(place.factors + 16 * k, within(factor, 127));
  }
  const __m512i pairs = _mm512_madd_epi16(magnitudes, _mm512_set1_epi16(1));
  place.residuals += static_cast<uint32_t>(_mm512_reduce_add_epi32(pairs));
  const uint32_t activity = 4 * place.residuals / (first + t.width);
  place.activity = t.log[activity < kLogSteps ? activity : kLogSteps - 1];
}

void gather(const PredictionTables& t, PredictionPlace& place, uint32_t span) {
  switch (t.rank / 16) {
    case 0:
      return gather_in<0>(t, place, span);
    case 1:
      return gather_in<1>(t, place, span);
    case 2:
      return gather_in<2>(t, place, span);
    case 3:
      return gather_in<3>(t, place, span);
    default:
      return gather_in<4>(t, place, span);
  }
}

}  // namespace

const PredictionKernels kAvx512PredictionKernels{predict, gather};

}  // namespace fmapzip
