#include "float_map.hpp"

#include <algorithm>

namespace fmapzip {
namespace {

constexpr size_t kPiece = size_t{1} << 20;  // kernels count in 32 bits

QuantizerRange range_of(const IntegerGrid& grid) {
  return {static_cast<float>(grid.low - grid.zero_point), static_cast<float>(grid.high - grid.zero_point)};
}

IntegerFormat format_of(const IntegerGrid& grid) {
  return {grid.dtype == Dtype::i8, static_cast<float>(grid.zero_point)};
}

// Calls work(first, count, channel) for the runs of values that share a scale.
template <class Work>
void each_run(const FloatMaps& maps, bool per_channel, Work work) {
  const size_t run = per_channel ? maps.inner : maps.size();
  const size_t runs = per_channel ? maps.outer * maps.channels : 1;
  for (size_t i = 0; i < runs; ++i) {
    for (size_t done = 0; done < run; done += kPiece) {
      work(i * run + done, std::min(kPiece, run - done), per_channel ? i % maps.channels : 0);
    }
  }
}

bool one_value_runs(const FloatMaps& maps, std::span<const float> scales) {
  return scales.size() > 1 && maps.inner == 1;
}

}  // namespace

Quantized quantize_maps(const FloatMaps& maps, std::span<const float> scales, const IntegerGrid& grid,
                        uint8_t* q) {
  const FloatKernels& kernels = float_kernels();
  const QuantizerRange range = range_of(grid);
  const auto zero_point = static_cast<uint8_t>(grid.zero_point);
  const auto add_zero_point = [zero_point](uint8_t* values, size_t count) {
    if (zero_point == 0) return;
    for (size_t i = 0; i < count; ++i) values[i] = static_cast<uint8_t>(values[i] + zero_point);
  };
  Quantized found{true, 0, {}};
  if (one_value_runs(maps, scales)) {
    for (size_t i = 0; i < maps.size(); i += maps.channels) {
      found.finite &= kernels.quantize_each(maps.values + i, maps.channels, scales.data(), range, q + i,
                                            found.nonzeros, found.energy);
      add_zero_point(q + i, maps.channels);
    }
    return found;
  }
  each_run(maps, scales.size() > 1, [&](size_t first, size_t count, size_t channel) {
    found.finite &= kernels.quantize(maps.values + first, count, scales[channel], range, q + first,
                                     found.nonzeros, found.energy);
    add_zero_point(q + first, count);
  });
  return found;
}

void restore_maps(const uint8_t* q, const FloatMaps& maps, std::span<const float> scales,
                  const IntegerGrid& grid, float* out) {
  const FloatKernels& kernels = float_kernels();
  const IntegerFormat format = format_of(grid);
  if (one_value_runs(maps, scales)) {
    for (size_t i = 0; i < maps.size(); i += maps.channels) {
      kernels.restore_each(q + i, maps.channels, scales.data(), format, out + i);
    }
    return;
  }
  each_run(maps, scales.size() > 1, [&](size_t first, size_t count, size_t channel) {
    kernels.restore(q + first, count, scales[channel], format, out + first);
  });
}

Energy dequantize_maps(const uint8_t* q, const FloatMaps& maps, std::span<const float> scales,
                       const IntegerGrid& grid, float* out) {
  const FloatKernels& kernels = float_kernels();
  const IntegerFormat format = format_of(grid);
  Energy energy;
  if (one_value_runs(maps, scales)) {
    for (size_t i = 0; i < maps.size(); i += maps.channels) {
      kernels.dequantize_each(q + i, maps.values + i, maps.channels, scales.data(), format, out + i, energy);
    }
    return energy;
  }
  each_run(maps, scales.size() > 1, [&](size_t first, size_t count, size_t channel) {
    kernels.dequantize(q + first, maps.values + first, count, scales[channel], format, out + first, energy);
  });
  return energy;
}

}  // namespace fmapzip
