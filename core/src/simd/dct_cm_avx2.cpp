#include <immintrin.h>

#include "simd/dct_cm_kernels.hpp"
#include "simd/inline.hpp"

namespace fmapzip {
namespace {

constexpr unsigned kLanes = 8;
typedef uint32_t Vec __attribute__((vector_size(kLanes * 4)));
typedef int32_t SignedVec __attribute__((vector_size(kLanes * 4)));

#include "transform/angles.inc"
#include "transform/angles_rotate.inc"
#include "transform/dct.inc"

FMAPZIP_INLINE __m128i load_half(const uint8_t* p) {
  return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
}

FMAPZIP_INLINE __m256i load256(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
FMAPZIP_INLINE void store256(void* p, __m256i x) { _mm256_storeu_si256(static_cast<__m256i*>(p), x); }

FMAPZIP_INLINE Vec load_u8(const uint8_t* p) { return (Vec)_mm256_cvtepu8_epi32(load_half(p)); }
FMAPZIP_INLINE Vec load_i8(const uint8_t* p) { return (Vec)_mm256_cvtepi8_epi32(load_half(p)); }

FMAPZIP_INLINE Vec load_u16(const uint16_t* p) {
  return (Vec)_mm256_cvtepu16_epi32(_mm_load_si128(reinterpret_cast<const __m128i*>(p)));
}

// The low words of 32-bit lanes that hold at most 16 bits.
FMAPZIP_INLINE __m128i low_words(Vec x) {
  const __m256i packed = _mm256_packus_epi32((__m256i)x, (__m256i)x);
  return _mm256_castsi256_si128(_mm256_permute4x64_epi64(packed, 0x08));
}

FMAPZIP_INLINE void store_u16(uint16_t* p, Vec x) {
  _mm_store_si128(reinterpret_cast<__m128i*>(p), low_words(x));
}

FMAPZIP_INLINE void store_u8(uint8_t* p, Vec x) {
  const __m128i words = low_words(x & 0xFF);
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packus_epi16(words, words));
}

FMAPZIP_INLINE void copy_row(const uint8_t* src, unsigned n, uint8_t* dst) {
  if (n == kBlock) {
    store256(dst, load256(src));
    store256(dst + 32, load256(src + 32));
  } else {
    store256(dst, _mm256_setzero_si256());
    store256(dst + 32, _mm256_setzero_si256());
    __builtin_memcpy(dst, src, n);
  }
}

FMAPZIP_INLINE void copy_back(const uint8_t* src, unsigned n, uint8_t* dst) {
  if (n == kBlock) {
    store256(dst, load256(src));
    store256(dst + 32, load256(src + 32));
  } else {
    __builtin_memcpy(dst, src, n);
  }
}

// One bit a byte of two vectors of 0 or 255.
FMAPZIP_INLINE uint64_t bits_of(__m256i low, __m256i high) {
  const uint32_t l = static_cast<uint32_t>(_mm256_movemask_epi8(low));
  const uint32_t h = static_cast<uint32_t>(_mm256_movemask_epi8(high));
  return l | (uint64_t{h} << 32);
}

FMAPZIP_INLINE uint64_t nonzero(const uint8_t* row) {
  const __m256i zero = _mm256_setzero_si256();
  return ~bits_of(_mm256_cmpeq_epi8(load256(row), zero), _mm256_cmpeq_epi8(load256(row + 32), zero));
}

constexpr uint64_t kEachByte = 0x0101010101010101;
constexpr uint64_t kEachWord = 0x0001000100010001;

FMAPZIP_INLINE void keep_only(uint8_t* row, uint64_t mask) {
  for (unsigned i = 0; i < kBlock; i += 8, mask >>= 8) {
    uint64_t x;
    __builtin_memcpy(&x, row + i, 8);
    x &= _pdep_u64(mask, kEachByte) * 0xFF;
    __builtin_memcpy(row + i, &x, 8);
  }
}

#include "simd/dct_cm_fill.inc"
#include "simd/dct_cm_splits.inc"
#include "simd/dct_cm_steps.inc"
#include "simd/dct_cm_stream.inc"
#include "simd/dct_cm_transform.inc"

// The codes of a block: as bytes, saturated, and as words.
struct Codes {
  __m256i bytes[2];
  alignas(32) uint16_t words[kBlock];
};

FMAPZIP_INLINE uint64_t at_least(const Codes& codes, unsigned threshold) {
  const __m256i t = _mm256_set1_epi8(static_cast<char>(threshold));
  return bits_of(_mm256_cmpeq_epi8(_mm256_max_epu8(codes.bytes[0], t), codes.bytes[0]),
                 _mm256_cmpeq_epi8(_mm256_max_epu8(codes.bytes[1], t), codes.bytes[1]));
}

FMAPZIP_INLINE uint64_t at_threshold(const Codes& codes, unsigned index) {
  return at_least(codes, kThresholds[index]);
}

FMAPZIP_INLINE unsigned largest(const Codes& codes) {
  __m256i most = load256(codes.words);
  for (unsigned i = 16; i < kBlock; i += 16) most = _mm256_max_epu16(most, load256(codes.words + i));
  const __m128i half = _mm_max_epu16(_mm256_castsi256_si128(most), _mm256_extracti128_si256(most, 1));
  const __m128i inverted = _mm_xor_si128(half, _mm_set1_epi16(-1));
  return 0xFFFF ^ static_cast<unsigned>(_mm_cvtsi128_si32(_mm_minpos_epu16(inverted)) & 0xFFFF);
}

FMAPZIP_INLINE unsigned popcount(uint64_t x) { return static_cast<unsigned>(_mm_popcnt_u64(x)); }
FMAPZIP_INLINE unsigned bit_length(unsigned x) { return 32 - _lzcnt_u32(x); }
FMAPZIP_INLINE uint64_t extract_bits(uint64_t x, uint64_t mask) { return _pext_u64(x, mask); }
FMAPZIP_INLINE uint64_t deposit_bits(uint64_t x, uint64_t mask) { return _pdep_u64(x, mask); }

// Four words at a time: the bits to keep, and those of the members only, are one extraction.
FMAPZIP_INLINE void put_wide_members(StreamWriter& w, const Codes& codes, uint64_t members, unsigned base,
                                     unsigned width) {
  alignas(32) uint16_t shifted[kBlock];
  for (unsigned i = 0; i < kBlock; i += 16) {
    store256(shifted + i,
             _mm256_sub_epi16(load256(codes.words + i), _mm256_set1_epi16(static_cast<short>(base))));
  }
  for (unsigned i = 0; i < kBlock; i += 4, members >>= 4) {
    const uint64_t wanted = _pdep_u64(members, kEachWord) * ((1u << width) - 1);
    const uint64_t x = load64(reinterpret_cast<const uint8_t*>(shifted + i));
    put_long(w, _pext_u64(x, wanted), popcount(members & 15) * width);
  }
}

FMAPZIP_INLINE void put_members(StreamWriter& w, const Codes& codes, uint64_t members, unsigned base,
                                unsigned width) {
  if (width == 0 || members == 0) return;
  if (width > 7) return put_wide_members(w, codes, members, base, width);
  alignas(32) uint8_t shifted[kBlock];
  const __m256i subtract = _mm256_set1_epi8(static_cast<char>(base));
  store256(shifted, _mm256_sub_epi8(codes.bytes[0], subtract));
  store256(shifted + 32, _mm256_sub_epi8(codes.bytes[1], subtract));
  for (unsigned i = 0; i < kBlock; i += 8, members >>= 8) {
    const uint64_t wanted = _pdep_u64(members, kEachByte) * ((1u << width) - 1);
    put(w, _pext_u64(load64(shifted + i), wanted), popcount(members & 0xFF) * width);
  }
}

FMAPZIP_INLINE void saturate(Codes& codes) {
  for (unsigned half = 0; half < 2; ++half) {
    const uint16_t* words = codes.words + 32 * half;
    const __m256i packed = _mm256_packus_epi16(load256(words), load256(words + 16));
    codes.bytes[half] = _mm256_permute4x64_epi64(packed, 0xD8);
  }
}

FMAPZIP_INLINE Codes load_codes(const uint16_t* source, unsigned n) {
  Codes codes;
  if (n < kBlock) {
    __builtin_memset(codes.words, 0, sizeof codes.words);
    __builtin_memcpy(codes.words, source, n * sizeof *source);
  } else {
    __builtin_memcpy(codes.words, source, kBlock * sizeof *source);
  }
  saturate(codes);
  return codes;
}

FMAPZIP_INLINE Codes load_values(const uint8_t* values, unsigned n, const uint8_t* table) {
  Codes codes;
  if (n < kBlock) __builtin_memset(codes.words, 0, sizeof codes.words);
  for (unsigned i = 0; i < n; ++i) codes.words[i] = table != nullptr ? table[values[i]] : values[i];
  saturate(codes);
  return codes;
}

#include "simd/dct_cm_block_choice.inc"
#include "simd/dct_cm_block_codes.inc"
#include "simd/dct_cm_blocks.inc"

// Adds `width` <= 7 bits of the stream to each member.
FMAPZIP_INLINE void add_bytes(StreamReader& r, uint64_t members, unsigned width, uint8_t* codes) {
  if (width == 0) return;
  for (unsigned i = 0; i < kBlock; i += 8, members >>= 8) {
    const uint64_t wanted = _pdep_u64(members, kEachByte) * ((1u << width) - 1);
    const uint64_t x = _pdep_u64(get(r, popcount(members & 0xFF) * width), wanted);
    store64(codes + i, load64(codes + i) + x);
  }
}

FMAPZIP_INLINE void add_words(StreamReader& r, uint64_t members, unsigned width, uint16_t* codes) {
  for (unsigned i = 0; i < kBlock; i += 4, members >>= 4) {
    const uint64_t wanted = _pdep_u64(members, kEachWord) * ((1u << width) - 1);
    const uint64_t x = _pdep_u64(get(r, popcount(members & 15) * width), wanted);
    uint8_t* at = reinterpret_cast<uint8_t*>(codes + i);
    store64(at, load64(at) + x);
  }
}

// 255 in each byte whose bit is set.
FMAPZIP_INLINE __m256i bytes_of(uint32_t mask) {
  const __m256i spread = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
  const __m256i bit = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201));
  const __m256i x = _mm256_shuffle_epi8(_mm256_set1_epi32(static_cast<int>(mask)), spread);
  return _mm256_cmpeq_epi8(_mm256_and_si256(x, bit), bit);
}

// A block's codes: in bytes, or in words if `wide`.
struct Decoded {
  alignas(32) uint8_t bytes[kBlock];
  alignas(32) uint16_t words[kBlock];
  bool wide, valid;
};

FMAPZIP_INLINE void widen(Decoded& d) {
  for (unsigned i = 0; i < kBlock; i += 16) {
    const __m128i half = _mm_load_si128(reinterpret_cast<const __m128i*>(d.bytes + i));
    store256(d.words + i, _mm256_cvtepu8_epi16(half));
  }
}

FMAPZIP_INLINE void read_codes(StreamReader& r, unsigned n, Decoded& d) {
  BlockMap map;
  d.valid = read_map(r, n, map);
  d.wide = map.bits > 7;
  for (unsigned half = 0; half < 2; ++half) {
    const unsigned at = 32 * half;
    const __m256i step = _mm256_set1_epi8(static_cast<char>(1u << map.split.width));
    __m256i sum = _mm256_and_si256(bytes_of(static_cast<uint32_t>(map.coded >> at)),
                                   _mm256_set1_epi8(static_cast<char>(map.split.zero_bitmap)));
    for (unsigned i = 0; i < map.split.selectors; ++i) {
      sum = _mm256_add_epi8(sum, _mm256_and_si256(bytes_of(static_cast<uint32_t>(map.level[i] >> at)), step));
    }
    store256(d.bytes + at, sum);
  }
  add_bytes(r, map.coded & ~map.rest, map.split.width, d.bytes);
  if (d.wide) {
    widen(d);
    add_words(r, map.rest, map.bits, d.words);
  } else {
    add_bytes(r, map.rest, map.bits, d.bytes);
  }
}

bool read_block(StreamReader& r, unsigned n, uint16_t* codes) {
  Decoded d;
  read_codes(r, n, d);
  if (!d.wide) widen(d);
  __builtin_memcpy(codes, d.words, sizeof d.words);
  return d.valid;
}

bool read_values(StreamReader& r, unsigned n, const uint8_t* table, unsigned limit, uint8_t* values) {
  Decoded d;
  read_codes(r, n, d);
  if (!d.wide) widen(d);
  unsigned top = 0;
  for (unsigned i = 0; i < n; ++i) top = d.words[i] > top ? d.words[i] : top;
  for (unsigned i = 0; i < n; ++i) {
    values[i] = table != nullptr ? table[d.words[i] & 0xFF] : static_cast<uint8_t>(d.words[i]);
  }
  return d.valid && top < limit;
}

}  // namespace

const DctCmKernels kDctCmAvx2{analyse,      synthesise, write_blocks, write_mask,
                              write_values, read_block, read_mask,    read_values};

}  // namespace fmapzip
