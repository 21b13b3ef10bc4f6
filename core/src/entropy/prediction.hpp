#pragma once

#include <cstddef>
#include <cstdint>

#include "entropy/alphabet.hpp"

// Channels predict channels: what the kernels of the prediction look up and work on. Only plain data crosses
// this border, so that no inline function is shared between instruction sets.
namespace fmapzip {

inline constexpr uint32_t kPredictionChunk = 16;  // channels that are predicted together
inline constexpr uint32_t kPredictionGroup = 4;   // channels or factors that one 32-bit lane multiplies
inline constexpr uint32_t kMaxPredictionRank = 64;
inline constexpr uint32_t kMaxPredictionSpans = 64;
inline constexpr uint32_t kLogSteps = 128;
inline constexpr int32_t kSignedSeven = 64;    // residuals and factors are -64 to 63, kept as 0 to 127
inline constexpr uint32_t kPresent = 8;        // a neighbour that is not zero is at least so far from it
inline constexpr uint32_t kZeroNumbers = 128;  // of a predicted zero class, from kZeroNumberOrigin below 0
inline constexpr int32_t kZeroNumberOrigin = 32;

// Pointers are into the ContextModel that owns it; arrays are padded by kVectorPad.
struct PredictionTables {
  uint32_t channels;
  uint32_t width;  // channels of a span
  uint32_t spans;
  uint32_t rank;  // factors, a multiple of 16, or 0
  uint32_t gather_shift;
  uint32_t spread_shift;
  int32_t origin;                         // what is added to a mean before its step is taken
  uint8_t zero;                           // companded value of index 0
  alignas(8) int8_t distance_weights[8];  // the last two are 0
  int32_t distance_offset;
  int16_t spread_of_log;
  int16_t spread_of_mean;
  int16_t spread_of_activity;
  int16_t zero_of_activity;
  int16_t zero_of_fold;  // weight of the mean's distance from fold_origin
  int16_t fold_origin;
  alignas(4) int8_t zero_of_present[4];  // weights of neighbours W, N, NW, NE that are not zero
  uint8_t first_activity;                // of a span that has none before it
  alignas(64) uint8_t log[kLogSteps];
  const int8_t* near;          // [channel][4]: W, N, NW, NE
  const int8_t* far;           // [channel][4]: WW, NN, NEE, 0
  const int32_t* offsets;      // [channel]
  const int32_t* shifts;       // [channel]: of the mean, from what residuals are taken from
  const int32_t* spread_bias;  // [channel]
  const int32_t* zero_bias;    // [channel]
  const int32_t* zero_slopes;  // [channel]: 16 bits for the logarithm and above them 16 for the mean
  // [channel / 4][factor][4], and what corrects its sums for the residuals' offset: [span][factor].
  const int8_t* gather;
  const int32_t* gather_corrections;
  // [span][chunk][factor / 4][16][4], and what corrects its sums: [span][chunk][16].
  const int8_t* spread;
  const int32_t* spread_corrections;
};

// A position whose spans are being coded.
struct PredictionPlace {
  const uint8_t* neighbours[7];  // companded values of W, N, NW, NE, WW, NN, NEE: [channel]
  uint8_t* current;              // its own companded values
  int16_t* means;                // of the span in work: what its residuals are taken from
  uint32_t residuals;            // sum of magnitudes, in the spans before
  int32_t activity;              // logarithm of their mean
  alignas(64) int32_t sums[kMaxPredictionRank];
  alignas(64) uint8_t factors[kMaxPredictionRank];  // from the spans before, plus kSignedSeven
};

// Steps of a span's values: whole chunks are written.
struct PredictionSteps {
  uint8_t* mean;    // below kContextSteps
  uint8_t* spread;  // below kContextSteps
  uint8_t* zero;    // below kZeroNumbers
};

struct PredictionKernels {
  void (*predict)(const PredictionTables&, const PredictionPlace&, uint32_t span, const PredictionSteps&);
  // Adds the residuals of a span whose values are known, and makes the factors for the next one.
  void (*gather)(const PredictionTables&, PredictionPlace&, uint32_t span);
};

extern const PredictionKernels kScalarPredictionKernels;
#ifdef FMAPZIP_X86
extern const PredictionKernels kAvx2PredictionKernels;
extern const PredictionKernels kAvx512PredictionKernels;
#endif

const PredictionKernels& prediction_kernels();

}  // namespace fmapzip
