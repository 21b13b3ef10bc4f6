#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "entropy/alphabet.hpp"
#include "entropy/prediction_head.hpp"
#include "entropy/reference_params.hpp"
#include "fmapzip/status.hpp"

namespace fmapzip {

// Near-lossless re-quantization: value -> index (coded) -> reconstruction point. Indexed by bytes.
struct Requantizer {
  bool active = false;
  std::array<uint8_t, 256> index_of{};
  std::array<uint8_t, 256> value_of{};
};

// Channels predict channels: what a value is expected to be, how far it may lie from that, and whether it is
// zero, each by its own sum. Numbers as they are stored.
struct Prediction {
  uint32_t width = 0;  // channels of a span; 0: no prediction
  uint32_t rank = 0;
  uint32_t gather_shift = 0;
  uint32_t spread_shift = 0;
  uint32_t origin = 0;
  uint32_t first_activity = 0;
  std::array<int8_t, 6> distance_weights{};
  std::array<int8_t, 4> zero_of_present{};
  int8_t zero_of_fold = 0;
  int16_t distance_offset = 0;
  int16_t spread_of_log = 0;
  int16_t spread_of_mean = 0;
  int16_t spread_of_activity = 0;
  int16_t zero_of_log = 0;
  int16_t zero_of_activity = 0;
  int16_t fold_origin = 0;
  std::vector<int8_t> own;            // [channel][7]: W, N, NW, NE, WW, NN, NEE
  std::vector<int16_t> offsets;       // of a channel, in eighths
  std::vector<int16_t> shifts;        //
  std::vector<int16_t> spread_bias;   //
  std::vector<int16_t> zero_bias;     //
  std::vector<int16_t> zero_of_mean;  // of a channel
  std::vector<int8_t> gather;         // [channel][factor]
  std::vector<int8_t> spread;         // [channel][factor]
};

// What level `ultra` adds to a prediction. Numbers as they are stored.
struct PredictionHead {
  bool present = false;
  uint32_t unit_shift = 0;
  std::array<uint8_t, kHeadOutputs> output_shift{};
  std::vector<int8_t> west;          // [channel][factor], of the place to the left
  std::vector<int8_t> north;         // above
  std::vector<int8_t> traits;        // [channel][kHeadTraits], not negative
  uint32_t inputs = kHeadInputs;     // with reference maps kGivenInputs
  std::vector<int8_t> units;         // [kHeadUnits][inputs]
  std::vector<int16_t> unit_bias;    // [kHeadUnits]
  std::vector<int8_t> of_units;      // [kHeadOutputs][kHeadUnits]
  std::vector<int8_t> of_inputs;     // [kHeadOutputs][inputs]
  std::vector<int16_t> output_bias;  // [kHeadOutputs]
  std::vector<uint8_t> table_of;     // [kHeadMeanSteps][kHeadSpreadSteps]
};

// The parameters of `context-rans`, as docs/format/context-rans.md specifies them.
struct ContextParams {
  bool neighbours = false;
  ValueRange range;
  uint32_t channels = 0;  // 0: any number
  Requantizer requantizer;

  // With neighbours: weights in 1/64 of W, N, NW, NE and of |W-N|, |W-NW|, |N-NW|, |N-NE|.
  std::array<int8_t, 4> mean_weights{};
  std::array<int8_t, 4> spread_weights{};
  int16_t offset = 0;                                  // of the mean, in 1/64
  std::vector<int16_t> offsets;                        // instead, one a channel
  std::array<std::vector<int8_t>, 4> channel_weights;  // instead of mean_weights, [W, N, NW, NE][channel]
  std::vector<int16_t> spread_bias;                    // of a channel, in 1/64
  std::vector<int8_t> zero_bias;                       // of a channel, in zero classes
  std::array<uint8_t, kContextSteps> level1{};  // of the mean, times the number of levels of the spread
  std::array<uint8_t, kContextSteps> level2{};  // of the spread
  Prediction prediction;
  PredictionHead head;
  References references;

  std::vector<uint8_t> table_of;       // of a cell (kCells of them), or of a channel
  std::vector<uint8_t> zero_class_of;  //
  uint32_t tables = 0;
  std::vector<uint8_t> raw_bits;     // [table][token]
  std::vector<uint8_t> frequencies;  // [table][token]
};

// Reads and validates parameters, which may come from a stranger. Where they are to fit maps of so many
// `channels` (0: any), nothing is allocated for more; else a small multiple of their length.
Status parse_context_params(std::span<const uint8_t> data, uint32_t channels, ContextParams& params);

}  // namespace fmapzip
