#include <arm_acle.h>
#include <arm_neon.h>

#include "simd/kernels.hpp"

namespace fmapzip {
namespace {

using CrcState = uint32_t;
inline uint32_t crc_of_eight(uint32_t crc, uint64_t bytes) { return __crc32cd(crc, bytes); }
inline uint32_t crc_of_one(uint32_t crc, uint8_t byte) { return __crc32cb(crc, byte); }

// 16 bytes of one row.
struct OneRow {
  static constexpr size_t kRows = 16;
  uint8x16_t x;

  static OneRow load(const uint8_t* p, ptrdiff_t) { return {vld1q_u8(p)}; }
  void store(uint8_t* p) const { vst1q_u8(p, x); }
  static OneRow low(OneRow a, OneRow b) { return {vzip1q_u8(a.x, b.x)}; }
  static OneRow high(OneRow a, OneRow b) { return {vzip2q_u8(a.x, b.x)}; }
};
using WideRows = OneRow;

#include "simd/general.inc"

// For each byte of a bitmap, where to fetch the eight values from; 128 gives a zero.
struct ShuffleTables {
  uint64_t compress[256];
  uint64_t expand[256];
};

constexpr ShuffleTables make_shuffles() {
  ShuffleTables tables{};
  for (uint64_t mask = 0; mask < 256; ++mask) {
    uint64_t rank = 0;
    for (uint64_t k = 0; k < 8; ++k) {
      const bool set = (mask >> k) & 1;
      tables.expand[mask] |= (set ? rank : 0x80) << (8 * k);
      if (set) tables.compress[mask] |= k << (8 * rank++);
    }
  }
  return tables;
}

constexpr ShuffleTables kShuffles = make_shuffles();
constexpr uint64_t kEachByte = 0x0101010101010101;

// How many bits are set in the bytes up to each one, that included.
inline uint64_t ones_until(uint64_t mask) {
  return vget_lane_u64(vreinterpret_u64_u8(vcnt_u8(vcreate_u8(mask))), 0) * kEachByte;
}

// One bit for each of 64 bytes that is not zero.
inline uint64_t nonzero_mask(const uint8x16_t x[4]) {
  const uint8x16_t bit = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201));
  const auto bits = [&](int k) { return vandq_u8(vtstq_u8(x[k], x[k]), bit); };
  const uint8x16_t halves = vpaddq_u8(vpaddq_u8(bits(0), bits(1)), vpaddq_u8(bits(2), bits(3)));
  return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(halves, halves)), 0);
}

#include "simd/nonzero_rest.inc"

size_t compress_nonzero(const uint8_t* src, size_t n, uint8_t* bitmap, uint8_t* values) {
  uint8_t* end = values;
  size_t i = 0;
  for (; i + 64 <= n; i += 64) {
    const uint8x16_t x[4] = {vld1q_u8(src + i), vld1q_u8(src + i + 16), vld1q_u8(src + i + 32),
                             vld1q_u8(src + i + 48)};
    const uint64_t mask = nonzero_mask(x);
    __builtin_memcpy(bitmap + i / 8, &mask, 8);
    const uint64_t until = ones_until(mask);
    uint8_t* at = end;
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) {
      const uint8x8_t low = vcreate_u8(kShuffles.compress[mask >> (16 * k) & 0xFF]);
      const uint8x8_t high = vcreate_u8(kShuffles.compress[mask >> (16 * k + 8) & 0xFF]);
      vst1_u8(at, vqtbl1_u8(x[k], low));
      vst1_u8(end + (until >> (16 * k) & 0xFF), vqtbl1_u8(vextq_u8(x[k], x[k], 8), high));
      at = end + (until >> (16 * k + 8) & 0xFF);
    }
    end = at;
  }
  return static_cast<size_t>(compress_rest(src, i, n, bitmap, end) - values);
}

void expand_nonzero(const uint8_t* bitmap, size_t n, const uint8_t* values, size_t count, uint8_t* dst) {
  const uint8_t* const end = values + count;
  size_t i = 0;
  for (; i + 64 <= n && end - values >= 64; i += 64) {
    const uint64_t mask = load64(bitmap + i / 8);
    const uint64_t until = ones_until(mask);
    const uint8_t* at = values;
#pragma GCC unroll 8
    for (int k = 0; k < 8; ++k) {
      const uint8x8_t order = vcreate_u8(kShuffles.expand[mask >> (8 * k) & 0xFF]);
      vst1_u8(dst + i + 8 * k, vqtbl1_u8(vcombine_u8(vld1_u8(at), vcreate_u8(0)), order));
      at = values + (until >> (8 * k) & 0xFF);
    }
    values = at;
  }
  expand_rest(bitmap, i, n, values, end, dst);
}

size_t popcount(const uint8_t* data, size_t n) {
  size_t count = 0;
  for (; n >= 16; data += 16, n -= 16) count += vaddvq_u8(vcntq_u8(vld1q_u8(data)));
  for (; n > 0; ++data, --n) count += vaddv_u8(vcnt_u8(vcreate_u8(*data)));
  return count;
}

}  // namespace

const Kernels kNeonKernels{crc32c, transpose, compress_nonzero, expand_nonzero, popcount};

}  // namespace fmapzip
