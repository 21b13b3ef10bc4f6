#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

// What parameters say of reference maps: plain data, which kernels never see.
namespace fmapzip {

inline constexpr uint32_t kMaxReferences = 2;
inline constexpr uint32_t kMaxReferenceInputs = 65535;  // of an estimate: their sum fits 32 bits
inline constexpr uint32_t kMaxReferenceShift = 24;
inline constexpr int32_t kLowestEstimate = -2048, kHighestEstimate = 4095;  // in 1/16 of a value
inline constexpr uint32_t kEstimateLimit = 512;  // more than companded estimates reach

// What an estimate hears of one reference map.
struct Reference {
  bool same_channel = false;  // the value's own channel, else all
  bool wide = false;          // 3x3 positions, else one
  uint32_t stride = 1;        // rows and columns of the reference for one of the map
  bool is_signed = false;     // holds int8
  uint8_t outside = 0;        // the byte that stands outside the map
  uint32_t channels = 0;

  uint32_t positions() const { return wide ? 9 : 1; }
  uint32_t inputs() const { return positions() * (same_channel ? 1 : channels); }
};

// Numbers as they are stored.
struct References {
  std::vector<Reference> maps;  // none: values are told by nothing but their own map
  uint32_t inputs = 0;          // of all
  std::vector<int8_t> weights;  // [channel][input], those of one reference after those of the other
  std::vector<int8_t> shifts;   // [channel], not negative
  std::vector<int16_t> biases;  // [channel]
  std::vector<int8_t> own;      // [channel]: weight of the estimate in the mean
};

}  // namespace fmapzip
