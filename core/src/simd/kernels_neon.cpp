#include <arm_acle.h>
#include <arm_neon.h>

#include "simd/inline.hpp"
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
#include "simd/nonzero_rest.inc"
#include "simd/shuffles_neon.inc"

size_t compress_nonzero(const uint8_t* src, size_t n, uint8_t* bitmap, uint8_t* values) {
  uint8_t* end = values;
  size_t i = 0;
  for (; i + 64 <= n; i += 64) {
    const uint8x16_t x[4] = {vld1q_u8(src + i), vld1q_u8(src + i + 16), vld1q_u8(src + i + 32),
                             vld1q_u8(src + i + 48)};
    const uint64_t mask = nonzero_mask(x);
    __builtin_memcpy(bitmap + i / 8, &mask, 8);
    end = compress64(x, mask, end);
  }
  return static_cast<size_t>(compress_rest(src, i, n, bitmap, end) - values);
}

void expand_nonzero(const uint8_t* bitmap, size_t n, const uint8_t* values, size_t count, uint8_t* dst) {
  const uint8_t* const end = values + count;
  size_t i = 0;
  for (; i + 64 <= n && end - values >= 64; i += 64) {
    values = expand64(values, load64(bitmap + i / 8), dst + i);
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
