#pragma once

#include <span>

#include "fmapzip/map.hpp"
#include "simd/float_kernels.hpp"

namespace fmapzip {

// Dense float maps in memory order: `outer` times `channels` runs of `inner` values of one channel.
struct FloatMaps {
  const float* values;
  size_t outer;
  size_t channels;
  size_t inner;

  size_t size() const { return outer * channels * inner; }
};

struct Quantized {
  bool finite;
  size_t nonzeros;  // integers that do not stand for 0
  Energy energy;    // of the floats, and of what quantizing changed
};

// The integers that a quantizer gives, from `low` to `high`, of which `zero_point` stands for 0.
struct IntegerGrid {
  Dtype dtype;
  int low;
  int high;
  int zero_point;
};

// The integers of `maps` by one scale, or one for each channel.
Quantized quantize_maps(const FloatMaps& maps, std::span<const float> scales, const IntegerGrid& grid,
                        uint8_t* q);

// The floats of integers.
void restore_maps(const uint8_t* q, const FloatMaps& maps, std::span<const float> scales,
                  const IntegerGrid& grid, float* out);

// The same, and how far they are from `maps`.
Energy dequantize_maps(const uint8_t* q, const FloatMaps& maps, std::span<const float> scales,
                       const IntegerGrid& grid, float* out);

}  // namespace fmapzip
