#include "simd/dct_cm_kernels.hpp"
#include "simd/inline.hpp"

namespace fmapzip {
namespace {

// Vectors of the compiler's own, of the width that every 64-bit target has.
constexpr unsigned kLanes = 4;
typedef uint32_t Vec __attribute__((vector_size(kLanes * 4)));
typedef int32_t SignedVec __attribute__((vector_size(kLanes * 4)));

#include "transform/angles.inc"
#include "transform/angles_rotate.inc"
#include "transform/dct.inc"

FMAPZIP_INLINE Vec load_u8(const uint8_t* p) { return Vec{p[0], p[1], p[2], p[3]}; }

FMAPZIP_INLINE Vec load_i8(const uint8_t* p) {
  return (Vec)(SignedVec{static_cast<int8_t>(p[0]), static_cast<int8_t>(p[1]), static_cast<int8_t>(p[2]),
                         static_cast<int8_t>(p[3])});
}

FMAPZIP_INLINE Vec load_u16(const uint16_t* p) { return Vec{p[0], p[1], p[2], p[3]}; }

FMAPZIP_INLINE void store_u8(uint8_t* p, Vec x) {
  for (unsigned i = 0; i < kLanes; ++i) p[i] = static_cast<uint8_t>(x[i]);
}

FMAPZIP_INLINE void store_u16(uint16_t* p, Vec x) {
  for (unsigned i = 0; i < kLanes; ++i) p[i] = static_cast<uint16_t>(x[i]);
}

FMAPZIP_INLINE void copy_row(const uint8_t* src, unsigned n, uint8_t* dst) {
  __builtin_memset(dst, 0, kBlock);
  __builtin_memcpy(dst, src, n);
}

FMAPZIP_INLINE void copy_back(const uint8_t* src, unsigned n, uint8_t* dst) { __builtin_memcpy(dst, src, n); }

FMAPZIP_INLINE uint64_t nonzero(const uint8_t* row) {
  uint64_t mask = 0;
  for (unsigned i = 0; i < kBlock; ++i) mask |= uint64_t{row[i] != 0} << i;
  return mask;
}

FMAPZIP_INLINE void keep_only(uint8_t* row, uint64_t mask) {
  for (unsigned i = 0; i < kBlock; ++i) row[i] = static_cast<uint8_t>(row[i] & -((mask >> i) & 1));
}

#include "simd/dct_cm_fill.inc"
#include "simd/dct_cm_splits.inc"
#include "simd/dct_cm_steps.inc"
#include "simd/dct_cm_stream.inc"
#include "simd/dct_cm_transform.inc"

// The codes of a block, zero beyond its positions; `low` has them cut to 7 bits, eight to a word.
struct Codes {
  uint16_t code[kBlock];
  uint64_t low[kBlock / 8];
};

constexpr uint64_t kEachByte = 0x0101010101010101;

// Eight comparisons in a word: the sum carries into the top bit of each byte that is large enough.
FMAPZIP_INLINE uint64_t at_least(const Codes& codes, unsigned threshold) {
  uint64_t mask = 0;
  for (unsigned i = 0; i < kBlock / 8; ++i) {
    const uint64_t reached = ((codes.low[i] + (128 - threshold) * kEachByte) >> 7) & kEachByte;
    mask |= (reached * 0x0102040810204080 >> 56) << (8 * i);
  }
  return mask;
}

FMAPZIP_INLINE uint64_t at_threshold(const Codes& codes, unsigned index) {
  return at_least(codes, kThresholds[index]);
}

FMAPZIP_INLINE unsigned largest(const Codes& codes) {
  unsigned top = 0;
  for (const uint16_t code : codes.code) top = code > top ? code : top;
  return top;
}

FMAPZIP_INLINE void fill_low(Codes& codes) {
  for (unsigned i = 0; i < kBlock / 8; ++i) {
    codes.low[i] = 0;
    for (unsigned k = 0; k < 8; ++k) {
      const uint64_t code = codes.code[8 * i + k];
      codes.low[i] |= (code < 127 ? code : 127) << (8 * k);
    }
  }
}

FMAPZIP_INLINE unsigned popcount(uint64_t x) {
  x -= (x >> 1) & 0x5555555555555555;
  x = (x & 0x3333333333333333) + ((x >> 2) & 0x3333333333333333);
  return static_cast<unsigned>(((x + (x >> 4)) & 0x0F0F0F0F0F0F0F0F) * kEachByte >> 56);
}

FMAPZIP_INLINE unsigned bit_length(unsigned x) {
  return x ? 32 - static_cast<unsigned>(__builtin_clz(x)) : 0;
}

FMAPZIP_INLINE uint64_t extract_bits(uint64_t x, uint64_t mask) {
  uint64_t out = 0;
  for (unsigned i = 0; mask != 0; mask &= mask - 1, ++i) {
    out |= ((x >> __builtin_ctzll(mask)) & 1) << i;
  }
  return out;
}

FMAPZIP_INLINE uint64_t deposit_bits(uint64_t x, uint64_t mask) {
  uint64_t out = 0;
  for (; mask != 0; mask &= mask - 1, x >>= 1) out |= (x & 1) << __builtin_ctzll(mask);
  return out;
}

FMAPZIP_INLINE void put_members(StreamWriter& w, const Codes& codes, uint64_t members, unsigned base,
                                unsigned width) {
  if (width == 0) return;
  for (; members != 0; members &= members - 1) {
    put(w, (codes.code[__builtin_ctzll(members)] - base) & ((1u << width) - 1), width);
  }
}

FMAPZIP_INLINE Codes load_codes(const uint16_t* source, unsigned n) {
  Codes codes{};
  __builtin_memcpy(codes.code, source, n * sizeof *source);
  fill_low(codes);
  return codes;
}

FMAPZIP_INLINE Codes load_values(const uint8_t* values, unsigned n, const uint8_t* table) {
  Codes codes{};
  for (unsigned i = 0; i < n; ++i) codes.code[i] = table ? table[values[i]] : values[i];
  fill_low(codes);
  return codes;
}

#include "simd/dct_cm_block_choice.inc"
#include "simd/dct_cm_block_codes.inc"
#include "simd/dct_cm_blocks.inc"

// Codes of a block from its map and the packed values that follow.
FMAPZIP_INLINE bool read_codes(StreamReader& r, unsigned n, uint16_t* codes) {
  BlockMap map;
  const bool valid = read_map(r, n, map);
  for (unsigned i = 0; i < n; ++i) codes[i] = 0;
  const auto add = [&](uint64_t members, unsigned constant, unsigned width) {
    for (; members != 0; members &= members - 1) {
      codes[__builtin_ctzll(members)] += static_cast<uint16_t>(constant + get(r, width));
    }
  };
  for (unsigned i = 0; i < map.split.selectors; ++i) add(map.level[i], 1u << map.split.width, 0);
  add(map.coded & ~map.rest, map.split.zero_bitmap, map.split.width);
  add(map.rest, map.split.zero_bitmap, map.bits);
  return valid;
}

bool read_block(StreamReader& r, unsigned n, uint16_t* codes) { return read_codes(r, n, codes); }

bool read_values(StreamReader& r, unsigned n, const uint8_t* table, unsigned limit, uint8_t* values) {
  uint16_t codes[kBlock];
  bool valid = read_codes(r, n, codes);
  for (unsigned i = 0; i < n; ++i) {
    valid = valid && codes[i] < limit;
    values[i] = table ? table[codes[i] & 0xFF] : static_cast<uint8_t>(codes[i]);
  }
  return valid;
}

}  // namespace

const DctCmKernels kDctCmScalar{analyse,      synthesise, write_blocks, write_mask,
                                write_values, read_block, read_mask,    read_values};

}  // namespace fmapzip
