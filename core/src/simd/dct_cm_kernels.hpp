#pragma once

#include <cstddef>
#include <cstdint>

#include "simd/instruction_set.hpp"

namespace fmapzip {

inline constexpr unsigned kBlock = 64;          // most positions of a block
inline constexpr unsigned kMaxGroup = 32;       // longest transform
inline constexpr unsigned kBlockPadding = 512;  // zero bytes after a stream that read_* may look at
inline constexpr unsigned kMaxCodeBits = 14;

// Bits least significant first. `partial` holds the `fill` bits (0..7) that do not make a byte yet; up to 128
// bytes after `out` are overwritten at will.
struct StreamWriter {
  uint8_t* out;
  uint64_t partial = 0;
  unsigned fill = 0;
};

// A position in a stream that is followed by kBlockPadding zero bytes.
struct StreamReader {
  const uint8_t* data;
  size_t bit = 0;
};

// Quantizer of one frequency: (n + half) / step is ((n + half) * reciprocal) >> shift for every coefficient.
struct FrequencyStep {
  uint32_t index, step, half, reciprocal, shift;
};

// One group of channels: its transform length, how many channels are real, and the frequencies kept.
struct ChannelGroup {
  unsigned length;
  unsigned channels;
  unsigned kept;
  FrequencyStep steps[kMaxGroup];
};

// Kernels of dct-cm, once for each instruction set. All sets give the same bytes. A block has `n` <= 64
// positions; rows are read and written for exactly n bytes, of values from -below to 255 - below.
struct DctCmKernels {
  // Transforms and quantizes one block of a group: codes[k][position] of the kept frequencies. With `masks`,
  // also sets masks[channel], one bit a position that is not zero, and fills zeros with their neighbours'
  // mean.
  void (*analyse)(const uint8_t* const* rows, unsigned n, unsigned below, const ChannelGroup& group,
                  uint16_t (*codes)[kBlock], uint64_t* masks);
  // The inverse; positions outside `masks`, if given, become zero.
  void (*synthesise)(const uint16_t (*codes)[kBlock], unsigned n, unsigned below, const ChannelGroup& group,
                     const uint64_t* masks, uint8_t* const* rows);

  // `count` <= kMaxGroup blocks of n positions each.
  void (*write_blocks)(const uint16_t (*codes)[kBlock], unsigned count, unsigned n, StreamWriter& writer);
  // Rows of a zero mask; `n` bits of `mask`.
  void (*write_mask)(uint64_t mask, unsigned n, StreamWriter& writer);
  // Blocks of the values themselves, one after another, through a table of their codes (none: the values are
  // the codes).
  void (*write_values)(const uint8_t* values, unsigned count, unsigned n, const uint8_t* table,
                       StreamWriter& writer);

  // These give false for what no encoder writes: a reserved width or mode, a code that is not below `limit`.
  bool (*read_block)(StreamReader& reader, unsigned n, uint16_t* codes);
  bool (*read_mask)(StreamReader& reader, unsigned n, uint64_t& mask);
  bool (*read_values)(StreamReader& reader, unsigned n, const uint8_t* table, unsigned limit,
                      uint8_t* values);
};

extern const DctCmKernels kDctCmScalar, kDctCmAvx2, kDctCmAvx512, kDctCmNeon;

}  // namespace fmapzip
