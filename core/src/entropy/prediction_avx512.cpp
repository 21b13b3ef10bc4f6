#include "entropy/prediction.hpp"
#include "simd/avx512_intrinsics.hpp"
#include "simd/inline.hpp"

namespace fmapzip {
namespace {

#include "entropy/prediction_avx512.inc"

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

void predict(const PredictionTables& t, const PredictionStep& step) {
  project(t, step);
  const Predictor predictor(t);
  const PredictionStep copy = step;  // which nothing that is written changes
  uint32_t c = step.first / kPredictionChunk * kPredictionChunk;
  for (; c + 3 * kPredictionChunk < copy.end; c += 4 * kPredictionChunk) predictor.chunks<4, true>(copy, c);
  for (; c < copy.end; c += kPredictionChunk) predictor.chunks<1, true>(copy, c);
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

const PredictionKernels kAvx512PredictionKernels{predict, gather, &kAvx512KnownKernels};

}  // namespace fmapzip
