#pragma once

#include <cstddef>
#include <cstdint>

#include "entropy/alphabet.hpp"
#include "simd/instruction_set.hpp"

// Channels predict channels: what the kernels of the prediction look up and work on. Only plain data crosses
// this border, so that no inline function is shared between instruction sets.
namespace fmapzip {

inline constexpr uint32_t kPredictionChunk = 16;  // channels that are predicted together
inline constexpr uint32_t kPredictionGroup = 4;   // channels or factors that one 32-bit lane multiplies
inline constexpr uint32_t kMaxPredictionRank = 64;
inline constexpr uint32_t kMaxPredictionSpans = 64;
inline constexpr uint32_t kKnownPositions = 4;
inline constexpr uint32_t kOwnNeighbours = 7;
inline constexpr uint32_t kNeighbourRows = 11;
inline constexpr uint32_t kLogSteps = 128;
inline constexpr uint32_t kReciprocalBits = 42;
inline constexpr int32_t kSignedSeven = 64;    // residuals and factors are -64 to 63, kept as 0 to 127
inline constexpr uint32_t kPresent = 8;        // a neighbour that is not zero is at least so far from it
inline constexpr uint32_t kZeroNumbers = 128;  // of a predicted zero class, from kZeroNumberOrigin below 0
inline constexpr int32_t kZeroNumberOrigin = 32;

struct HeadTables;

// Pointers are into the ContextModel that owns it; arrays are padded by kVectorPad.
struct PredictionTables {
  uint32_t channels;
  uint32_t width;  // channels of a span
  uint32_t spans;
  uint32_t rank;                   // factors, a multiple of 16, or 0
  const uint8_t* span_of;          // [channel / 4]
  const uint64_t* channels_until;  // [span]: 2^42 over their number, rounded up
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
  // [channel / 16][factor / 4][16][4], and what corrects its sums: [channel]; zeros for the first span.
  const int8_t* spread;
  const int32_t* spread_corrections;
  uint32_t gathered;       // channels from which something is gathered
  const HeadTables* head;  // of level `ultra`, else null
};

// A position whose spans are being coded: what those before say to the next one.
struct PredictionPlace {
  uint32_t residuals;  // sum of magnitudes
  int32_t activity;    // logarithm of their mean
  alignas(64) int32_t sums[kMaxPredictionRank];
  alignas(64) uint8_t factors[kMaxPredictionRank];  // plus kSignedSeven
};

// What picks a value's context.
struct PredictionSteps {
  uint8_t* mean;    // below kContextSteps
  uint8_t* spread;  // below kContextSteps
  uint8_t* zero;    // below kZeroNumbers
};

// A step: span s of one position, span s + 1 of the one before, ..., side by side. All arrays are [channel],
// padded by kVectorPad, and hold numbers from `first`, a multiple of the width, to `end`. Kernels work on
// whole chunks: what lies beside these channels may be read and written, and means nothing.
struct PredictionStep {
  uint32_t first;
  uint32_t end;
  // Companded values of W, N, NW, NE, WW, NN, NEE; with a head also errors of the first four.
  const uint8_t* neighbours[kNeighbourRows];
  const uint8_t* current;          // its own companded values
  PredictionPlace* const* places;  // of each span
  int32_t* projected;              // what factors say of means
  int16_t* means;                  // what residuals are taken from, less kSignedSeven
  uint8_t* residuals;              // plus kSignedSeven
  PredictionSteps context;
  const int32_t* offsets;  // of means, by channel
  // With a head:
  const uint32_t* heard;  // of reference maps: a companded estimate, i16, and 16 bits above it what is seen
  PredictionPlace* const* west;   // places to the left and above of those of each span
  PredictionPlace* const* north;  //
  int16_t* finals;                // what errors are taken from
  uint8_t* errors;                // logarithms of what values differ from them by
};

// The same for an encoder, which knows all values: kKnownPositions positions at once, each with a step that
// is all its channels, so that loadings are fetched once for all of them.
struct KnownKernels {
  // What values differ from their means by.
  void (*find_residuals)(const PredictionTables&, const PredictionStep* positions);
  // From residuals to factors and activities of all spans.
  void (*gather)(const PredictionTables&, const PredictionStep* positions);
  // What these factors say of means.
  void (*project)(const PredictionTables&, const PredictionStep* positions);
  // The three numbers of contexts from what is projected.
  void (*predict)(const PredictionTables&, const PredictionStep* positions);
};

extern const KnownKernels kAvx512KnownKernels;

struct PredictionKernels {
  // From neighbours and places to means and the three numbers of a context.
  void (*predict)(const PredictionTables&, const PredictionStep&);
  // Adds the residuals of values that are known now, and makes the factors for the next span of each
  // position.
  void (*gather)(const PredictionTables&, const PredictionStep&);
  const KnownKernels* known;  // or null: an encoder predicts step by step
};

extern const PredictionKernels kScalarPredictionKernels, kAvx2PredictionKernels, kAvx512PredictionKernels,
    kNeonPredictionKernels, kNeonDotPredictionKernels;

}  // namespace fmapzip
