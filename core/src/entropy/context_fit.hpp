#pragma once

#include <cstdint>
#include <vector>

#include "fmapzip/map.hpp"
#include "fmapzip/scratch.hpp"
#include "fmapzip/status.hpp"

namespace fmapzip {

// Parameters of `context-rans` for the frame of one map, from a part of its values where it is large. Fast,
// and the same bytes on every machine; training for a plan looks longer. Above 1, `numerator / denominator`
// is the step by which values are divided.
Status fit_context_params(ConstView map, ValueRange range, uint32_t numerator, uint32_t denominator,
                          Scratch& scratch, std::vector<uint8_t>& parameters);

// The same without neighbours: a table for each channel, from all values.
Status fit_channel_params(ConstView map, ValueRange range, uint32_t numerator, uint32_t denominator,
                          Scratch& scratch, std::vector<uint8_t>& parameters);

}  // namespace fmapzip
