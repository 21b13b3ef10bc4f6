#ifdef __clang__
#include <immintrin.h>
#else
// GCC 12's headers use a value of their own making uninitialised on purpose (GCC bug 105593).
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#endif

#include "simd/dct_cm_kernels.hpp"
#include "simd/inline.hpp"

namespace fmapzip {
namespace {

constexpr unsigned kLanes = 16;
typedef uint32_t Vec __attribute__((vector_size(kLanes * 4)));
typedef int32_t SignedVec __attribute__((vector_size(kLanes * 4)));

#include "transform/angles.inc"
#include "transform/angles_rotate.inc"
#include "transform/dct.inc"

FMAPZIP_INLINE __m128i load128(const uint8_t* p) {
  return _mm_load_si128(reinterpret_cast<const __m128i*>(p));
}

FMAPZIP_INLINE Vec load_u8(const uint8_t* p) { return (Vec)_mm512_cvtepu8_epi32(load128(p)); }
FMAPZIP_INLINE Vec load_i8(const uint8_t* p) { return (Vec)_mm512_cvtepi8_epi32(load128(p)); }

FMAPZIP_INLINE Vec load_u16(const uint16_t* p) {
  return (Vec)_mm512_cvtepu16_epi32(_mm256_load_si256(reinterpret_cast<const __m256i*>(p)));
}

FMAPZIP_INLINE void store_u8(uint8_t* p, Vec x) {
  _mm_store_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8((__m512i)x));
}

FMAPZIP_INLINE void store_u16(uint16_t* p, Vec x) {
  _mm256_store_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16((__m512i)x));
}

FMAPZIP_INLINE __mmask64 lanes(unsigned n) { return _bzhi_u64(~uint64_t{0}, n); }

FMAPZIP_INLINE void copy_row(const uint8_t* src, unsigned n, uint8_t* dst) {
  _mm512_store_si512(dst, _mm512_maskz_loadu_epi8(lanes(n), src));
}

FMAPZIP_INLINE void copy_back(const uint8_t* src, unsigned n, uint8_t* dst) {
  if (n == kBlock) {
    _mm512_storeu_si512(dst, _mm512_load_si512(src));
  } else {
    _mm512_mask_storeu_epi8(dst, lanes(n), _mm512_load_si512(src));
  }
}

FMAPZIP_INLINE uint64_t nonzero(const uint8_t* row) {
  const __m512i x = _mm512_load_si512(row);
  return _mm512_test_epi8_mask(x, x);
}

FMAPZIP_INLINE void keep_only(uint8_t* row, uint64_t mask) {
  _mm512_store_si512(row, _mm512_maskz_mov_epi8(mask, _mm512_load_si512(row)));
}

#include "simd/dct_cm_fill.inc"
#include "simd/dct_cm_splits.inc"
#include "simd/dct_cm_steps.inc"
#include "simd/dct_cm_stream.inc"
#include "simd/dct_cm_transform.inc"

// The codes of a block: as bytes, saturated, and their low and high halves where one of them needs more.
struct Codes {
  __m512i bytes, low, high;
};

FMAPZIP_INLINE uint64_t at_least(const Codes& codes, unsigned threshold) {
  return _mm512_cmpge_epu8_mask(codes.bytes, _mm512_set1_epi8(static_cast<char>(threshold)));
}

struct ThresholdRows {
  alignas(64) uint8_t row[kThresholdCount][64];
};

constexpr ThresholdRows make_threshold_rows() {
  ThresholdRows t{};
  for (unsigned i = 0; i < kThresholdCount; ++i) {
    for (uint8_t& byte : t.row[i]) byte = kThresholds[i];
  }
  return t;
}

constexpr ThresholdRows kThresholdRows = make_threshold_rows();

FMAPZIP_INLINE uint64_t at_threshold(const Codes& codes, unsigned index) {
  return _mm512_cmpge_epu8_mask(codes.bytes, _mm512_load_si512(kThresholdRows.row[index]));
}

FMAPZIP_INLINE unsigned largest(const Codes& codes) {
  const __m512i x = _mm512_max_epu16(codes.low, codes.high);
  const __m256i half = _mm256_max_epu16(_mm512_castsi512_si256(x), _mm512_extracti64x4_epi64(x, 1));
  const __m128i quarter = _mm_max_epu16(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
  const __m128i inverted = _mm_xor_si128(quarter, _mm_set1_epi16(-1));
  return 0xFFFF ^ static_cast<unsigned>(_mm_cvtsi128_si32(_mm_minpos_epu16(inverted)) & 0xFFFF);
}

FMAPZIP_INLINE unsigned popcount(uint64_t x) { return static_cast<unsigned>(_mm_popcnt_u64(x)); }
FMAPZIP_INLINE unsigned bit_length(unsigned x) { return 32 - _lzcnt_u32(x); }
FMAPZIP_INLINE uint64_t extract_bits(uint64_t x, uint64_t mask) { return _pext_u64(x, mask); }
FMAPZIP_INLINE uint64_t deposit_bits(uint64_t x, uint64_t mask) { return _pdep_u64(x, mask); }

// For each width below 8: where the bytes of eight values lie, packed and in one 64-bit lane for each eight.
struct PackTables {
  alignas(64) uint8_t gather[8][64];   // from packed bytes to lanes
  alignas(64) uint8_t scatter[8][64];  // from lanes to packed bytes
  alignas(64) uint8_t shift[8][64];    // of each value in its lane
};

constexpr PackTables make_pack_tables() {
  PackTables t{};
  for (unsigned width = 1; width < 8; ++width) {
    for (unsigned i = 0; i < 64; ++i) {
      t.gather[width][i] = static_cast<uint8_t>((i / 8) * width + i % 8);
      t.shift[width][i] = static_cast<uint8_t>((i % 8) * width);
      if (i < 8 * width) t.scatter[width][i] = static_cast<uint8_t>((i / width) * 8 + i % width);
    }
  }
  return t;
}

constexpr PackTables kPack = make_pack_tables();

// Appends the low `bits` <= 504 bits of x; the others are zero.
FMAPZIP_INLINE void append(StreamWriter& w, __m512i x, unsigned bits) {
  const __m512i before = _mm512_alignr_epi64(x, _mm512_setzero_si512(), 7);
  __m512i out = _mm512_shldv_epi64(x, before, _mm512_set1_epi64(w.fill));
  out = _mm512_or_si512(out, _mm512_zextsi128_si512(_mm_cvtsi64_si128(static_cast<long long>(w.partial))));
  _mm512_storeu_si512(w.out, out);
  const unsigned total = w.fill + bits;
  w.out += total >> 3;
  w.fill = total & 7;
  w.partial = *w.out;
}

// Eight values of `width` <= 7 bits in each 64-bit lane of bytes -> eight times `width` bytes.
FMAPZIP_INLINE __m512i pack_bytes(__m512i x, unsigned width) {
  const __m512i pairs = _mm512_maddubs_epi16(_mm512_set1_epi16(static_cast<short>(1 | (256 << width))), x);
  const __m512i fours = _mm512_madd_epi16(pairs, _mm512_set1_epi32(1 | (65536 << (2 * width))));
  const __m512i low = _mm512_and_si512(fours, _mm512_set1_epi64(0xFFFFFFFF));
  const __m512i high = _mm512_sll_epi64(_mm512_srli_epi64(fours, 32), _mm_cvtsi32_si128(4 * width));
  return _mm512_maskz_permutexvar_epi8(lanes(8 * width), _mm512_load_si512(kPack.scatter[width]),
                                       _mm512_or_si512(low, high));
}

// 32 values of 8 to 14 bits -> four times `width` bytes.
FMAPZIP_INLINE __m512i pack_words(__m512i x, unsigned width) {
  const __m512i pairs = _mm512_madd_epi16(x, _mm512_set1_epi32(1 | (65536 << width)));
  const __m512i low = _mm512_and_si512(pairs, _mm512_set1_epi64(0xFFFFFFFF));
  const __m512i fours =
      _mm512_or_si512(low, _mm512_sll_epi64(_mm512_srli_epi64(pairs, 32), _mm_cvtsi32_si128(2 * width)));
  // Each 128-bit lane holds two times 4 * width bits: the second joins the first, `width` bytes together.
  const __m512i second = _mm512_unpackhi_epi64(fours, fours);
  const __m512i joined = _mm512_mask_blend_epi64(
      0xAA, _mm512_or_si512(fours, _mm512_sll_epi64(second, _mm_cvtsi32_si128(4 * width))),
      _mm512_srl_epi64(second, _mm_cvtsi32_si128(64 - 4 * width)));
  alignas(64) uint8_t bytes[64];
  alignas(64) uint8_t packed[80];
  _mm512_store_si512(bytes, joined);
  for (unsigned lane = 0; lane < 4; ++lane) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(packed + lane * width), load128(bytes + 16 * lane));
  }
  return _mm512_maskz_mov_epi8(lanes(4 * width), _mm512_load_si512(packed));
}

FMAPZIP_INLINE void put_wide_members(StreamWriter& w, const Codes& codes, uint64_t members, unsigned base,
                                     unsigned width) {
  const __m512i subtract = _mm512_set1_epi16(static_cast<short>(base));
  const auto put_half = [&](__m512i half, __mmask32 mask) {
    const __m512i x = _mm512_maskz_compress_epi16(mask, _mm512_sub_epi16(half, subtract));
    append(w, pack_words(x, width), popcount(mask) * width);
  };
  put_half(codes.low, static_cast<__mmask32>(members));
  put_half(codes.high, static_cast<__mmask32>(members >> 32));
}

FMAPZIP_INLINE void put_members(StreamWriter& w, const Codes& codes, uint64_t members, unsigned base,
                                unsigned width) {
  if (width > 7) return put_wide_members(w, codes, members, base, width);
  const __m512i low_bits = _mm512_set1_epi8(static_cast<char>((1u << width) - 1));
  const __m512i shifted = _mm512_sub_epi8(codes.bytes, _mm512_set1_epi8(static_cast<char>(base)));
  const __m512i x = _mm512_maskz_compress_epi8(members, _mm512_and_si512(shifted, low_bits));
  append(w, pack_bytes(x, width), popcount(members) * width);
}

#include "simd/dct_cm_block_choice_avx512.inc"

// table[x] for each byte.
FMAPZIP_INLINE __m512i look_up(const uint8_t* table, __m512i x) {
  const __m512i lower =
      _mm512_permutex2var_epi8(_mm512_loadu_si512(table), x, _mm512_loadu_si512(table + 64));
  const __m512i upper =
      _mm512_permutex2var_epi8(_mm512_loadu_si512(table + 128), x, _mm512_loadu_si512(table + 192));
  return _mm512_mask_blend_epi8(_mm512_movepi8_mask(x), lower, upper);
}

FMAPZIP_INLINE Codes load_codes(const uint16_t* source, unsigned n) {
  const uint64_t mask = lanes(n);
  Codes codes;
  codes.low = _mm512_maskz_loadu_epi16(static_cast<__mmask32>(mask), source);
  codes.high = _mm512_maskz_loadu_epi16(static_cast<__mmask32>(mask >> 32), source + 32);
  codes.bytes = _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtusepi16_epi8(codes.low)),
                                   _mm512_cvtusepi16_epi8(codes.high), 1);
  return codes;
}

FMAPZIP_INLINE Codes load_values(const uint8_t* values, unsigned n, const uint8_t* table) {
  Codes codes;
  codes.bytes = _mm512_maskz_loadu_epi8(lanes(n), values);
  if (table != nullptr) codes.bytes = _mm512_maskz_mov_epi8(lanes(n), look_up(table, codes.bytes));
  codes.low = _mm512_cvtepu8_epi16(_mm512_castsi512_si256(codes.bytes));
  codes.high = _mm512_cvtepu8_epi16(_mm512_extracti64x4_epi64(codes.bytes, 1));
  return codes;
}

#include "simd/dct_cm_block_codes.inc"
#include "simd/dct_cm_blocks.inc"

// `width` <= 7 bits for each member, as bytes at the members' positions.
FMAPZIP_INLINE __m512i read_bytes(StreamReader& r, uint64_t members, unsigned width) {
  if (width == 0) return _mm512_setzero_si512();
  const __m512i packed = _mm512_loadu_si512(r.data + (r.bit >> 3));
  const __m512i in_lanes = _mm512_permutexvar_epi8(_mm512_load_si512(kPack.gather[width]), packed);
  const __m512i shift =
      _mm512_add_epi8(_mm512_load_si512(kPack.shift[width]), _mm512_set1_epi8(static_cast<char>(r.bit & 7)));
  const __m512i x = _mm512_and_si512(_mm512_multishift_epi64_epi8(shift, in_lanes),
                                     _mm512_set1_epi8(static_cast<char>((1u << width) - 1)));
  r.bit += popcount(members) * width;
  return _mm512_maskz_expand_epi8(members, x);
}

// Up to 14 bits for each of 32 members, as words.
FMAPZIP_INLINE __m512i read_words(StreamReader& r, __mmask32 members, unsigned width) {
  const uint8_t* p = r.data + (r.bit >> 3);
  const __m512i aligned = _mm512_shrdv_epi64(_mm512_loadu_si512(p), _mm512_loadu_si512(p + 8),
                                             _mm512_set1_epi64(static_cast<long long>(r.bit & 7)));
  alignas(64) uint8_t bytes[80];
  alignas(64) uint16_t words[32];
  _mm512_store_si512(bytes, aligned);
  const uint64_t mask = 0x0001000100010001u * ((1u << width) - 1);
  for (unsigned i = 0; i < 8; ++i) {
    const unsigned bit = 4 * i * width;
    store64(reinterpret_cast<uint8_t*>(words) + 8 * i, _pdep_u64(load64(bytes + bit / 8) >> (bit & 7), mask));
  }
  r.bit += popcount(members) * width;
  return _mm512_maskz_expand_epi16(members, _mm512_load_si512(words));
}

// A block's codes: in bytes, or in `low` and `high` words if `wide`.
struct Decoded {
  __m512i bytes, low, high;
  bool wide, valid;
};

FMAPZIP_INLINE Decoded read_codes(StreamReader& r, unsigned n) {
  BlockMap map;
  Decoded d;
  d.valid = read_map(r, n, map);
  d.wide = map.bits > 7;
  __m512i sum = read_bytes(r, map.coded & ~map.rest, map.split.width);
  const __m512i step = _mm512_set1_epi8(static_cast<char>(1u << map.split.width));
  for (unsigned i = 0; i < map.split.selectors; ++i) {
    sum = _mm512_mask_add_epi8(sum, map.level[i], sum, step);
  }
  if (map.split.zero_bitmap) sum = _mm512_mask_add_epi8(sum, map.coded, sum, _mm512_set1_epi8(1));
  if (!d.wide) {
    d.bytes = _mm512_add_epi8(sum, read_bytes(r, map.rest, map.bits));
    return d;
  }
  d.low = _mm512_cvtepu8_epi16(_mm512_castsi512_si256(sum));
  d.high = _mm512_cvtepu8_epi16(_mm512_extracti64x4_epi64(sum, 1));
  d.low = _mm512_add_epi16(d.low, read_words(r, static_cast<__mmask32>(map.rest), map.bits));
  d.high = _mm512_add_epi16(d.high, read_words(r, static_cast<__mmask32>(map.rest >> 32), map.bits));
  return d;
}

bool read_block(StreamReader& r, unsigned n, uint16_t* codes) {
  Decoded d = read_codes(r, n);
  if (!d.wide) {
    d.low = _mm512_cvtepu8_epi16(_mm512_castsi512_si256(d.bytes));
    d.high = _mm512_cvtepu8_epi16(_mm512_extracti64x4_epi64(d.bytes, 1));
  }
  _mm512_storeu_si512(codes, d.low);
  _mm512_storeu_si512(codes + 32, d.high);
  return d.valid;
}

bool read_values(StreamReader& r, unsigned n, const uint8_t* table, unsigned limit, uint8_t* values) {
  Decoded d = read_codes(r, n);
  if (d.wide) {
    const __m512i most = _mm512_set1_epi16(static_cast<short>(limit - 1));
    const __mmask32 beyond = _mm512_cmpgt_epu16_mask(d.low, most) | _mm512_cmpgt_epu16_mask(d.high, most);
    d.valid = d.valid && beyond == 0;
    d.bytes = _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtepi16_epi8(d.low)),
                                 _mm512_cvtepi16_epi8(d.high), 1);
  } else {
    const __m512i most = _mm512_set1_epi8(static_cast<char>(limit - 1));
    d.valid = d.valid && _mm512_cmpgt_epu8_mask(d.bytes, most) == 0;
  }
  const __m512i x = table != nullptr ? look_up(table, d.bytes) : d.bytes;
  if (n == kBlock) {
    _mm512_storeu_si512(values, x);
  } else {
    _mm512_mask_storeu_epi8(values, lanes(n), x);
  }
  return d.valid;
}

}  // namespace

const DctCmKernels kDctCmAvx512{analyse,      synthesise, write_blocks, write_mask,
                                write_values, read_block, read_mask,    read_values};

}  // namespace fmapzip
