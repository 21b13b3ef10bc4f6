#include <immintrin.h>

#include "entropy/context_kernels.hpp"

namespace fmapzip {
namespace {

// The reader's position stays in a register only if everything around it is inlined.
#define FMAPZIP_INLINE inline __attribute__((always_inline))

#include "entropy/context_common.inc"
#include "entropy/context_means_avx2.inc"
#include "entropy/context_states_avx2.inc"

class RowDecoder {
 public:
  RowDecoder(const ContextTables& tables, uint32_t lanes, WordReader& in)
      : t(tables), zero_(tables.zero_probability), lanes_(lanes), in_(in), at_(in.at) {}

  void close() { in_.at = at_; }

  FMAPZIP_INLINE bool span(const uint8_t* table, const uint8_t* zero_class, uint32_t count, uint8_t* packed,
                           uint8_t* indices, uint8_t* companded) {
    uint32_t nonzero = 0;
    for (uint32_t i = 0; i < count; i += kBytes) {
      if (!readable()) return false;
      alignas(32) uint16_t p[kBytes];
      zero_.look_up(load(zero_class + i), p);
      for (uint32_t j = 0; j < kBytes && i + j < count; j += kLanes) {
        uint32_t* state = in_.state + ((i + j) & (lanes_ - 1));
        const uint32_t left = count - i - j;
        const uint32_t mask = left >= kLanes ? decode_zero_flags<true>(state, p + j, left, at_)
                                             : decode_zero_flags<false>(state, p + j, left, at_);
        indices[i + j] = static_cast<uint8_t>(mask);  // where the values will be
        store8(packed + nonzero, compressed(load8(table + i + j), mask));
        nonzero += static_cast<uint32_t>(_mm_popcnt_u32(mask));
      }
    }
    uint32_t i = 0;
    for (; i + kLanes <= nonzero; i += kLanes) {
      if (i % 64 == 0 && !readable()) return false;
      decode_tokens<true>(t.slots, in_.state + (i & (lanes_ - 1)), packed + i, kLanes, at_);
    }
    if (i < nonzero) {
      if (!readable()) return false;
      decode_tokens<false>(t.slots, in_.state + (i & (lanes_ - 1)), packed + i, nonzero - i, at_);
    }
    place(packed, count, indices, companded);
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
    const ByteTable table(t.companded);
    uint32_t i = 0;
    for (; i + kBytes <= count; i += kBytes) {
      const __m128i a = next(i), b = next(i + 8), c = next(i + 16), d = next(i + 24);
      const __m256i values = _mm256_set_m128i(_mm_unpacklo_epi64(c, d), _mm_unpacklo_epi64(a, b));
      store(indices + i, values);
      store(companded + i, table[values]);
    }
    for (; i < count; i += kLanes) {
      uint8_t last[kLanes];
      store8(last, next(i));
      for (uint32_t j = 0; j < kLanes && i + j < count; ++j) {
        indices[i + j] = last[j];
        companded[i + j] = t.companded[last[j]];
      }
    }
  }

  const ContextTables& t;
  ZeroTable zero_;
  uint32_t lanes_;
  WordReader& in_;
  const uint8_t* at_;
};

bool decode_row(const ContextTables& t, const ContextRow& row, const ContextWork& work, uint8_t* indices,
                WordReader& in) {
  const Contexts contexts(t);
  Prediction prediction(t);
  RowDecoder decoder(t, row.lanes, in);
  for (uint32_t position = 0; position < row.width; ++position) {
    const size_t base = size_t{position} * row.channels;
    const auto decode = [&](const Neighbours& near, uint32_t first, uint32_t count,
                            const int16_t* shift) __attribute__((always_inline)) {
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

class RowEncoder {
 public:
  RowEncoder(const ContextTables& tables, uint32_t lanes, WordWriter& out)
      : t(tables),
        divisor_(tables.zero_divisor),
        token_of_(tables.token_of),
        raw_of_(tables.raw_of),
        lanes_(lanes),
        out_(out),
        at_(out.at) {}

  void close() { out_.at = at_; }

  FMAPZIP_INLINE void span(const uint8_t* table, const uint8_t* zero_class, uint32_t count,
                           const uint8_t* indices, const ContextWork& work) {
    uint32_t nonzero = 0;
    for (uint32_t i = 0; i < count; i += kLanes) {
      const __m128i values = first_of(indices + i, count - i);
      const uint32_t mask = nonzero_mask(values);
      store8(work.packed[0] + nonzero, compressed(load8(table + i), mask));
      store8(work.packed[1] + nonzero, compressed(values, mask));
      nonzero += static_cast<uint32_t>(_mm_popcnt_u32(mask));
    }
    for (uint32_t i = (nonzero + kBytes - 1) / kBytes * kBytes; i > 0;) {
      i -= kBytes;
      tokens(work.packed[0] + i, load(work.packed[1] + i), nonzero - i, i);
    }
    for (uint32_t i = (count - 1) / kBytes * kBytes;; i -= kBytes) {
      flags(zero_class + i, count - i, indices + i, i);
      if (i == 0) break;
    }
  }

 private:
  FMAPZIP_INLINE void tokens(const uint8_t* table, __m256i values, uint32_t count, uint32_t lane) {
    alignas(32) uint8_t token[kBytes];
    alignas(32) uint8_t raw[kBytes];
    store(token, token_of_[values]);
    store(raw, raw_of_[values]);
    const uint32_t full = count < kBytes ? count / kLanes * kLanes : kBytes;
    if (full < kBytes && full < count) {
      encode_tokens<false>(t, state(lane + full), table + full, token + full, raw + full, count - full, at_);
    }
    for (uint32_t j = full; j > 0;) {
      j -= kLanes;
      encode_tokens<true>(t, state(lane + j), table + j, token + j, raw + j, kLanes, at_);
    }
  }

  uint32_t* state(uint32_t lane) const { return out_.state + (lane & (lanes_ - 1)); }

  // Class 63 - k gives a nonzero value the probability that class k gives zero.
  FMAPZIP_INLINE void flags(const uint8_t* zero_class, uint32_t count, const uint8_t* indices,
                            uint32_t lane) {
    alignas(32) uint8_t mirrored[kBytes] = {};
    alignas(32) uint16_t divisors[kBytes];
    const uint32_t groups = count < kBytes ? (count + kLanes - 1) / kLanes : kBytes / kLanes;
    __m256i values;
    if (count >= kBytes) {
      values = load(indices);
    } else {
      __builtin_memcpy(mirrored, indices, count);
      values = load(mirrored);
    }
    const __m256i zero = _mm256_cmpeq_epi8(values, _mm256_setzero_si256());
    const uint32_t nonzero = ~static_cast<uint32_t>(_mm256_movemask_epi8(zero));
    const __m256i classes = load(zero_class);
    const __m256i others = _mm256_sub_epi8(_mm256_set1_epi8(63), classes);
    const __m256i chosen = _mm256_blendv_epi8(others, classes, zero);
    store(mirrored, chosen);
    divisor_.look_up(chosen, divisors);
    for (uint32_t j = groups; j-- > 0;) {
      const uint32_t i = kLanes * j, left = count - i;
      if (left >= kLanes) {
        encode_zero_flags<true>(t, state(lane + i), mirrored + i, divisors + i, nonzero >> i & 0xFFu, left,
                                at_);
      } else {
        encode_zero_flags<false>(t, state(lane + i), mirrored + i, divisors + i, nonzero >> i & 0xFFu, left,
                                 at_);
      }
    }
  }

  const ContextTables& t;
  ZeroTable divisor_;
  ByteTable token_of_;
  ByteTable raw_of_;
  uint32_t lanes_;
  WordWriter& out_;
  uint8_t* at_;
};

void encode_row(const ContextTables& t, const ContextRow& row, const ContextWork& work,
                const uint8_t* indices, WordWriter& out) {
  RowEncoder encoder(t, row.lanes, out);
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

}  // namespace

const ContextKernels kAvx2ContextKernels{look_up, row_contexts, encode_row, decode_row, kLanes};

}  // namespace fmapzip
