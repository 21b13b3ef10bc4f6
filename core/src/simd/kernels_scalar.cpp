#include <array>
#include <bit>

#include "bits/endian.hpp"
#include "simd/kernels.hpp"

namespace fmapzip {
namespace {

constexpr uint32_t kPolynomial = 0x82F63B78;  // 0x1EDC6F41 with its bits reflected

// Slicing by eight (Kounavis and Berry, 2008): table k advances a byte by k further zero bytes.
constexpr std::array<std::array<uint32_t, 256>, 8> crc_tables() {
  std::array<std::array<uint32_t, 256>, 8> tables{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) ? kPolynomial : 0);
    tables[0][i] = crc;
  }
  for (size_t k = 1; k < 8; ++k) {
    for (size_t i = 0; i < 256; ++i) {
      const uint32_t crc = tables[k - 1][i];
      tables[k][i] = (crc >> 8) ^ tables[0][crc & 0xFF];
    }
  }
  return tables;
}

constexpr auto kCrc = crc_tables();

uint32_t crc32c(const uint8_t* data, size_t n, uint32_t crc) {
  for (; n >= 8; data += 8, n -= 8) {
    const uint64_t x = load_le<uint64_t>(data) ^ crc;
    crc = 0;
    for (size_t k = 0; k < 8; ++k) crc ^= kCrc[7 - k][(x >> (8 * k)) & 0xFF];
  }
  for (; n > 0; ++data, --n) crc = (crc >> 8) ^ kCrc[0][(crc ^ *data) & 0xFF];
  return crc;
}

void transpose(const uint8_t* src, ptrdiff_t src_stride, size_t rows, size_t cols, uint8_t* dst,
               ptrdiff_t dst_stride) {
  constexpr size_t kBlock = 32;  // both sides of a block stay in the first-level cache
  for (size_t r0 = 0; r0 < rows; r0 += kBlock) {
    const size_t r1 = r0 + kBlock < rows ? r0 + kBlock : rows;
    for (size_t k = 0; k < cols; ++k) {
      for (size_t r = r0; r < r1; ++r) {
        dst[static_cast<ptrdiff_t>(k) * dst_stride + static_cast<ptrdiff_t>(r)] =
            src[static_cast<ptrdiff_t>(r) * src_stride + static_cast<ptrdiff_t>(k)];
      }
    }
  }
}

// One bit for each of eight bytes that is not zero: a byte's lower bits carry into its highest.
inline unsigned nonzero_bytes(uint64_t x) {
  constexpr uint64_t kLower = 0x7F7F7F7F7F7F7F7F;
  const uint64_t flags = (((x & kLower) + kLower) | x) >> 7 & 0x0101010101010101;
  return static_cast<unsigned>(flags * 0x0102040810204080 >> 56);
}

#include "simd/nonzero_rest.inc"

size_t compress_nonzero(const uint8_t* src, size_t n, uint8_t* bitmap, uint8_t* values) {
  uint8_t* end = values;
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const uint64_t x = load_le<uint64_t>(src + i);
    const unsigned bits = nonzero_bytes(x);
    bitmap[i / 8] = static_cast<uint8_t>(bits);
#pragma GCC unroll 8
    for (unsigned k = 0; k < 8; ++k) {
      *end = static_cast<uint8_t>(x >> (8 * k));
      end += (bits >> k) & 1;
    }
  }
  return static_cast<size_t>(compress_rest(src, i, n, bitmap, end) - values);
}

void expand_nonzero(const uint8_t* bitmap, size_t n, const uint8_t* values, size_t count, uint8_t* dst) {
  const uint8_t* const end = values + count;
  size_t i = 0;
  for (; i + 8 <= n && end - values >= 8; i += 8) {
    const unsigned bits = bitmap[i / 8];
    uint64_t x = 0;
#pragma GCC unroll 8
    for (unsigned k = 0; k < 8; ++k) {
      const uint64_t bit = (bits >> k) & 1;
      x |= (*values * bit) << (8 * k);
      values += bit;
    }
    store_le(dst + i, x);
  }
  expand_rest(bitmap, i, n, values, end, dst);
}

size_t popcount(const uint8_t* data, size_t n) {
  size_t count = 0;
  for (; n >= 8; data += 8, n -= 8) count += static_cast<size_t>(std::popcount(load_le<uint64_t>(data)));
  for (; n > 0; ++data, --n) count += static_cast<size_t>(std::popcount(*data));
  return count;
}

}  // namespace

const Kernels kScalarKernels{crc32c, transpose, compress_nonzero, expand_nonzero, popcount};

}  // namespace fmapzip
