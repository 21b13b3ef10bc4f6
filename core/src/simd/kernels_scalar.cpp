#include <array>
#include <bit>

#include "bits/endian.hpp"
#include "simd/kernels.hpp"

namespace fmapzip {
namespace {

constexpr uint32_t kPolynomial = 0x82F63B78;  // 0x1EDC6F41 with its bits reflected

constexpr size_t kSlice = 16;

// Slicing (Kounavis and Berry, 2008): table k advances a byte by k further zero bytes.
constexpr std::array<std::array<uint32_t, 256>, kSlice> crc_tables() {
  std::array<std::array<uint32_t, 256>, kSlice> tables{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) ? kPolynomial : 0);
    tables[0][i] = crc;
  }
  for (size_t k = 1; k < kSlice; ++k) {
    for (size_t i = 0; i < 256; ++i) {
      const uint32_t crc = tables[k - 1][i];
      tables[k][i] = (crc >> 8) ^ tables[0][crc & 0xFF];
    }
  }
  return tables;
}

constexpr auto kCrc = crc_tables();

uint32_t crc32c(const uint8_t* data, size_t n, uint32_t crc) {
  for (; n >= kSlice; data += kSlice, n -= kSlice) {
    const uint64_t x = load_le<uint64_t>(data) ^ crc, y = load_le<uint64_t>(data + 8);
    crc = 0;
    for (size_t k = 0; k < 8; ++k) {
      crc ^= kCrc[15 - k][(x >> (8 * k)) & 0xFF] ^ kCrc[7 - k][(y >> (8 * k)) & 0xFF];
    }
  }
  for (; n > 0; ++data, --n) crc = (crc >> 8) ^ kCrc[0][(crc ^ *data) & 0xFF];
  return crc;
}

// Swaps what `mask` holds of `a`, above its other bits, with what it holds of `b`.
template <int kBits>
inline void swap_above(uint64_t& a, uint64_t& b, uint64_t mask) {
  const uint64_t change = ((a >> kBits) ^ b) & mask;
  b ^= change;
  a ^= change << kBits;
}

// Eight rows of eight bytes, in words.
inline void transpose_block(const uint8_t* src, ptrdiff_t src_stride, uint8_t* dst, ptrdiff_t dst_stride) {
  uint64_t row[8];
  for (int r = 0; r < 8; ++r) row[r] = load_le<uint64_t>(src + r * src_stride);
  for (int r = 0; r < 4; ++r) swap_above<32>(row[r], row[r + 4], 0x00000000FFFFFFFF);
  for (const int r : {0, 1, 4, 5}) swap_above<16>(row[r], row[r + 2], 0x0000FFFF0000FFFF);
  for (const int r : {0, 2, 4, 6}) swap_above<8>(row[r], row[r + 1], 0x00FF00FF00FF00FF);
  for (int r = 0; r < 8; ++r) store_le(dst + r * dst_stride, row[r]);
}

// Rows and columns that fill no block are transposed with some of those before.
void transpose(const uint8_t* src, ptrdiff_t src_stride, size_t rows, size_t cols, uint8_t* dst,
               ptrdiff_t dst_stride) {
  if (rows < 8 || cols < 8) {
    for (size_t k = 0; k < cols; ++k) {
      uint8_t* const column = dst + static_cast<ptrdiff_t>(k) * dst_stride;
      for (size_t r = 0; r < rows; ++r)
        column[r] = src[static_cast<ptrdiff_t>(r) * src_stride + static_cast<ptrdiff_t>(k)];
    }
    return;
  }
  for (size_t r = 0; r < rows; r += 8) {
    const auto row = static_cast<ptrdiff_t>(r + 8 <= rows ? r : rows - 8);
    for (size_t k = 0; k < cols; k += 8) {
      const auto column = static_cast<ptrdiff_t>(k + 8 <= cols ? k : cols - 8);
      transpose_block(src + row * src_stride + column, src_stride, dst + column * dst_stride + row,
                      dst_stride);
    }
  }
}

constexpr uint64_t kEachByte = 0x0101010101010101;

// One bit for each of eight bytes that is not zero: a byte's lower bits carry into its highest.
inline unsigned nonzero_bytes(uint64_t x) {
  constexpr uint64_t kLower = 0x7F7F7F7F7F7F7F7F;
  const uint64_t flags = (((x & kLower) + kLower) | x) >> 7 & kEachByte;
  return static_cast<unsigned>(flags * 0x0102040810204080 >> 56);
}

// A byte of 1 for each bit.
inline uint64_t flags_of(uint64_t bits) {
  const uint64_t spread = bits * kEachByte & 0x8040201008040201;
  return (spread + 0x7F7F7F7F7F7F7F7F) >> 7 & kEachByte;
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
      const auto value = static_cast<uint8_t>(x >> (8 * k));
      *end = value;
      end += value != 0;
    }
  }
  return static_cast<size_t>(compress_rest(src, i, n, bitmap, end) - values);
}

void expand_nonzero(const uint8_t* bitmap, size_t n, const uint8_t* values, size_t count, uint8_t* dst) {
  const uint8_t* const end = values + count;
  size_t i = 0;
  for (; i + 8 <= n && end - values >= 8; i += 8) {
    const uint64_t flags = flags_of(bitmap[i / 8]);
    const uint64_t until = flags * kEachByte;  // in each byte, how many values lie up to it
    uint64_t x = values[0];
#pragma GCC unroll 7
    for (unsigned k = 1; k < 8; ++k) x |= uint64_t{values[until >> (8 * k - 8) & 0xFF]} << (8 * k);
    store_le(dst + i, x & (flags * 0xFF));
    values += until >> 56;
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
