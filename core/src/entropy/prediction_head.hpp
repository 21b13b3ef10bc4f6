#pragma once

#include <cstdint>

#include "entropy/prediction.hpp"

// Level `ultra`: a small network of integers between what is known of a value and its context. Only plain
// data crosses this border, so that no inline function is shared between instruction sets.
namespace fmapzip {

inline constexpr uint32_t kHeadInputs = 20;
inline constexpr uint32_t kGivenInputs = 22;  // with reference maps
inline constexpr uint32_t kHeadRow = 24;      // of weights of inputs, the last of which are 0
inline constexpr uint32_t kHeadUnits = 32;
inline constexpr uint32_t kHeadOutputs = 3;       // mean, spread, zero
inline constexpr uint32_t kHeadMeanSteps = 128;   //
inline constexpr uint32_t kHeadSpreadSteps = 16;  //
inline constexpr uint32_t kHeadCells = kHeadMeanSteps * kHeadSpreadSteps;
inline constexpr int32_t kUnitBias = 16, kOutputBias = 64;  // what a bias of one stands for
inline constexpr int32_t kHeadMost = 127;                   // of inputs and units, which are not negative
inline constexpr int32_t kHeadMiddle = 64;                  // of inputs that have a sign
inline constexpr uint32_t kHeadTraits = 2;                  // inputs that are a channel's own
inline constexpr int32_t kPresentUnit = 8;  // of inputs that say how far neighbours are from zero

// Pointers are into the ContextModel that owns it; arrays are padded by kVectorPad.
struct HeadTables {
  uint32_t inputs;  // kHeadInputs or kGivenInputs
  uint32_t unit_shift;
  uint32_t output_shift[kHeadOutputs];
  alignas(8) int8_t units[kHeadUnits][kHeadRow];
  int32_t unit_bias[kHeadUnits];
  alignas(8) int8_t of_units[kHeadOutputs][kHeadUnits];
  alignas(8) int8_t of_inputs[kHeadOutputs][kHeadRow];
  int32_t output_bias[kHeadOutputs];
  const uint8_t* traits;  // [channel][kHeadTraits]
  // As PredictionTables::spread, of the factors of the places to the left and above; what corrects their sums
  // is in PredictionTables::spread_corrections.
  const int8_t* west;
  const int8_t* north;
  const uint8_t* table_of;  // [mean step][spread step]
};

// What a head hears of a value.
struct HeadValue {
  uint8_t inputs[kHeadRow];  // those that it has not are 0
  int32_t own;               // mean of its own neighbours
  int32_t mean;              // factors included
};

struct HeadKernels {
  // As PredictionKernels::predict; the steps of the context are a head's, its zero number a class.
  void (*predict)(const PredictionTables&, const PredictionStep&);
  // Errors of values that are known now.
  void (*find_errors)(const PredictionTables&, const PredictionStep&);
};

extern const HeadKernels kScalarHeadKernels, kAvx2HeadKernels, kAvx512HeadKernels, kNeonHeadKernels,
    kNeonDotHeadKernels;

// For training, and for the kernels that have no vectors.
HeadValue head_value(const PredictionTables&, const PredictionStep&, uint32_t channel);

}  // namespace fmapzip
