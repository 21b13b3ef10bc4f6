#include "float_map.hpp"

#include <algorithm>

namespace fmapzip {
namespace {

constexpr size_t kPiece = size_t{1} << 20;  // kernels count in 32 bits

QuantizerRange range_of(Dtype dtype) {
  return dtype == Dtype::u8 ? QuantizerRange{0, 255} : QuantizerRange{-127, 127};
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

Quantized quantize_maps(const FloatMaps& maps, std::span<const float> scales, Dtype dtype, uint8_t* q) {
  const FloatKernels& kernels = float_kernels();
  const QuantizerRange range = range_of(dtype);
  Quantized found{true, 0, {}};
  if (one_value_runs(maps, scales)) {
    for (size_t i = 0; i < maps.size(); i += maps.channels) {
      found.finite &= kernels.quantize_each(maps.values + i, maps.channels, scales.data(), range, q + i,
                                            found.nonzeros, found.energy);
    }
    return found;
  }
  each_run(maps, scales.size() > 1, [&](size_t first, size_t count, size_t channel) {
    found.finite &= kernels.quantize(maps.values + first, count, scales[channel], range, q + first,
                                     found.nonzeros, found.energy);
  });
  return found;
}

void restore_maps(const uint8_t* q, const FloatMaps& maps, std::span<const float> scales, Dtype dtype,
                  float* out) {
  const FloatKernels& kernels = float_kernels();
  const bool is_signed = dtype == Dtype::i8;
  if (one_value_runs(maps, scales)) {
    for (size_t i = 0; i < maps.size(); i += maps.channels) {
      kernels.restore_each(q + i, maps.channels, scales.data(), is_signed, out + i);
    }
    return;
  }
  each_run(maps, scales.size() > 1, [&](size_t first, size_t count, size_t channel) {
    kernels.restore(q + first, count, scales[channel], is_signed, out + first);
  });
}

Energy dequantize_maps(const uint8_t* q, const FloatMaps& maps, std::span<const float> scales, Dtype dtype,
                       float* out) {
  const FloatKernels& kernels = float_kernels();
  const bool is_signed = dtype == Dtype::i8;
  Energy energy;
  if (one_value_runs(maps, scales)) {
    for (size_t i = 0; i < maps.size(); i += maps.channels) {
      kernels.dequantize_each(q + i, maps.values + i, maps.channels, scales.data(), is_signed, out + i,
                              energy);
    }
    return energy;
  }
  each_run(maps, scales.size() > 1, [&](size_t first, size_t count, size_t channel) {
    kernels.dequantize(q + first, maps.values + first, count, scales[channel], is_signed, out + first,
                       energy);
  });
  return energy;
}

}  // namespace fmapzip
