#include "entropy/context_kernels.hpp"
#include "simd/avx512_intrinsics.hpp"
#include "simd/inline.hpp"

namespace fmapzip {
namespace {

#include "entropy/context_common.inc"
#include "entropy/context_fetch_x86.inc"
#include "entropy/context_means_avx512.inc"
#include "entropy/context_spans.inc"
#include "entropy/context_states_avx512.inc"

template <int kGroups>
class RowDecoder {
 public:
  RowDecoder(const ContextTables& tables, WordReader& in)
      : t(tables), zero_(tables), companded_(tables.companded), in_(in), at_(in.at) {
    for (int g = 0; g < kGroups; ++g) x_[g] = load(in.state + kVector * g);
  }

  void close() {
    in_.at = at_;
    for (int g = 0; g < kGroups; ++g) store(in_.state + kVector * g, x_[g]);
  }

  // Up to 64 channels: everything stays in registers.
  FMAPZIP_INLINE bool chunk(__m512i table, __m512i zero_class, uint32_t count, uint8_t* indices,
                            uint8_t* companded) {
    if (!readable()) return false;
    const __mmask64 mask = flags(zero_class, count);
    if (!readable()) return false;
    const __m512i values =
        tokens(_mm512_maskz_compress_epi8(mask, table), static_cast<uint32_t>(_mm_popcnt_u64(mask)));
    put(_mm512_maskz_expand_epi8(mask, values), count, indices, companded);
    return true;
  }

  FMAPZIP_INLINE bool span(const uint8_t* table, const uint8_t* zero_class, uint32_t count, uint8_t* packed,
                           uint8_t* indices, uint8_t* companded) {
    uint32_t nonzero = 0;
    for (uint32_t i = 0; i < count; i += 64) {
      if (!readable()) return false;
      const __mmask64 mask = flags(load(zero_class + i), count - i);
      // The flags wait where the values will be.
      __builtin_memcpy(indices + i, &mask, 8);
      store(packed + nonzero, _mm512_maskz_compress_epi8(mask, load(table + i)));
      nonzero += static_cast<uint32_t>(_mm_popcnt_u64(mask));
    }
    for (uint32_t i = 0; i < nonzero; i += 64) {
      if (!readable()) return false;
      tokens(packed + i, nonzero - i);
    }
    const uint8_t* next = packed;
    for (uint32_t i = 0; i < count; i += 64) {
      __mmask64 mask;
      __builtin_memcpy(&mask, indices + i, 8);
      const __m512i values = _mm512_maskz_expand_epi8(mask, load(next));
      next += _mm_popcnt_u64(mask);
      put(values, count - i, indices + i, companded == nullptr ? nullptr : companded + i);
    }
    return true;
  }

 private:
  FMAPZIP_INLINE bool readable() {
    if (__builtin_expect(at_ <= in_.safe, 1)) return true;
    in_.at = at_;
    const bool ok = refill(in_);
    at_ = in_.at;
    return ok;
  }

  FMAPZIP_INLINE void put(__m512i values, uint32_t count, uint8_t* indices, uint8_t* companded) const {
    if (count >= 64) {
      store(indices, values);
    } else {
      _mm512_mask_storeu_epi8(indices, first_bytes(count), values);
    }
    if (companded != nullptr) store(companded, companded_[values]);
  }

  template <bool kFull, int kQuarter>
  FMAPZIP_INLINE __mmask64 quarter(__m512i probabilities, uint32_t count) {
    constexpr uint32_t first = 16 * kQuarter;
    if (!kFull && count <= first) return 0;
    const __m512i p = half_widened<kQuarter % 2>(probabilities);
    return __mmask64{decode_zero_flags<kFull>(x_[kQuarter % kGroups], p, count - first, at_)} << first;
  }

  // Which of 64 values are not zero.
  FMAPZIP_INLINE __mmask64 flags(__m512i classes, uint32_t count) {
    return count >= 64 ? flags_of<true>(classes, 64) : flags_of<false>(classes, count);
  }

  template <bool kFull>
  FMAPZIP_INLINE __mmask64 flags_of(__m512i classes, uint32_t count) {
    const __m512i low = ZeroTables::words(zero_.probability, _mm512_castsi512_si256(classes));
    __mmask64 mask = quarter<kFull, 0>(low, count);
    mask |= quarter<kFull, 1>(low, count);
    if (!kFull && count <= 32) return mask;
    const __m512i high = ZeroTables::words(zero_.probability, _mm512_extracti64x4_epi64(classes, 1));
    mask |= quarter<kFull, 2>(high, count);
    return mask | quarter<kFull, 3>(high, count);
  }

  // Values of the quarter's tokens, of which `count` - 16 kQuarter are wanted.
  template <int kQuarter>
  FMAPZIP_INLINE __m128i quarter_tokens(__m128i tables, uint32_t count) {
    __m512i& x = x_[kQuarter % kGroups];
    if (count >= 16 * kQuarter + 16) return decode_tokens<true>(t.slots, x, tables, 16, at_);
    return decode_tokens<false>(t.slots, x, tables, count - 16 * kQuarter, at_);
  }

  // The same in memory: tables in, values out.
  template <int kQuarter>
  FMAPZIP_INLINE void quarter_tokens(uint8_t* packed, uint32_t count) {
    if (count <= 16 * kQuarter) return;
    auto* p = reinterpret_cast<__m128i*>(packed + 16 * kQuarter);
    _mm_storeu_si128(p, quarter_tokens<kQuarter>(_mm_loadu_si128(p), count));
  }

  FMAPZIP_INLINE void tokens(uint8_t* packed, uint32_t count) {
    quarter_tokens<0>(packed, count);
    quarter_tokens<1>(packed, count);
    quarter_tokens<2>(packed, count);
    quarter_tokens<3>(packed, count);
  }

  // Up to 64 tables in, as many values out.
  FMAPZIP_INLINE __m512i tokens(__m512i tables, uint32_t count) {
    __m512i values = _mm512_setzero_si512();
    if (count == 0) return values;
    values = _mm512_zextsi128_si512(quarter_tokens<0>(_mm512_castsi512_si128(tables), count));
    if (count > 16)
      values = _mm512_inserti32x4(values, quarter_tokens<1>(_mm512_extracti32x4_epi32(tables, 1), count), 1);
    if (count > 32)
      values = _mm512_inserti32x4(values, quarter_tokens<2>(_mm512_extracti32x4_epi32(tables, 2), count), 2);
    if (count > 48)
      values = _mm512_inserti32x4(values, quarter_tokens<3>(_mm512_extracti32x4_epi32(tables, 3), count), 3);
    return values;
  }

  const ContextTables& t;
  ZeroTables zero_;
  ByteTable companded_;
  WordReader& in_;
  const uint8_t* at_;
  __m512i x_[kGroups];
};

template <int kGroups>
bool decode_runs_in(const ContextTables& t, const ContextRow& row, const ContextWork& work, uint8_t* indices,
                    WordReader& in) {
  RowDecoder<kGroups> decoder(t, in);
  const auto decode = [&](size_t first, uint32_t count) __attribute__((always_inline)) {
    return decoder.span(t.channel_table, t.channel_zero_class, count, work.packed, indices + first, nullptr);
  };
  if (!each_run(t, row, decode)) return false;
  decoder.close();
  return true;
}

template <int kGroups>
bool decode_row_in(const ContextTables& t, const ContextRow& row, const ContextWork& work, uint8_t* indices,
                   WordReader& in) {
  const Contexts contexts(t);
  RowDecoder<kGroups> decoder(t, in);
  const uint32_t count = row.channels;
  for (uint32_t position = 0; position < row.width; ++position) {
    const Neighbours near = neighbours_at(row, position);
    uint8_t* values = indices + size_t{position} * count;
    uint8_t* companded = row.current + size_t{position} * count;
    if (count <= 64) {
      const auto found = contexts.parts<1>(near, 0);
      if (!decoder.chunk(found.table.v[0], found.zero_class.v[0], count, values, companded)) return false;
    } else {
      contexts.span(near, count, work.table, work.zero_class);
      if (!decoder.span(work.table, work.zero_class, count, work.packed, values, companded)) return false;
    }
  }
  decoder.close();
  return true;
}

bool decode_row(const ContextTables& t, const ContextRow& row, const ContextWork& work, uint8_t* indices,
                WordReader& in) {
  const bool runs = t.channel_table != nullptr;
  switch (row.lanes / kVector) {
    case 1:
      return (runs ? decode_runs_in<1> : decode_row_in<1>)(t, row, work, indices, in);
    case 2:
      return (runs ? decode_runs_in<2> : decode_row_in<2>)(t, row, work, indices, in);
    default:
      return (runs ? decode_runs_in<4> : decode_row_in<4>)(t, row, work, indices, in);
  }
}

template <int kGroups>
class RowEncoder {
 public:
  RowEncoder(const ContextTables& tables, WordWriter& out)
      : t(tables), zero_(tables), out_(out), at_(out.at) {
    for (int g = 0; g < kGroups; ++g) x_[g] = load(out.state + kVector * g);
  }

  void close() {
    out_.at = at_;
    for (int g = 0; g < kGroups; ++g) store(out_.state + kVector * g, x_[g]);
  }

  FMAPZIP_INLINE void span(const uint8_t* table, const uint8_t* zero_class, uint32_t count,
                           const uint8_t* indices, const ContextWork& work) {
    const uint32_t nonzero = pack(table, indices, count, work.entries);
    for (uint32_t i = (nonzero + 63) / 64 * 64; i > 0;) {
      i -= 64;
      tokens(work.entries + i, nonzero - i);
    }
    for (uint32_t i = (count - 1) / 64 * 64;; i -= 64) {
      const __m512i values = _mm512_maskz_loadu_epi8(first_bytes(count - i), indices + i);
      flags(zero_class + i, _mm512_test_epi8_mask(values, values), count - i);
      if (i == 0) break;
    }
  }

 private:
  // table << 8 | value of the values that are not zero; returns how many there are.
  static FMAPZIP_INLINE uint32_t pack(const uint8_t* table, const uint8_t* indices, uint32_t count,
                                      uint16_t* entries) {
    uint32_t nonzero = 0;
    for (uint32_t i = 0; i < count; i += 32) {
      const auto inside = static_cast<__mmask32>(first_bytes(count - i));
      const __m256i values = _mm256_maskz_loadu_epi8(inside, indices + i);
      const __mmask32 mask = _mm256_test_epi8_mask(values, values);
      const __m256i tables = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(table + i));
      const __m512i both = _mm512_or_si512(_mm512_slli_epi16(_mm512_cvtepu8_epi16(tables), kEntryTable),
                                           _mm512_cvtepu8_epi16(values));
      store(entries + nonzero, _mm512_maskz_compress_epi16(mask, both));
      nonzero += static_cast<uint32_t>(_mm_popcnt_u32(mask));
    }
    store(entries + nonzero, _mm512_setzero_si512());  // what is looked up behind the last
    return nonzero;
  }

  FMAPZIP_INLINE void tokens(const uint16_t* entries, uint32_t count) {
    if (count > 48) encode_tokens(t, x_[3 % kGroups], entries + 48, first_lanes(count - 48), at_);
    if (count > 32) encode_tokens(t, x_[2 % kGroups], entries + 32, first_lanes(count - 32), at_);
    if (count > 16) encode_tokens(t, x_[1 % kGroups], entries + 16, first_lanes(count - 16), at_);
    encode_tokens(t, x_[0], entries, first_lanes(count), at_);
  }

  template <int kQuarter>
  FMAPZIP_INLINE void quarter(__m512i words, __m512i classes, __mmask64 nonzero, uint32_t count) {
    const __m512i wide = _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(classes, kQuarter));
    encode_zero_flags(x_[kQuarter % kGroups], half_widened<kQuarter % 2>(words), zero_.reciprocals(wide),
                      static_cast<__mmask16>(nonzero >> (16 * kQuarter)), first_lanes(count - 16 * kQuarter),
                      at_);
  }

  // Class 63 - k gives a nonzero value the probability that class k gives zero.
  FMAPZIP_INLINE void flags(const uint8_t* zero_class, __mmask64 nonzero, uint32_t count) {
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
  WordWriter& out_;
  uint8_t* at_;
  __m512i x_[kGroups];
};

template <int kGroups>
void encode_row_in(const ContextTables& t, const ContextRow& row, const ContextWork& work,
                   const uint8_t* indices, WordWriter& out) {
  RowEncoder<kGroups> encoder(t, out);
  each_span_backwards(
      t, row, work, indices,
      [&](const uint8_t* table, const uint8_t* zero_class, const uint8_t* values, uint32_t count)
          __attribute__((always_inline)) { encoder.span(table, zero_class, count, values, work); });
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

template <int kGroups>
bool decode_span_in(const ContextTables& t, const ContextWork& work, uint32_t count, uint8_t* indices,
                    uint8_t* companded, WordReader& in) {
  RowDecoder<kGroups> decoder(t, in);
  if (!decoder.span(work.table, work.zero_class, count, work.packed, indices, companded)) return false;
  decoder.close();
  return true;
}

bool decode_span(const ContextTables& t, const ContextWork& work, uint32_t count, uint32_t lanes,
                 uint8_t* indices, uint8_t* companded, WordReader& in) {
  switch (lanes / kVector) {
    case 1:
      return decode_span_in<1>(t, work, count, indices, companded, in);
    case 2:
      return decode_span_in<2>(t, work, count, indices, companded, in);
    default:
      return decode_span_in<4>(t, work, count, indices, companded, in);
  }
}

template <int kGroups>
void encode_span_in(const ContextTables& t, const ContextWork& work, const uint8_t* table,
                    const uint8_t* zero_class, const uint8_t* indices, uint32_t count, WordWriter& out) {
  RowEncoder<kGroups> encoder(t, out);
  encoder.span(table, zero_class, count, indices, work);
  encoder.close();
}

void encode_span(const ContextTables& t, const ContextWork& work, const uint8_t* table,
                 const uint8_t* zero_class, const uint8_t* indices, uint32_t count, uint32_t lanes,
                 WordWriter& out) {
  switch (lanes / kVector) {
    case 1:
      return encode_span_in<1>(t, work, table, zero_class, indices, count, out);
    case 2:
      return encode_span_in<2>(t, work, table, zero_class, indices, count, out);
    default:
      return encode_span_in<4>(t, work, table, zero_class, indices, count, out);
  }
}

}  // namespace

const ContextKernels kAvx512ContextKernels{
    look_up, row_contexts, encode_row, decode_row, predicted_contexts, encode_span, decode_span, kVector};

}  // namespace fmapzip
