#include "entropy/prediction.hpp"
#include "simd/avx512_intrinsics.hpp"
#include "simd/inline.hpp"

namespace fmapzip {
namespace {

#include "entropy/prediction_avx512.inc"

// Channels outside and positions inside, so that what is a channel's own is fetched once.
void find_known_residuals(const PredictionTables& t, const PredictionStep* positions) {
  for (uint32_t c = 0; c < positions->end; c += 64) {
    for (uint32_t b = 0; b < kKnownPositions; ++b) {
      const PredictionStep& step = positions[b];
      const auto row = [&](int k) __attribute__((always_inline)) { return load(step.neighbours[k] + c); };
      __m512i near[4], far[4], whole[4];
      as_columns(row(0), row(1), row(2), row(3), near);
      as_columns(row(4), row(5), row(6), row(6), far);
#pragma GCC unroll 4
      for (uint32_t i = 0; i < 4; ++i) {
        whole[i] = whole_of(own_mean(t.offsets, t.near, t.far, c + 16 * i, near[i], far[i]));
      }
      const auto half = [&](uint32_t i) __attribute__((always_inline)) {
        const __m512i order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
        const __m512i means = _mm512_permutexvar_epi64(order, _mm512_packs_epi32(whole[i], whole[i + 1]));
        const auto* at = reinterpret_cast<const __m256i*>(step.current + c + 16 * i);
        return _mm512_sub_epi16(_mm512_cvtepu8_epi16(_mm256_loadu_si256(at)), means);
      };
      store(step.residuals + c, residual_bytes(half(0), half(2)));
    }
  }
}

// Factors of a span of all positions, packed together where they are few.
template <uint32_t kVectors>
FMAPZIP_INLINE void put_factors(const __m512i sums[][4], __m128i by, const PredictionStep* positions,
                                uint32_t span) {
  constexpr uint32_t kOfOne = kVectors < 3 ? kVectors : 4,
                     kTogether = kVectors == 0 ? kKnownPositions : 4 / kOfOne;
  for (uint32_t b = 0; b < kKnownPositions && kVectors != 0; b += kTogether) {
    __m512i factors[4] = {};
    for (uint32_t i = 0; i < kTogether; ++i) {
      for (uint32_t k = 0; k < kVectors; ++k) {
        const __m512i factor = _mm512_sra_epi32(sums[b + i][k], by);
        factors[kOfOne * i + k] = _mm512_add_epi32(factor, _mm512_set1_epi32(kSignedSeven));
      }
    }
    const __m512i all = packed(factors, 2 * kSignedSeven - 1);
    const auto place = [&](uint32_t i) { return positions[b + i].places[span]->factors; };
    if (kTogether == 1) store(place(0), all);
    if (kTogether == 2) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(place(0)), _mm512_castsi512_si256(all));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(place(1)), _mm512_extracti64x4_epi64(all, 1));
    }
    if (kTogether == 4) {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(place(0)), _mm512_castsi512_si128(all));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(place(1)), _mm512_extracti32x4_epi32(all, 1));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(place(2)), _mm512_extracti32x4_epi32(all, 2));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(place(3)), _mm512_extracti32x4_epi32(all, 3));
    }
  }
}

template <uint32_t kVectors>
FMAPZIP_INLINE void gather_known_in(const PredictionTables& t, const PredictionStep* positions) {
  const __m128i by = _mm_cvtsi32_si128(static_cast<int>(t.gather_shift));
  __m512i sums[kKnownPositions][4] = {};
  uint32_t residuals[kKnownPositions] = {};
  const uint8_t* rows[kKnownPositions];
  for (uint32_t b = 0; b < kKnownPositions; ++b) {
    rows[b] = positions[b].residuals;
    positions[b].places[0]->activity = t.first_activity;
  }
  const int8_t* loadings = t.gather;
  const int32_t* corrections = t.gather_corrections;
  for (uint32_t span = 0; span + 1 < t.spans; ++span, corrections += t.rank) {
    const uint32_t first = span * t.width;
    for (uint32_t k = 0; k < kVectors; ++k) {
      const __m512i correction = load(corrections + 16 * k);
      for (uint32_t b = 0; b < kKnownPositions; ++b) sums[b][k] = _mm512_add_epi32(sums[b][k], correction);
    }
    for (uint32_t c = first; c < first + t.width; c += kPredictionGroup, loadings += 64 * kVectors) {
      __m512i of_four[4];
      for (uint32_t k = 0; k < kVectors; ++k) of_four[k] = load(loadings + 64 * k);
      for (uint32_t b = 0; b < kKnownPositions; ++b) {
        const __m512i four = every_four(rows[b] + c);
        for (uint32_t k = 0; k < kVectors; ++k)
          sums[b][k] = _mm512_dpbusd_epi32(sums[b][k], four, of_four[k]);
      }
    }
    put_factors<kVectors>(sums, by, positions, span + 1);
    for (uint32_t b = 0; b < kKnownPositions; ++b) {
      residuals[b] += magnitude(rows[b] + first, t.width);
      const uint64_t activity = 4 * residuals[b] * t.channels_until[span] >> kReciprocalBits;
      positions[b].places[span + 1]->activity = t.log[activity < kLogSteps ? activity : kLogSteps - 1];
    }
  }
}

void gather_known(const PredictionTables& t, const PredictionStep* positions) {
  switch (t.rank / 16) {
    case 0:
      return gather_known_in<0>(t, positions);
    case 1:
      return gather_known_in<1>(t, positions);
    case 2:
      return gather_known_in<2>(t, positions);
    case 3:
      return gather_known_in<3>(t, positions);
    default:
      return gather_known_in<4>(t, positions);
  }
}

void project_known(const PredictionTables& t, const PredictionStep* positions) {
  const __m128i by = _mm_cvtsi32_si128(static_cast<int>(t.spread_shift));
  const uint32_t groups = t.rank / kPredictionGroup, end = positions->end;
  const int8_t* loadings = t.spread;
  for (uint32_t c = 0; groups != 0 && c < end; c += kPredictionChunk, loadings += 64 * groups) {
    const uint8_t* spans = t.span_of + c / kPredictionGroup;
    __m512i sums[kKnownPositions];
    for (__m512i& sum : sums) sum = load(t.spread_corrections + c);
    const auto multiply = [&](auto factors_of) __attribute__((always_inline)) {
      for (uint32_t k = 0; k < groups; ++k) {
        const __m512i of_four = load(loadings + 64 * k);
        for (uint32_t b = 0; b < kKnownPositions; ++b) {
          sums[b] = _mm512_dpbusd_epi32(sums[b], factors_of(b, k), of_four);
        }
      }
    };
    if (spans[0] == spans[3]) {
      const uint8_t* factors[kKnownPositions];
      for (uint32_t b = 0; b < kKnownPositions; ++b) factors[b] = positions[b].places[spans[0]]->factors;
      multiply([&](uint32_t b, uint32_t k)
                   __attribute__((always_inline)) { return every_four(factors[b] + 4 * k); });
    } else {
      const uint8_t* factors[kKnownPositions][4];
      for (uint32_t b = 0; b < kKnownPositions; ++b) {
        for (uint32_t i = 0; i < 4; ++i) factors[b][i] = positions[b].places[spans[i]]->factors;
      }
      const auto half = static_cast<__mmask16>(0xFF00), odd = static_cast<__mmask16>(0xF0F0);
      const bool two = spans[0] == spans[1] && spans[2] == spans[3];
      multiply([&](uint32_t b, uint32_t k) __attribute__((always_inline)) {
        const __m512i all = every_four(factors[b][0] + 4 * k);
        const __m512i high = _mm512_mask_set1_epi32(all, half, four_of(factors[b][2] + 4 * k));
        if (two) return high;
        const __m512i mixed = _mm512_mask_set1_epi32(high, odd & 0xF0, four_of(factors[b][1] + 4 * k));
        return _mm512_mask_set1_epi32(mixed, odd & 0xF000, four_of(factors[b][3] + 4 * k));
      });
    }
    for (uint32_t b = 0; b < kKnownPositions; ++b) {
      store(positions[b].projected + c, _mm512_sra_epi32(sums[b], by));
    }
  }
}

void predict_known(const PredictionTables& t, const PredictionStep* positions) {
  const Predictor predictor(t);
  const uint32_t end = positions->end;
  uint32_t c = 0;
  for (; c + 3 * kPredictionChunk < end; c += 4 * kPredictionChunk) {
    for (uint32_t b = 0; b < kKnownPositions; ++b) predictor.chunks<4, false>(positions[b], c);
  }
  for (; c < end; c += kPredictionChunk) {
    for (uint32_t b = 0; b < kKnownPositions; ++b) predictor.chunks<1, false>(positions[b], c);
  }
}

}  // namespace

const KnownKernels kAvx512KnownKernels{find_known_residuals, gather_known, project_known, predict_known};

}  // namespace fmapzip
