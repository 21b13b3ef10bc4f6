// GCC 12 warns of its own _mm512_undefined (bug 105593), where the intrinsics are inlined.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>

#include "entropy/context_kernels.hpp"

namespace fmapzip {
namespace {

#include "entropy/context_common.inc"

constexpr uint32_t kVector = 16;  // lanes a register

inline __m512i load(const void* p) { return _mm512_loadu_si512(p); }
inline void store(void* p, __m512i x) { _mm512_storeu_si512(p, x); }
inline __m512i widened(const uint8_t* p) {
  return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
inline __mmask16 first_lanes(uint32_t n) {
  return n >= kVector ? 0xFFFF : static_cast<__mmask16>((1u << n) - 1);
}
inline __mmask64 first_bytes(uint32_t n) { return n >= 64 ? ~__mmask64{0} : (__mmask64{1} << n) - 1; }

struct ByteTable {
  __m512i part[4];

  explicit ByteTable(const uint8_t* table)
      : part{load(table), load(table + 64), load(table + 128), load(table + 192)} {}
  __m512i operator[](__m512i i) const {
    const __m512i low = _mm512_permutex2var_epi8(part[0], i, part[1]);
    const __m512i high = _mm512_permutex2var_epi8(part[2], i, part[3]);
    return _mm512_mask_blend_epi8(_mm512_movepi8_mask(i), low, high);
  }
};

void look_up(const uint8_t table[256], const uint8_t* src, size_t n, uint8_t* dst) {
  const ByteTable values(table);
  size_t i = 0;
  for (; i + 64 <= n; i += 64) store(dst + i, values[load(src + i)]);
  if (i == n) return;
  const __mmask64 rest = first_bytes(static_cast<uint32_t>(n - i));
  _mm512_mask_storeu_epi8(dst + i, rest, values[_mm512_maskz_loadu_epi8(rest, src + i)]);
}

inline __m512i weight_pair(const int8_t* w) {
  return _mm512_set1_epi16(
      static_cast<int16_t>(static_cast<uint8_t>(w[0]) | static_cast<uint8_t>(w[1]) << 8));
}

inline __m512i distance(__m512i a, __m512i b) {
  return _mm512_or_si512(_mm512_subs_epu8(a, b), _mm512_subs_epu8(b, a));
}

// Sums of 64 values in the order that unpacking leaves them in: 8 of each 16 in `low`, the others in `high`.
struct Sums {
  __m512i low;
  __m512i high;
};

inline Sums weighted(__m512i w01, __m512i w23, __m512i a, __m512i b, __m512i c, __m512i d) {
  return {_mm512_adds_epi16(_mm512_maddubs_epi16(_mm512_unpacklo_epi8(a, b), w01),
                            _mm512_maddubs_epi16(_mm512_unpacklo_epi8(c, d), w23)),
          _mm512_adds_epi16(_mm512_maddubs_epi16(_mm512_unpackhi_epi8(a, b), w01),
                            _mm512_maddubs_epi16(_mm512_unpackhi_epi8(c, d), w23))};
}

// 64 consecutive 16-bit numbers in the order of Sums, and back.
inline Sums unpacked(const int16_t* p) {
  const __m512i a = load(p), b = load(p + 32);
  return {_mm512_permutex2var_epi64(a, _mm512_setr_epi64(0, 1, 4, 5, 8, 9, 12, 13), b),
          _mm512_permutex2var_epi64(a, _mm512_setr_epi64(2, 3, 6, 7, 10, 11, 14, 15), b)};
}
inline void store_packed(int16_t* p, const Sums& s) {
  store(p, _mm512_permutex2var_epi64(s.low, _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11), s.high));
  store(p + 32, _mm512_permutex2var_epi64(s.low, _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15), s.high));
}

inline Sums operator+(const Sums& a, const Sums& b) {
  return {_mm512_adds_epi16(a.low, b.low), _mm512_adds_epi16(a.high, b.high)};
}

inline __m512i bytes_of(const Sums& s) {
  return _mm512_packus_epi16(_mm512_srai_epi16(s.low, 6), _mm512_srai_epi16(s.high, 6));
}

// Everything that the contexts of a row need, held in registers or close by.
struct Contexts {
  const ContextTables& t;
  ByteTable level1, level2, table_of, zero_class_of;
  __m512i w01, w23, d01, d23;

  explicit Contexts(const ContextTables& tables)
      : t(tables),
        level1(t.level1),
        level2(t.level2),
        table_of(t.table_of),
        zero_class_of(t.zero_class_of),
        w01(weight_pair(t.mean_weights)),
        w23(weight_pair(t.mean_weights + 2)),
        d01(weight_pair(t.spread_weights)),
        d23(weight_pair(t.spread_weights + 2)) {}

  // For channels first .. first + count - 1 of one position. `shift` is what other channels add to the means,
  // which go to `sums` before that; null without prediction across channels.
  void span(const Neighbours& near, uint32_t first, uint32_t count, const int16_t* shift, int16_t* sums,
            uint8_t* table, uint8_t* zero_class) const {
    for (uint32_t i = 0; i < count; i += 64) {
      const uint32_t c = first + i;
      const __m512i w = load(near.w + c), n = load(near.n + c), nw = load(near.nw + c),
                    ne = load(near.ne + c);
      const __m512i offset = _mm512_set1_epi16(t.offset);
      Sums mean = weighted(w01, w23, w, n, nw, ne) +
                  (t.offsets != nullptr ? unpacked(t.offsets + c) : Sums{offset, offset});
      if (shift != nullptr) {
        store_packed(sums + i, mean);
        mean = mean + unpacked(shift + i);
      }
      const Sums spread =
          weighted(d01, d23, distance(w, n), distance(w, nw), distance(n, nw), distance(n, ne));
      const __m512i cell = _mm512_add_epi8(level1[bytes_of(mean)], level2[bytes_of(spread)]);
      store(table + i, table_of[cell]);
      store(zero_class + i, zero_class_of[cell]);
    }
  }
};

// Prediction across channels of one position.
class Prediction {
 public:
  explicit Prediction(const ContextTables& tables) : t(tables) {}

  void begin() { gathered_[0] = gathered_[1] = _mm512_setzero_si512(); }

  // What the factors gathered so far add to the means of a span, to `shift`.
  void spread(uint32_t first, uint32_t count, int16_t* shift) const {
    alignas(64) int16_t factors[32];
    for (int half = 0; half < 2; ++half) {
      const __m512i scaled =
          _mm512_sra_epi32(gathered_[half], _mm_cvtsi32_si128(static_cast<int>(t.gather_shift)));
      _mm256_store_si256(reinterpret_cast<__m256i*>(factors + 16 * half), _mm512_cvtsepi32_epi16(scaled));
    }
    const uint32_t pairs = t.rank / 2;
    for (uint32_t i = 0; i < count; i += kVector) {
      const int16_t* loadings = t.spread + size_t{(first + i) / kVector} * pairs * 32;
      __m512i sum = _mm512_setzero_si512();
      for (uint32_t k = 0; k < pairs; ++k) {
        int32_t pair;
        __builtin_memcpy(&pair, factors + 2 * k, 4);
        sum = _mm512_add_epi32(sum, _mm512_madd_epi16(load(loadings + 32 * k), _mm512_set1_epi32(pair)));
      }
      sum = _mm512_sra_epi32(sum, _mm_cvtsi32_si128(static_cast<int>(t.spread_shift)));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(shift + i), _mm512_cvtsepi32_epi16(sum));
    }
  }

  // Adds the residuals of a span whose values are known.
  void gather(uint32_t first, uint32_t count, const uint8_t* companded, const int16_t* sums) {
    alignas(64) int16_t residuals[kMaxSpan];
    const __m512i origin = _mm512_set1_epi16(static_cast<int16_t>(t.mean_origin));
    for (uint32_t i = 0; i < count; i += 32) {
      const __m512i value =
          _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(companded + first + i)));
      const __m512i mean = _mm512_sub_epi16(_mm512_srai_epi16(load(sums + i), 6), origin);
      const __m512i residual = _mm512_max_epi16(
          _mm512_min_epi16(_mm512_sub_epi16(value, mean), _mm512_set1_epi16(63)), _mm512_set1_epi16(-64));
      store(residuals + i, residual);
    }
    for (uint32_t i = 0; i < count; i += 2) {
      int32_t pair;
      __builtin_memcpy(&pair, residuals + i, 4);
      if (i + 1 == count) pair &= 0xFFFF;
      const int16_t* loadings = t.gather + size_t{first + i} * t.rank;
      const __m512i both = _mm512_set1_epi32(pair);
      gathered_[0] = _mm512_add_epi32(gathered_[0], _mm512_madd_epi16(load(loadings), both));
      if (t.rank > kVector) {
        gathered_[1] = _mm512_add_epi32(gathered_[1], _mm512_madd_epi16(load(loadings + 32), both));
      }
    }
  }

 private:
  static constexpr uint32_t kMaxSpan = 256;

  const ContextTables& t;
  __m512i gathered_[2];
};

constexpr uint32_t kMaxShifts = 256 + 64;

// Calls `work(contexts ready for this span)` span by span; see the portable kernels.
template <class Work>
inline bool each_span(const Contexts& contexts, Prediction& prediction, const ContextRow& row,
                      const ContextWork& scratch, uint32_t position, Work work) {
  const ContextTables& t = contexts.t;
  const Neighbours near = neighbours_at(row, position);
  if (t.rank == 0) return work(near, 0, row.channels, static_cast<const int16_t*>(nullptr));
  alignas(64) int16_t shift[kMaxShifts];
  prediction.begin();
  for (uint32_t first = 0; first < row.channels; first += t.span) {
    const uint32_t count = row.channels - first < t.span ? row.channels - first : t.span;
    prediction.spread(first, count, shift);
    if (!work(near, first, count, static_cast<const int16_t*>(shift))) return false;
    prediction.gather(first, count, row.current + size_t{position} * row.channels, scratch.sums);
  }
  return true;
}

void row_contexts(const ContextTables& t, const ContextRow& row, const ContextWork& work) {
  const Contexts contexts(t);
  Prediction prediction(t);
  for (uint32_t position = 0; position < row.width; ++position) {
    const size_t base = size_t{position} * row.channels;
    each_span(contexts, prediction, row, work, position,
              [&](const Neighbours& near, uint32_t first, uint32_t count, const int16_t* shift) {
                contexts.span(near, first, count, shift, work.sums, work.table + base + first,
                              work.zero_class + base + first);
                return true;
              });
  }
}

// Zero flags.

struct ZeroTables {
  __m512i probability[2];
  __m512i divisor[2];
  __m512i reciprocal[4];

  explicit ZeroTables(const ContextTables& t)
      : probability{load(t.zero_probability), load(t.zero_probability + 32)},
        divisor{load(t.zero_divisor), load(t.zero_divisor + 32)},
        reciprocal{load(t.zero_reciprocal), load(t.zero_reciprocal + 16), load(t.zero_reciprocal + 32),
                   load(t.zero_reciprocal + 48)} {}

  // Of 32 classes, in 16-bit lanes.
  static __m512i words(const __m512i table[2], __m256i classes) {
    return _mm512_permutex2var_epi16(table[0], _mm512_cvtepu8_epi16(classes), table[1]);
  }
  __m512i reciprocals(__m512i classes) const {
    const __m512i low = _mm512_permutex2var_epi32(reciprocal[0], classes, reciprocal[1]);
    const __m512i high = _mm512_permutex2var_epi32(reciprocal[2], classes, reciprocal[3]);
    return _mm512_mask_blend_epi32(_mm512_test_epi32_mask(classes, _mm512_set1_epi32(32)), low, high);
  }
};

template <int kHalf>
inline __m512i half_widened(__m512i words) {
  return _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(words, kHalf));
}

// States below the floor take the next words, in the order of lanes.
inline __m512i refreshed(__m512i x, __mmask16 active, const uint8_t*& at) {
  const __mmask16 need = _mm512_mask_cmplt_epu32_mask(active, x, _mm512_set1_epi32(kFloor));
  const __m512i words = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)));
  at += 2 * static_cast<size_t>(_mm_popcnt_u32(need));
  return _mm512_mask_or_epi32(x, need, _mm512_slli_epi32(x, 16), _mm512_maskz_expand_epi32(need, words));
}

inline __mmask16 decode_zero_flags(__m512i& x, __m512i p, __mmask16 active, const uint8_t*& at) {
  const __m512i slot = _mm512_and_si512(x, _mm512_set1_epi32((1 << kZeroBitsK) - 1));
  const __mmask16 nonzero = _mm512_mask_cmpge_epu32_mask(active, slot, p);
  const __m512i f = _mm512_mask_sub_epi32(p, nonzero, _mm512_set1_epi32(1 << kZeroBitsK), p);
  const __m512i rest = _mm512_mask_sub_epi32(slot, nonzero, slot, p);
  const __m512i y = _mm512_add_epi32(_mm512_mullo_epi32(f, _mm512_srli_epi32(x, kZeroBitsK)), rest);
  x = refreshed(_mm512_mask_mov_epi32(x, active, y), active, at);
  return nonzero;
}

// Tokens.

// One entry a lane. Scalar loads beat the hardware's gather here.
inline __m512i fetch(const uint32_t* table, __m512i index) {
  alignas(64) uint32_t i[kVector];
  _mm512_store_si512(i, index);
  const auto four = [&](int k) {
    return _mm_setr_epi32(static_cast<int>(table[i[k]]), static_cast<int>(table[i[k + 1]]),
                          static_cast<int>(table[i[k + 2]]), static_cast<int>(table[i[k + 3]]));
  };
  const __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(four(0)), four(4), 1);
  const __m256i high = _mm256_inserti128_si256(_mm256_castsi128_si256(four(8)), four(12), 1);
  return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

inline void decode_tokens(const uint32_t* slots, __m512i& x, const uint8_t* table, __mmask16 active,
                          uint8_t* values, const uint8_t*& at) {
  const __m512i tables =
      _mm512_maskz_cvtepu8_epi32(active, _mm_loadu_si128(reinterpret_cast<const __m128i*>(table)));
  const __m512i slot = _mm512_and_si512(x, _mm512_set1_epi32((1 << kTokenBitsK) - 1));
  const __m512i entry = fetch(slots, _mm512_or_si512(_mm512_slli_epi32(tables, kTokenBitsK), slot));
  const __m512i low10 = _mm512_set1_epi32(1023);
  const __m512i f = _mm512_add_epi32(_mm512_and_si512(entry, low10), _mm512_set1_epi32(1));
  const __m512i rest = _mm512_and_si512(_mm512_srli_epi32(entry, 10), low10);
  const __m512i raw_bits = _mm512_and_si512(_mm512_srli_epi32(entry, 20), _mm512_set1_epi32(7));
  const __m512i y = _mm512_add_epi32(_mm512_mullo_epi32(f, _mm512_srli_epi32(x, kTokenBitsK)), rest);
  const __m512i left = _mm512_srlv_epi32(y, raw_bits);
  const __m512i raw = _mm512_sub_epi32(y, _mm512_sllv_epi32(left, raw_bits));
  const __m512i value = _mm512_add_epi32(_mm512_srli_epi32(entry, 24), raw);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(values), _mm512_cvtepi32_epi8(value));
  x = refreshed(_mm512_mask_mov_epi32(x, active, left), active, at);
}

template <int kGroups>
class RowDecoder {
 public:
  RowDecoder(const ContextTables& tables, WordReader& in)
      : t(tables), zero_(tables), companded_(tables.companded), in_(in) {
    for (int g = 0; g < kGroups; ++g) x_[g] = load(in.state + kVector * g);
  }

  void close() {
    for (int g = 0; g < kGroups; ++g) store(in_.state + kVector * g, x_[g]);
  }

  bool span(const uint8_t* table, const uint8_t* zero_class, uint32_t count, uint8_t* packed,
            uint8_t* indices, uint8_t* companded) {
    uint32_t nonzero = 0;
    for (uint32_t i = 0; i < count; i += 64) {
      if (!refill(in_)) return false;
      const __mmask64 mask = flags(zero_class + i, count - i);
      // The flags wait where the values will be.
      __builtin_memcpy(indices + i, &mask, 8);
      store(packed + nonzero, _mm512_maskz_compress_epi8(mask, load(table + i)));
      nonzero += static_cast<uint32_t>(_mm_popcnt_u64(mask));
    }
    for (uint32_t i = 0; i < nonzero; i += 64) {
      if (!refill(in_)) return false;
      tokens(packed + i, nonzero - i);
    }
    const uint8_t* next = packed;
    for (uint32_t i = 0; i < count; i += 64) {
      __mmask64 mask;
      __builtin_memcpy(&mask, indices + i, 8);
      const __m512i values = _mm512_maskz_expand_epi8(mask, load(next));
      next += _mm_popcnt_u64(mask);
      if (count - i >= 64) {
        store(indices + i, values);
      } else {
        _mm512_mask_storeu_epi8(indices + i, first_bytes(count - i), values);
      }
      store(companded + i, companded_[values]);
    }
    return true;
  }

 private:
  __mmask64 flags(const uint8_t* zero_class, uint32_t count) {
    const __m512i classes = load(zero_class);
    const __m512i p0 = ZeroTables::words(zero_.probability, _mm512_castsi512_si256(classes));
    __mmask64 mask = decode_zero_flags(x_[0], half_widened<0>(p0), first_lanes(count), in_.at);
    if (count > 16)
      mask |=
          __mmask64{decode_zero_flags(x_[1 % kGroups], half_widened<1>(p0), first_lanes(count - 16), in_.at)}
          << 16;
    if (count <= 32) return mask;
    const __m512i p1 = ZeroTables::words(zero_.probability, _mm512_extracti64x4_epi64(classes, 1));
    mask |=
        __mmask64{decode_zero_flags(x_[2 % kGroups], half_widened<0>(p1), first_lanes(count - 32), in_.at)}
        << 32;
    if (count > 48)
      mask |=
          __mmask64{decode_zero_flags(x_[3 % kGroups], half_widened<1>(p1), first_lanes(count - 48), in_.at)}
          << 48;
    return mask;
  }

  // Tables in, values out, in place.
  void tokens(uint8_t* packed, uint32_t count) {
    decode_tokens(t.slots, x_[0], packed, first_lanes(count), packed, in_.at);
    if (count > 16)
      decode_tokens(t.slots, x_[1 % kGroups], packed + 16, first_lanes(count - 16), packed + 16, in_.at);
    if (count > 32)
      decode_tokens(t.slots, x_[2 % kGroups], packed + 32, first_lanes(count - 32), packed + 32, in_.at);
    if (count > 48)
      decode_tokens(t.slots, x_[3 % kGroups], packed + 48, first_lanes(count - 48), packed + 48, in_.at);
  }

  const ContextTables& t;
  ZeroTables zero_;
  ByteTable companded_;
  WordReader& in_;
  __m512i x_[kGroups];
};

template <int kGroups>
bool decode_row_in(const ContextTables& t, const ContextRow& row, const ContextWork& work, uint8_t* indices,
                   WordReader& in) {
  const Contexts contexts(t);
  Prediction prediction(t);
  RowDecoder<kGroups> decoder(t, in);
  for (uint32_t position = 0; position < row.width; ++position) {
    const size_t base = size_t{position} * row.channels;
    const auto decode = [&](const Neighbours& near, uint32_t first, uint32_t count, const int16_t* shift) {
      const uint8_t* table = t.channel_table;
      const uint8_t* zero_class = t.channel_zero_class;
      if (table == nullptr) {
        contexts.span(near, first, count, shift, work.sums, work.table, work.zero_class);
        table = work.table;
        zero_class = work.zero_class;
      }
      return decoder.span(table, zero_class, count, work.packed[0], indices + base + first,
                          row.current + base + first);
    };
    if (!each_span(contexts, prediction, row, work, position, decode)) return false;
  }
  decoder.close();
  return true;
}

bool decode_row(const ContextTables& t, const ContextRow& row, const ContextWork& work, uint8_t* indices,
                WordReader& in) {
  switch (row.lanes / kVector) {
    case 1:
      return decode_row_in<1>(t, row, work, indices, in);
    case 2:
      return decode_row_in<2>(t, row, work, indices, in);
    default:
      return decode_row_in<4>(t, row, work, indices, in);
  }
}

// Encoding.

inline __m512i high_product(__m512i a, __m512i b) {
  const __m512i even = _mm512_srli_epi64(_mm512_mul_epu32(a, b), 32);
  const __m512i odd = _mm512_mul_epu32(_mm512_srli_epi64(a, 32), _mm512_srli_epi64(b, 32));
  return _mm512_mask_blend_epi32(0xAAAA, even, odd);
}

// Lanes in `need` put their low words below those already written, in the order of lanes.
inline __m512i emptied(__m512i x, __mmask16 need, WordWriter& out) {
  const auto count = static_cast<int>(_mm_popcnt_u32(need));
  const __m256i words = _mm512_cvtepi32_epi16(_mm512_maskz_compress_epi32(need, x));
  const __m256i lane = _mm256_setr_epi16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m256i turned =
      _mm256_permutexvar_epi16(_mm256_add_epi16(lane, _mm256_set1_epi16(static_cast<int16_t>(count))), words);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out.at - 32), turned);
  out.at -= 2 * count;
  return _mm512_mask_srli_epi32(x, need, x, 16);
}

inline void encode_zero_flags(__m512i& x, __m512i divisor, __m512i reciprocal, __mmask16 nonzero,
                              __mmask16 active, WordWriter& out) {
  const __m512i total = _mm512_set1_epi32(1 << kZeroBitsK);
  const __m512i f = _mm512_and_si512(divisor, _mm512_set1_epi32(4095));
  const __mmask16 need = _mm512_mask_cmpge_epu32_mask(active, _mm512_srli_epi32(x, 31 - kZeroBitsK), f);
  const __m512i y = emptied(x, need, out);
  const __m512i q = _mm512_srlv_epi32(high_product(y, reciprocal), _mm512_srli_epi32(divisor, 12));
  const __m512i others = _mm512_sub_epi32(total, f);
  const __m512i start = _mm512_maskz_mov_epi32(nonzero, others);
  x = _mm512_mask_add_epi32(x, active, y, _mm512_add_epi32(_mm512_mullo_epi32(q, others), start));
}

inline void encode_tokens(const ContextTables& t, __m512i& x, const uint8_t* table, const uint8_t* token,
                          const uint8_t* raw, __mmask16 active, WordWriter& out) {
  const __m512i tables =
      _mm512_maskz_cvtepu8_epi32(active, _mm_loadu_si128(reinterpret_cast<const __m128i*>(table)));
  const __m512i tokens =
      _mm512_maskz_cvtepu8_epi32(active, _mm_loadu_si128(reinterpret_cast<const __m128i*>(token)));
  const __m512i index = _mm512_or_si512(_mm512_slli_epi32(tables, 5), tokens);
  const __m512i coding = fetch(t.coding, index);
  const __m512i reciprocal = fetch(t.reciprocals, index);
  const __m512i low11 = _mm512_set1_epi32(2047);
  const __m512i f = _mm512_and_si512(coding, low11);
  const __m512i bias = _mm512_and_si512(_mm512_srli_epi32(coding, 11), low11);
  const __m512i shift = _mm512_and_si512(_mm512_srli_epi32(coding, 22), _mm512_set1_epi32(15));
  const __m512i raw_bits = _mm512_srli_epi32(coding, 26);
  const __m512i room = _mm512_sub_epi32(_mm512_set1_epi32(31 - kTokenBitsK), raw_bits);
  const __mmask16 need = _mm512_mask_cmpge_epu32_mask(active, _mm512_srlv_epi32(x, room), f);
  __m512i y = emptied(x, need, out);
  y = _mm512_or_si512(_mm512_sllv_epi32(y, raw_bits), widened(raw));
  const __m512i q = _mm512_srlv_epi32(high_product(y, reciprocal), shift);
  const __m512i others = _mm512_sub_epi32(_mm512_set1_epi32(1 << kTokenBitsK), f);
  x = _mm512_mask_add_epi32(x, active, y, _mm512_add_epi32(_mm512_mullo_epi32(q, others), bias));
}

template <int kGroups>
class RowEncoder {
 public:
  RowEncoder(const ContextTables& tables, WordWriter& out)
      : t(tables), zero_(tables), token_of_(tables.token_of), raw_of_(tables.raw_of), out_(out) {
    for (int g = 0; g < kGroups; ++g) x_[g] = load(out.state + kVector * g);
  }

  void close() {
    for (int g = 0; g < kGroups; ++g) store(out_.state + kVector * g, x_[g]);
  }

  void span(const uint8_t* table, const uint8_t* zero_class, uint32_t count, const uint8_t* indices,
            const ContextWork& work) {
    uint32_t nonzero = 0;
    for (uint32_t i = 0; i < count; i += 64) {
      const __m512i values = _mm512_maskz_loadu_epi8(first_bytes(count - i), indices + i);
      const __mmask64 mask = _mm512_test_epi8_mask(values, values);
      store(work.packed[0] + nonzero, _mm512_maskz_compress_epi8(mask, load(table + i)));
      store(work.packed[1] + nonzero, _mm512_maskz_compress_epi8(mask, values));
      nonzero += static_cast<uint32_t>(_mm_popcnt_u64(mask));
    }
    for (uint32_t i = (nonzero + 63) / 64 * 64; i > 0;) {
      i -= 64;
      const __m512i values = load(work.packed[1] + i);
      alignas(64) uint8_t token[64];
      alignas(64) uint8_t raw[64];
      store(token, token_of_[values]);
      store(raw, raw_of_[values]);
      tokens(work.packed[0] + i, token, raw, nonzero - i);
    }
    for (uint32_t i = (count - 1) / 64 * 64;; i -= 64) {
      const __m512i values = _mm512_maskz_loadu_epi8(first_bytes(count - i), indices + i);
      flags(zero_class + i, _mm512_test_epi8_mask(values, values), count - i);
      if (i == 0) break;
    }
  }

 private:
  void tokens(const uint8_t* table, const uint8_t* token, const uint8_t* raw, uint32_t count) {
    if (count > 48)
      encode_tokens(t, x_[3 % kGroups], table + 48, token + 48, raw + 48, first_lanes(count - 48), out_);
    if (count > 32)
      encode_tokens(t, x_[2 % kGroups], table + 32, token + 32, raw + 32, first_lanes(count - 32), out_);
    if (count > 16)
      encode_tokens(t, x_[1 % kGroups], table + 16, token + 16, raw + 16, first_lanes(count - 16), out_);
    encode_tokens(t, x_[0], table, token, raw, first_lanes(count), out_);
  }

  template <int kQuarter>
  void quarter(__m512i words, __m512i classes, __mmask64 nonzero, uint32_t count) {
    const __m512i wide = _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(classes, kQuarter));
    encode_zero_flags(x_[kQuarter % kGroups], half_widened<kQuarter % 2>(words), zero_.reciprocals(wide),
                      static_cast<__mmask16>(nonzero >> (16 * kQuarter)), first_lanes(count - 16 * kQuarter),
                      out_);
  }

  // Class 63 - k gives a nonzero value the probability that class k gives zero.
  void flags(const uint8_t* zero_class, __mmask64 nonzero, uint32_t count) {
    const __m512i classes = load(zero_class);
    const __m512i mirrored = _mm512_mask_sub_epi8(classes, nonzero, _mm512_set1_epi8(63), classes);
    if (count > 32) {
      const __m512i words = ZeroTables::words(zero_.divisor, _mm512_extracti64x4_epi64(mirrored, 1));
      if (count > 48) quarter<3>(words, mirrored, nonzero, count);
      quarter<2>(words, mirrored, nonzero, count);
    }
    const __m512i words = ZeroTables::words(zero_.divisor, _mm512_castsi512_si256(mirrored));
    if (count > 16) quarter<1>(words, mirrored, nonzero, count);
    quarter<0>(words, mirrored, nonzero, count);
  }

  const ContextTables& t;
  ZeroTables zero_;
  ByteTable token_of_;
  ByteTable raw_of_;
  WordWriter& out_;
  __m512i x_[kGroups];
};

template <int kGroups>
void encode_row_in(const ContextTables& t, const ContextRow& row, const ContextWork& work,
                   const uint8_t* indices, WordWriter& out) {
  RowEncoder<kGroups> encoder(t, out);
  const uint32_t width = t.rank != 0 ? t.span : row.channels;
  for (uint32_t position = row.width; position-- > 0;) {
    const size_t base = size_t{position} * row.channels;
    const bool fixed = t.channel_table != nullptr;
    const uint8_t* table = fixed ? t.channel_table : work.table + base;
    const uint8_t* zero_class = fixed ? t.channel_zero_class : work.zero_class + base;
    for (uint32_t first = (row.channels - 1) / width * width;; first -= width) {
      const uint32_t count = row.channels - first < width ? row.channels - first : width;
      encoder.span(table + first, zero_class + first, count, indices + base + first, work);
      if (first == 0) break;
    }
  }
  encoder.close();
}

void encode_row(const ContextTables& t, const ContextRow& row, const ContextWork& work,
                const uint8_t* indices, WordWriter& out) {
  switch (row.lanes / kVector) {
    case 1:
      return encode_row_in<1>(t, row, work, indices, out);
    case 2:
      return encode_row_in<2>(t, row, work, indices, out);
    default:
      return encode_row_in<4>(t, row, work, indices, out);
  }
}

}  // namespace

const ContextKernels kAvx512ContextKernels{look_up, row_contexts, encode_row, decode_row, kVector};

}  // namespace fmapzip
