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
    const uint32_t x = load_le<uint32_t>(data) ^ crc, y = load_le<uint32_t>(data + 4);
    const uint64_t z = load_le<uint64_t>(data + 8);
    // What does not wait for the bytes before comes first.
    uint32_t known =
        kCrc[11][y & 0xFF] ^ kCrc[10][y >> 8 & 0xFF] ^ kCrc[9][y >> 16 & 0xFF] ^ kCrc[8][y >> 24];
    for (size_t k = 0; k < 8; ++k) known ^= kCrc[7 - k][z >> (8 * k) & 0xFF];
    crc = known ^
          ((kCrc[15][x & 0xFF] ^ kCrc[14][x >> 8 & 0xFF]) ^ (kCrc[13][x >> 16 & 0xFF] ^ kCrc[12][x >> 24]));
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

// How bytes close up to those that are kept of eight, or spread again (compress and expand by halves of a
// word, as in Warren, "Hacker's Delight"): the bytes that move by one, two and four places, as they lie
// before that move, and those that are kept.
struct Moves {
  uint64_t by[3];
  uint64_t kept;
};

constexpr std::array<Moves, 256> moves_of_bits() {
  std::array<Moves, 256> made{};
  for (unsigned bits = 0; bits < 256; ++bits) {
    unsigned kept = 0;
    for (unsigned i = 0; i < 8; ++i) {
      if ((bits >> i & 1) == 0) continue;
      unsigned place = i;
      made[bits].kept |= uint64_t{0xFF} << (8 * i);
      for (unsigned step = 0; step < 3; ++step) {
        if (((i - kept) >> step & 1) == 0) continue;
        made[bits].by[step] |= uint64_t{0xFF} << (8 * place);
        place -= 1u << step;
      }
      ++kept;
    }
  }
  return made;
}

constexpr auto kMoves = moves_of_bits();

constexpr std::array<uint8_t, 256> counts_of_bits() {
  std::array<uint8_t, 256> counts{};
  for (unsigned bits = 0; bits < 256; ++bits) counts[bits] = static_cast<uint8_t>(std::popcount(bits));
  return counts;
}

constexpr auto kCount = counts_of_bits();

// Of bytes that are zero where they are not kept.
inline uint64_t compressed(uint64_t x, const Moves& moves) {
  for (int step = 0; step < 3; ++step) {
    const uint64_t moving = x & moves.by[step];
    x = (x ^ moving) | moving >> (8 << step);
  }
  return x;
}

inline uint64_t expanded(uint64_t x, const Moves& moves) {
  for (int step = 2; step >= 0; --step) {
    const uint64_t mask = moves.by[step];
    x = (x & ~mask) | (x << (8 << step) & mask);
  }
  return x & moves.kept;
}

#include "simd/nonzero_rest.inc"

// Stores whole words of values.
size_t compress_nonzero(const uint8_t* src, size_t n, uint8_t* bitmap, uint8_t* values) {
  uint8_t* end = values;
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const uint64_t x = load_le<uint64_t>(src + i);
    const unsigned bits = nonzero_bytes(x);
    bitmap[i / 8] = static_cast<uint8_t>(bits);
    store_le(end, compressed(x, kMoves[bits]));
    end += kCount[bits];
  }
  return static_cast<size_t>(compress_rest(src, i, n, bitmap, end) - values);
}

void expand_nonzero(const uint8_t* bitmap, size_t n, const uint8_t* values, size_t count, uint8_t* dst) {
  const uint8_t* const end = values + count;
  size_t i = 0;
  for (; i + 8 <= n && end - values >= 8; i += 8) {
    const unsigned bits = bitmap[i / 8];
    store_le(dst + i, expanded(load_le<uint64_t>(values), kMoves[bits]));
    values += kCount[bits];
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
