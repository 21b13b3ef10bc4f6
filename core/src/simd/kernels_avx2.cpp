#include <immintrin.h>

#include "simd/kernels.hpp"

namespace fmapzip {
namespace {

struct WideRows {
  static constexpr size_t kRows = 32;
  __m256i x;

  static WideRows load(const uint8_t* p, ptrdiff_t next) {
    const __m128i a = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const __m128i b = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + next));
    return {_mm256_inserti128_si256(_mm256_castsi128_si256(a), b, 1)};
  }
  void store(uint8_t* p) const { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), x); }
  static WideRows low(WideRows a, WideRows b) { return {_mm256_unpacklo_epi8(a.x, b.x)}; }
  static WideRows high(WideRows a, WideRows b) { return {_mm256_unpackhi_epi8(a.x, b.x)}; }
};

#include "simd/general_x86.inc"

// For each byte of a bitmap, where to fetch the eight values from: byte shuffles for pshufb.
struct ShuffleTables {
  uint64_t compress[256];
  uint64_t expand[256];
};

constexpr ShuffleTables make_shuffles() {
  ShuffleTables tables{};
  for (uint64_t mask = 0; mask < 256; ++mask) {
    uint64_t compress = 0;
    uint64_t expand = 0;
    uint64_t rank = 0;
    for (uint64_t k = 0; k < 8; ++k) {
      const bool set = (mask >> k) & 1;
      expand |= (set ? rank : 0x80) << (8 * k);
      if (set) compress |= k << (8 * rank++);
    }
    tables.compress[mask] = compress;
    tables.expand[mask] = expand;
  }
  return tables;
}

constexpr ShuffleTables kShuffles = make_shuffles();
constexpr uint64_t kUpperHalf = 0x0808080808080808;  // the same shuffle, of the register's upper eight bytes

inline __m128i shuffle_pair(const uint64_t* table, uint32_t low_mask, uint32_t high_mask) {
  return _mm_set_epi64x(static_cast<long long>(table[high_mask] | kUpperHalf),
                        static_cast<long long>(table[low_mask]));
}

inline uint8_t* compress16(__m128i x, uint32_t mask, uint8_t* end) {
  const __m128i packed = _mm_shuffle_epi8(x, shuffle_pair(kShuffles.compress, mask & 0xFF, mask >> 8));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(end), packed);
  end += _mm_popcnt_u32(mask & 0xFF);
  _mm_storel_epi64(reinterpret_cast<__m128i*>(end), _mm_unpackhi_epi64(packed, packed));
  return end + _mm_popcnt_u32(mask >> 8);
}

#include "simd/nonzero_rest.inc"

size_t compress_nonzero(const uint8_t* src, size_t n, uint8_t* bitmap, uint8_t* values) {
  uint8_t* end = values;
  size_t i = 0;
  for (; i + 32 <= n; i += 32) {
    const __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(src + i));
    const uint32_t mask =
        ~static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(x, _mm256_setzero_si256())));
    __builtin_memcpy(bitmap + i / 8, &mask, 4);
    end = compress16(_mm256_castsi256_si128(x), mask & 0xFFFF, end);
    end = compress16(_mm256_extracti128_si256(x, 1), mask >> 16, end);
  }
  return static_cast<size_t>(compress_rest(src, i, n, bitmap, end) - values);
}

void expand_nonzero(const uint8_t* bitmap, size_t n, const uint8_t* values, size_t count, uint8_t* dst) {
  const uint8_t* const end = values + count;
  size_t i = 0;
  for (; i + 16 <= n && end - values >= 16; i += 16) {
    const uint32_t low = bitmap[i / 8];
    const uint32_t high = bitmap[i / 8 + 1];
    const __m128i first = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(values));
    values += _mm_popcnt_u32(low);
    const __m128i second = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(values));
    values += _mm_popcnt_u32(high);
    const __m128i x =
        _mm_shuffle_epi8(_mm_unpacklo_epi64(first, second), shuffle_pair(kShuffles.expand, low, high));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(dst + i), x);
  }
  expand_rest(bitmap, i, n, values, end, dst);
}

}  // namespace

const Kernels kAvx2Kernels{crc32c, transpose, compress_nonzero, expand_nonzero, popcount};

}  // namespace fmapzip
