#pragma once

#include <cstddef>
#include <cstdint>

#include "simd/instruction_set.hpp"

namespace fmapzip {

// The general kernels, once for each instruction set. All sets give the same bytes.
struct Kernels {
  // Remainder of the reflected CRC-32C division, without the inversions before and after.
  uint32_t (*crc32c)(const uint8_t* data, size_t n, uint32_t state);

  // dst[k][r] = src[r][k] for a matrix of rows x cols bytes; strides in bytes.
  void (*transpose)(const uint8_t* src, ptrdiff_t src_stride, size_t rows, size_t cols, uint8_t* dst,
                    ptrdiff_t dst_stride);

  // One bit a value into `bitmap` (least significant first, ceil(n/8) bytes, spare bits 0), the nonzero ones
  // to `values`, which has 64 bytes of slack. Returns how many are nonzero.
  size_t (*compress_nonzero)(const uint8_t* src, size_t n, uint8_t* bitmap, uint8_t* values);

  // The inverse, for a `bitmap` of `count` ones. Memory-safe whatever the bitmap: another thread may change
  // it after its ones were counted. `values` is not read past its `count` bytes.
  void (*expand_nonzero)(const uint8_t* bitmap, size_t n, const uint8_t* values, size_t count, uint8_t* dst);

  size_t (*popcount)(const uint8_t* data, size_t n);
};

extern const Kernels kScalarKernels, kAvx2Kernels, kAvx512Kernels, kNeonKernels;

}  // namespace fmapzip
