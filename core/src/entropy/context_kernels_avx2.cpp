#include <immintrin.h>

#include "entropy/context_kernels.hpp"
#include "simd/inline.hpp"

namespace fmapzip {
namespace {

#include "entropy/context_common.inc"
#include "entropy/context_fetch_x86.inc"
#include "entropy/context_means_avx2.inc"
#include "entropy/context_spans_x86.inc"
#include "entropy/context_states_avx2.inc"

// Half a register of states serves the small maps that have no more lanes: waiting for each other, they are
// still faster than one by one.
constexpr uint32_t kFewLanes = kLanes / 2;

// kGroup: states that work together, kLanes or kFewLanes.
template <uint32_t kGroup>
class RowDecoder {
 public:
  RowDecoder(const ContextTables& tables, uint32_t lanes, WordReader& in)
      : t(tables), zero_(tables.zero_probability), lanes_(lanes), in_(in), at_(in.at) {}

  void close() { in_.at = at_; }

  FMAPZIP_INLINE bool span(const uint8_t* table, const uint8_t* zero_class, uint32_t count, uint8_t* packed,
                           uint8_t* indices, uint8_t* companded) {
    uint8_t* next = packed;
    uint32_t i = 0;
    for (; i + kBytes <= count; i += kBytes) {
      if (!flags<true>(table + i, zero_class + i, kBytes, i, indices + i, next)) return false;
    }
    if (i < count && !flags<false>(table + i, zero_class + i, count - i, i, indices + i, next)) return false;
    if (!tokens(packed, static_cast<uint32_t>(next - packed))) return false;
    place(packed, count, indices, companded);
    return true;
  }

 private:
  // Flags of up to 32 values, the first on `lane`. Their bits wait where the values will be, and the tables
  // of what is not zero go to `packed`.
  template <bool kFull>
  FMAPZIP_INLINE bool flags(const uint8_t* table, const uint8_t* zero_class, uint32_t count, uint32_t lane,
                            uint8_t* indices, uint8_t*& packed) {
    if (!readable()) return false;
    alignas(32) uint16_t p[kBytes + kFewLanes];
    zero_.look_up(load(zero_class), p);
    uint32_t* const first = in_.state + (lane & (lanes_ - 1));
    const auto group = [&](uint32_t j) __attribute__((always_inline)) {
      const uint32_t mask = flags_of_eight<kFull>(first + (j & (lanes_ - 1)), p + j, count - j);
      indices[j] = static_cast<uint8_t>(mask);
      store8(packed, compressed(load8(table + j), mask));
      packed += _mm_popcnt_u32(mask);
    };
    group(0);
    if (kFull || count > 8) group(8);
    if (kFull || count > 16) group(16);
    if (kFull || count > 24) group(24);
    return true;
  }

  template <bool kFull>
  FMAPZIP_INLINE uint32_t flags_of_eight(uint32_t* state, const uint16_t* p, uint32_t count) {
    if constexpr (kGroup == kLanes) {
      return kFull || count >= kLanes ? decode_zero_flags<true>(state, p, kLanes, at_)
                                      : decode_zero_flags<false>(state, p, count, at_);
    }
    const uint32_t mask = decode_zero_flags<false>(state, p, at_most<kGroup>(count), at_);
    if (!kFull && count <= kGroup) return mask;
    return mask | decode_zero_flags<false>(state, p + kGroup, at_most<kGroup>(count - kGroup), at_) << kGroup;
  }

  // Tables in, values out, in place.
  FMAPZIP_INLINE bool tokens(uint8_t* packed, uint32_t count) {
    uint32_t i = 0;
    for (; kGroup == kLanes && i + kLanes <= count; i += kLanes) {
      if (i % 64 == 0 && !readable()) return false;
      decode_tokens<true>(t.slots, in_.state + (i & (lanes_ - 1)), packed + i, kLanes, at_);
    }
    for (; i < count; i += kGroup) {
      if (!readable()) return false;
      uint32_t others;  // tables that come next, where eight bytes are written
      __builtin_memcpy(&others, packed + i + kFewLanes, sizeof(others));
      decode_tokens<false>(t.slots, in_.state + (i & (lanes_ - 1)), packed + i, at_most<kGroup>(count - i),
                           at_);
      if (kGroup == kFewLanes) __builtin_memcpy(packed + i + kFewLanes, &others, sizeof(others));
    }
    return true;
  }

  FMAPZIP_INLINE bool readable() {
    if (__builtin_expect(at_ <= in_.safe, 1)) return true;
    in_.at = at_;
    const bool ok = refill(in_);
    at_ = in_.at;
    return ok;
  }

  // Takes the masks that wait in `indices` and puts the values where they belong. Whole registers are
  // written, since a load that spans several small stores must wait for them.
  FMAPZIP_INLINE void place(const uint8_t* packed, uint32_t count, uint8_t* indices,
                            uint8_t* companded) const {
    const auto next = [&](uint32_t i) __attribute__((always_inline)) {
      const uint32_t mask = indices[i];
      const __m128i values = expanded(load8(packed), mask);
      packed += _mm_popcnt_u32(mask);
      return values;
    };
    const SkewedTable table(t.companded);
    uint32_t i = 0;
    for (; i + kBytes <= count; i += kBytes) {
      const __m128i a = next(i), b = next(i + 8), c = next(i + 16), d = next(i + 24);
      const __m256i values = _mm256_set_m128i(_mm_unpacklo_epi64(c, d), _mm_unpacklo_epi64(a, b));
      store(indices + i, values);
      if (companded != nullptr) store(companded + i, table[values]);
    }
    for (; i < count; i += kLanes) {
      uint8_t last[kLanes];
      store8(last, next(i));
      for (uint32_t j = 0; j < kLanes && i + j < count; ++j) {
        indices[i + j] = last[j];
        if (companded != nullptr) companded[i + j] = t.companded[last[j]];
      }
    }
  }

  const ContextTables& t;
  ZeroTable zero_;
  uint32_t lanes_;
  WordReader& in_;
  const uint8_t* at_;
};

template <uint32_t kGroup>
bool decode_runs(const ContextTables& t, const ContextRow& row, const ContextWork& work, uint8_t* indices,
                 WordReader& in) {
  RowDecoder<kGroup> decoder(t, row.lanes, in);
  const auto decode = [&](size_t first, uint32_t count) __attribute__((always_inline)) {
    return decoder.span(t.channel_table, t.channel_zero_class, count, work.packed, indices + first, nullptr);
  };
  if (!each_run(t, row, decode)) return false;
  decoder.close();
  return true;
}

template <uint32_t kGroup>
bool decode_row_in(const ContextTables& t, const ContextRow& row, const ContextWork& work, uint8_t* indices,
                   WordReader& in) {
  if (t.channel_table != nullptr) return decode_runs<kGroup>(t, row, work, indices, in);
  const Contexts contexts(t);
  RowDecoder<kGroup> decoder(t, row.lanes, in);
  for (uint32_t position = 0; position < row.width; ++position) {
    const size_t base = size_t{position} * row.channels;
    contexts.span(neighbours_at(row, position), row.channels, work.table, work.zero_class);
    if (!decoder.span(work.table, work.zero_class, row.channels, work.packed, indices + base,
                      row.current + base)) {
      return false;
    }
  }
  decoder.close();
  return true;
}

bool decode_row(const ContextTables& t, const ContextRow& row, const ContextWork& work, uint8_t* indices,
                WordReader& in) {
  return (row.lanes < kLanes ? decode_row_in<kFewLanes> : decode_row_in<kLanes>)(t, row, work, indices, in);
}

template <uint32_t kGroup>
class RowEncoder {
 public:
  RowEncoder(const ContextTables& tables, uint32_t lanes, WordWriter& out)
      : t(tables), frequency_(tables.zero_probability), lanes_(lanes), out_(out), at_(out.at) {}

  void close() { out_.at = at_; }

  FMAPZIP_INLINE void span(const uint8_t* table, const uint8_t* zero_class, uint32_t count,
                           const uint8_t* indices, const ContextWork& work) {
    const uint32_t nonzero = pack(table, indices, count, work.entries);
    uint32_t i = nonzero / kGroup * kGroup;
    if (i < nonzero) encode_tokens<false>(t, state(i), work.entries + i, nonzero - i, at_);
    while (i > 0) {
      i -= kGroup;
      encode_tokens<kGroup == kLanes>(t, state(i), work.entries + i, kGroup, at_);
    }
    for (i = (count - 1) / kBytes * kBytes;; i -= kBytes) {
      flags(zero_class + i, count - i, indices + i, i);
      if (i == 0) break;
    }
  }

 private:
  // table << 8 | value of the values that are not zero; returns how many there are.
  static FMAPZIP_INLINE uint32_t pack(const uint8_t* table, const uint8_t* indices, uint32_t count,
                                      uint16_t* entries) {
    uint32_t nonzero = 0;
    for (uint32_t i = 0; i < count; i += kLanes) {
      const __m128i values = first_of(indices + i, count - i);
      const uint32_t mask = nonzero_mask(values);
      const __m128i both = _mm_unpacklo_epi8(compressed(values, mask), compressed(load8(table + i), mask));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(entries + nonzero), both);
      nonzero += static_cast<uint32_t>(_mm_popcnt_u32(mask));
    }
    _mm_storeu_si128(reinterpret_cast<__m128i*>(entries + nonzero), _mm_setzero_si128());
    return nonzero;
  }

  uint32_t* state(uint32_t lane) const { return out_.state + (lane & (lanes_ - 1)); }

  // Class 63 - k gives a nonzero value the probability that class k gives zero.
  FMAPZIP_INLINE void flags(const uint8_t* zero_class, uint32_t count, const uint8_t* indices,
                            uint32_t lane) {
    alignas(32) uint16_t frequencies[kBytes + kFewLanes];
    alignas(32) uint8_t last[kBytes] = {};
    if (count < kBytes) __builtin_memcpy(last, indices, count);
    const __m256i values = load(count < kBytes ? last : indices);
    const __m256i zero = _mm256_cmpeq_epi8(values, _mm256_setzero_si256());
    const uint32_t nonzero = ~static_cast<uint32_t>(_mm256_movemask_epi8(zero));
    const __m256i classes = load(zero_class);
    const __m256i mirrored = _mm256_sub_epi8(_mm256_set1_epi8(63), classes);
    frequency_.look_up(_mm256_blendv_epi8(mirrored, classes, zero), frequencies);
    const uint32_t groups = count < kBytes ? (count + kGroup - 1) / kGroup : kBytes / kGroup;
    for (uint32_t j = groups; j-- > 0;) {
      const uint32_t i = kGroup * j, left = at_most<kGroup>(count - i), flags = nonzero >> i & 0xFFu;
      if (left == kLanes) {
        encode_zero_flags<true>(state(lane + i), frequencies + i, flags, left, at_);
      } else {
        encode_zero_flags<false>(state(lane + i), frequencies + i, flags, left, at_);
      }
    }
  }

  const ContextTables& t;
  ZeroTable frequency_;
  uint32_t lanes_;
  WordWriter& out_;
  uint8_t* at_;
};

template <uint32_t kGroup>
void encode_row_in(const ContextTables& t, const ContextRow& row, const ContextWork& work,
                   const uint8_t* indices, WordWriter& out) {
  RowEncoder<kGroup> encoder(t, row.lanes, out);
  each_span_backwards(t, row, work, indices,
                      [&](const uint8_t* table, const uint8_t* zero_class, const uint8_t* values,
                          uint32_t count) { encoder.span(table, zero_class, count, values, work); });
  encoder.close();
}

void encode_row(const ContextTables& t, const ContextRow& row, const ContextWork& work,
                const uint8_t* indices, WordWriter& out) {
  (row.lanes < kLanes ? encode_row_in<kFewLanes> : encode_row_in<kLanes>)(t, row, work, indices, out);
}

void predicted_contexts(const ContextTables& t, const PredictionSteps& steps, uint32_t count, uint8_t* table,
                        uint8_t* zero_class) {
  const ByteTable<kContextSteps> level1(t.level1), level2(t.level2);
  const ByteTable<kCells> table_of(t.table_of), zero_class_of(t.zero_class_of);
  for (uint32_t i = 0; i < count; i += kBytes) {
    const __m256i cell = _mm256_add_epi8(look_up_one(level1, load(steps.mean + i)),
                                         look_up_one(level2, load(steps.spread + i)));
    const __m256i sum = _mm256_add_epi8(load(steps.zero + i), look_up_one(zero_class_of, cell));
    const __m256i moved = _mm256_subs_epu8(sum, _mm256_set1_epi8(64));
    store(table + i, look_up_one(table_of, cell));
    store(zero_class + i, _mm256_min_epu8(moved, _mm256_set1_epi8(63)));
  }
}

template <uint32_t kGroup>
bool decode_span_in(const ContextTables& t, const ContextWork& work, uint32_t count, uint32_t lanes,
                    uint8_t* indices, uint8_t* companded, WordReader& in) {
  RowDecoder<kGroup> decoder(t, lanes, in);
  if (!decoder.span(work.table, work.zero_class, count, work.packed, indices, companded)) return false;
  decoder.close();
  return true;
}

bool decode_span(const ContextTables& t, const ContextWork& work, uint32_t count, uint32_t lanes,
                 uint8_t* indices, uint8_t* companded, WordReader& in) {
  return (lanes < kLanes ? decode_span_in<kFewLanes> : decode_span_in<kLanes>)(t, work, count, lanes, indices,
                                                                               companded, in);
}

template <uint32_t kGroup>
void encode_span_in(const ContextTables& t, const ContextWork& work, const uint8_t* table,
                    const uint8_t* zero_class, const uint8_t* indices, uint32_t count, uint32_t lanes,
                    WordWriter& out) {
  RowEncoder<kGroup> encoder(t, lanes, out);
  encoder.span(table, zero_class, count, indices, work);
  encoder.close();
}

void encode_span(const ContextTables& t, const ContextWork& work, const uint8_t* table,
                 const uint8_t* zero_class, const uint8_t* indices, uint32_t count, uint32_t lanes,
                 WordWriter& out) {
  (lanes < kLanes ? encode_span_in<kFewLanes> : encode_span_in<kLanes>)(t, work, table, zero_class, indices,
                                                                        count, lanes, out);
}

}  // namespace

const ContextKernels kAvx2ContextKernels{
    look_up, row_contexts, encode_row, decode_row, predicted_contexts, encode_span, decode_span, kFewLanes};

}  // namespace fmapzip
