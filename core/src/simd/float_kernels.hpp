#pragma once

#include <cstddef>
#include <cstdint>

#include "simd/instruction_set.hpp"

namespace fmapzip {

// Integers that a quantizer may give, as floats, counted from the zero point.
struct QuantizerRange {
  float low;
  float high;
};

// How bytes stand for integers: unsigned or in two's complement, and which one stands for zero.
struct IntegerFormat {
  bool is_signed = false;
  float zero = 0;
};

// 1.5 * 2^23: adding it rounds half to even and leaves the integer in the low bits.
constexpr float kRoundingMagic = 12582912.0f;

// Partial sums of squares, the same number for every instruction set.
constexpr size_t kEnergyLanes = 16;

struct Energy {
  double signal = 0;  // sum of squares of the float values
  double noise = 0;   // sum of squares of what decoding changed
};

// Between floats and 8-bit integers, once for each instruction set. Every operation is IEEE binary32 or is
// done in the same order everywhere, so all sets give the same bits; the sources are compiled without
// contraction.
struct FloatKernels {
  // q = x / scale, rounded half to even, clamped and taken modulo 256; adds to `nonzeros`, and the energies
  // of x and of q scale - x. Returns whether all x are finite.
  bool (*quantize)(const float* x, size_t n, float scale, QuantizerRange range, uint8_t* q, size_t& nonzeros,
                   Energy& energy);

  // The same with a scale for each value.
  bool (*quantize_each)(const float* x, size_t n, const float* scales, QuantizerRange range, uint8_t* q,
                        size_t& nonzeros, Energy& energy);

  // out = (q - zero) scale.
  void (*restore)(const uint8_t* q, size_t n, float scale, IntegerFormat format, float* out);
  void (*restore_each)(const uint8_t* q, size_t n, const float* scales, IntegerFormat format, float* out);

  // The same; adds the energies of x and of out - x.
  void (*dequantize)(const uint8_t* q, const float* x, size_t n, float scale, IntegerFormat format,
                     float* out, Energy& energy);

  void (*dequantize_each)(const uint8_t* q, const float* x, size_t n, const float* scales,
                          IntegerFormat format, float* out, Energy& energy);
};

extern const FloatKernels kFloatScalar, kFloatAvx2, kFloatAvx512, kFloatNeon;

}  // namespace fmapzip
