#include "entropy/prediction.hpp"

namespace fmapzip {
namespace {

inline int32_t clamped(int32_t x, int32_t low, int32_t high) { return x < low ? low : x > high ? high : x; }
inline int32_t distance(int32_t a, int32_t b) { return a < b ? b - a : a - b; }

// Of four numbers with four loadings.
template <class Number>
inline int32_t dot(const Number* x, const int8_t* loadings) {
  return x[0] * loadings[0] + x[1] * loadings[1] + x[2] * loadings[2] + x[3] * loadings[3];
}

int32_t projected(const PredictionTables& t, const uint8_t* factors, uint32_t c) {
  const uint32_t chunk = c / kPredictionChunk, lane = c % kPredictionChunk;
  const int8_t* loadings = t.spread + size_t{chunk} * t.rank * kPredictionChunk;
  int32_t sum = t.spread_corrections[c];
  for (uint32_t k = 0; k < t.rank; k += 4) {
    sum += dot(factors + k, loadings + (k * kPredictionChunk + 4 * lane));
  }
  return sum >> t.spread_shift;
}

void predict(const PredictionTables& t, const PredictionStep& step) {
  for (uint32_t c = step.first; c < step.end; ++c) {
    const PredictionPlace& place = *step.places[t.span_of[c / kPredictionGroup]];
    int32_t x[7];
    for (uint32_t k = 0; k < 7; ++k) x[k] = step.neighbours[k][c];
    int32_t mean = t.offsets[c];
    for (uint32_t k = 0; k < 4; ++k) mean += t.near[4 * c + k] * x[k];
    for (uint32_t k = 0; k < 3; ++k) mean += t.far[4 * c + k] * x[4 + k];
    step.means[c] = static_cast<int16_t>(((mean + 32) >> 6) - kSignedSeven);
    mean += t.shifts[c] + projected(t, place.factors, c);
    const int32_t distances[6] = {distance(x[0], x[1]), distance(x[0], x[2]), distance(x[1], x[2]),
                                  distance(x[1], x[3]), distance(x[0], x[4]), distance(x[1], x[5])};
    int32_t sum = t.distance_offset;
    for (uint32_t k = 0; k < 6; ++k) sum += t.distance_weights[k] * distances[k];
    const int32_t log = t.log[clamped(sum >> 8, 0, kLogSteps - 1)];
    const int32_t halved = mean >> 5;
    int32_t present = 0;
    for (uint32_t k = 0; k < 4; ++k)
      present += t.zero_of_present[k] * clamped(distance(x[k], t.zero), 0, kPresent);
    const int32_t spread = t.spread_bias[c] + t.spread_of_activity * place.activity + t.spread_of_log * log +
                           t.spread_of_mean * halved;
    const int32_t slopes = t.zero_slopes[c];
    const int32_t zero = t.zero_bias[c] + static_cast<int16_t>(slopes & 0xFFFF) * log +
                         (slopes >> 16) * halved + t.zero_of_fold * distance(halved, t.fold_origin) +
                         t.zero_of_activity * place.activity + present;
    step.context.mean[c] = static_cast<uint8_t>(clamped((mean + t.origin) >> 8, 0, kContextSteps - 1));
    step.context.spread[c] = static_cast<uint8_t>(clamped(spread >> 8, 0, kContextSteps - 1));
    step.context.zero[c] =
        static_cast<uint8_t>(clamped((zero >> 8) + kZeroNumberOrigin, 0, kZeroNumbers - 1));
  }
}

void gather(const PredictionTables& t, const PredictionStep& step) {
  const uint32_t last = t.gathered;
  for (uint32_t first = step.first; first < step.end && first < last; first += t.width) {
    const uint32_t span = first / t.width;
    PredictionPlace& place = *step.places[span];
    for (uint32_t k = 0; k < t.rank; ++k) place.sums[k] += t.gather_corrections[span * t.rank + k];
    const int8_t* loadings = t.gather + size_t{first} * t.rank;
    for (uint32_t c = first; c < first + t.width; c += 4, loadings += 4 * t.rank) {
      int32_t residuals[4];
      for (uint32_t i = 0; i < 4; ++i) {
        residuals[i] = clamped(step.current[c + i] - step.means[c + i], 0, 2 * kSignedSeven - 1);
        place.residuals += static_cast<uint32_t>(distance(residuals[i], kSignedSeven));
      }
      for (uint32_t k = 0; k < t.rank; ++k) place.sums[k] += dot(residuals, loadings + 4 * k);
    }
    for (uint32_t k = 0; k < t.rank; ++k) {
      const int32_t factor = (place.sums[k] >> t.gather_shift) + kSignedSeven;
      place.factors[k] = static_cast<uint8_t>(clamped(factor, 0, 2 * kSignedSeven - 1));
    }
    const uint64_t activity = 4 * place.residuals * t.channels_until[span] >> kReciprocalBits;
    place.activity = t.log[activity < kLogSteps ? activity : kLogSteps - 1];
  }
}

}  // namespace

const PredictionKernels kScalarPredictionKernels{predict, gather, nullptr};

}  // namespace fmapzip
