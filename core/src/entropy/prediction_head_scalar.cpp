#include "entropy/alphabet.hpp"
#include "entropy/prediction_head.hpp"

namespace fmapzip {
namespace {

inline int32_t clamped(int32_t x, int32_t low, int32_t high) { return x < low ? low : x > high ? high : x; }
inline int32_t distance(int32_t a, int32_t b) { return a < b ? b - a : a - b; }
inline uint8_t input(int32_t x) { return static_cast<uint8_t>(clamped(x, 0, kHeadMost)); }

// Of the factors of a place with one channel's loadings.
int32_t dot(const PredictionTables& t, const int8_t* all, const PredictionPlace& place, uint32_t c) {
  const uint32_t chunk = c / kPredictionChunk, lane = c % kPredictionChunk;
  const int8_t* loadings = all + size_t{chunk} * t.rank * kPredictionChunk + size_t{4} * lane;
  int32_t sum = 0;
  for (uint32_t k = 0; k < t.rank; k += 4, loadings += 4 * kPredictionChunk) {
    for (uint32_t i = 0; i < 4; ++i) sum += place.factors[k + i] * loadings[i];
  }
  return sum;
}

void predict(const PredictionTables& t, const PredictionStep& step) {
  const HeadTables& head = *t.head;
  const uint32_t inputs = head.inputs;
  for (uint32_t c = step.first; c < step.end; ++c) {
    const HeadValue value = head_value(t, step, c);
    step.means[c] = static_cast<int16_t>(((value.own + 32) >> 6) - kSignedSeven);
    step.finals[c] = static_cast<int16_t>((value.mean + 32) >> 6);
    int32_t units[kHeadUnits];
    for (uint32_t j = 0; j < kHeadUnits; ++j) {
      int32_t sum = head.unit_bias[j];
      for (uint32_t i = 0; i < inputs; ++i) sum += head.units[j][i] * value.inputs[i];
      units[j] = clamped(sum >> head.unit_shift, 0, kHeadMost);
    }
    int32_t output[kHeadOutputs];
    for (uint32_t q = 0; q < kHeadOutputs; ++q) {
      int32_t sum = head.output_bias[q];
      for (uint32_t j = 0; j < kHeadUnits; ++j) sum += head.of_units[q][j] * units[j];
      for (uint32_t i = 0; i < inputs; ++i) sum += head.of_inputs[q][i] * value.inputs[i];
      output[q] = sum >> head.output_shift[q];
    }
    const int32_t mean = value.mean + output[0] + t.origin;
    const int32_t spread = t.spread_bias[c] + output[1];
    const int32_t zero = t.zero_bias[c] + (t.zero_slopes[c] >> 16) * (value.mean >> 5) + output[2];
    step.context.mean[c] = static_cast<uint8_t>(clamped(mean >> 7, 0, kHeadMeanSteps - 1));
    step.context.spread[c] = static_cast<uint8_t>(clamped(spread >> 10, 0, kHeadSpreadSteps - 1));
    step.context.zero[c] = static_cast<uint8_t>(clamped(zero >> 8, 0, kZeroClasses - 1));
  }
}

void find_errors(const PredictionTables& t, const PredictionStep& step) {
  for (uint32_t c = step.first; c < step.end; ++c) {
    const int32_t error = distance(step.current[c], step.finals[c]);
    step.errors[c] = t.log[clamped(error, 0, kLogSteps - 1)] >> 1;
  }
}

}  // namespace

HeadValue head_value(const PredictionTables& t, const PredictionStep& step, uint32_t c) {
  const HeadTables& head = *t.head;
  const uint32_t span = t.span_of[c / kPredictionGroup];
  const PredictionPlace& place = *step.places[span];
  int32_t x[kNeighbourRows];
  for (uint32_t k = 0; k < kNeighbourRows; ++k) x[k] = step.neighbours[k][c];
  HeadValue value{};
  value.own = step.offsets[c];
  for (uint32_t k = 0; k < 4; ++k) value.own += t.near[4 * c + k] * x[k];
  for (uint32_t k = 0; k < 3; ++k) value.own += t.far[4 * c + k] * x[4 + k];
  const int32_t projected = t.spread_corrections[c] + dot(t, t.spread, place, c) +
                            dot(t, head.west, *step.west[span], c) + dot(t, head.north, *step.north[span], c);
  value.mean = value.own + t.shifts[c] + (projected >> t.spread_shift);
  const int32_t distances[6] = {distance(x[0], x[1]), distance(x[0], x[2]), distance(x[1], x[2]),
                                distance(x[1], x[3]), distance(x[0], x[4]), distance(x[1], x[5])};
  int32_t sum = t.distance_offset;
  for (uint32_t k = 0; k < 6; ++k) sum += t.distance_weights[k] * distances[k];
  const int32_t log = t.log[clamped(sum >> 8, 0, kLogSteps - 1)];
  const int32_t whole = (value.mean + 32) >> 6;
  uint8_t* u = value.inputs;
  for (uint32_t k = 0; k < 6; ++k) *u++ = input(kHeadMiddle + x[k] - whole);
  *u++ = input((value.mean + t.origin) >> 7);
  *u++ = input(kHeadMiddle + ((value.own + 32) >> 6) - whole);
  for (uint32_t k = 0; k < 4; ++k) *u++ = static_cast<uint8_t>(x[kOwnNeighbours + k]);
  *u++ = static_cast<uint8_t>(log >> 1);
  *u++ = static_cast<uint8_t>(place.activity >> 1);
  for (uint32_t k = 0; k < kHeadTraits; ++k) *u++ = head.traits[kHeadTraits * c + k];
  for (uint32_t k = 0; k < 4; ++k) {
    *u++ = static_cast<uint8_t>(kPresentUnit * clamped(distance(x[k], t.zero), 0, kPresent));
  }
  if (head.inputs == kGivenInputs) {
    *u++ = input(kHeadMiddle + static_cast<int16_t>(step.heard[c] & 0xFFFF) - whole);
    *u++ = static_cast<uint8_t>(step.heard[c] >> 16);
  }
  return value;
}

const HeadKernels kScalarHeadKernels{predict, find_errors};

}  // namespace fmapzip
