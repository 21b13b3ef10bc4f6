#include <cstring>

#include "entropy/context_kernels.hpp"

namespace fmapzip {
namespace {

#include "entropy/context_common.inc"

void look_up(const uint8_t table[256], const uint8_t* src, size_t n, uint8_t* dst) {
  for (size_t i = 0; i < n; ++i) dst[i] = table[src[i]];
}

// A mean or spread in 1/64 as one of 64 steps.
inline uint32_t step_of(int32_t x) { return x < 0 ? 0u : x >> 8 > 63 ? 63u : static_cast<uint32_t>(x >> 8); }

inline int distance(int a, int b) { return a < b ? b - a : a - b; }

struct Span {
  uint32_t first;
  uint32_t count;
};

// Plain loops over small arrays, which compilers turn into vectors of whatever machine this is.
constexpr uint32_t kBlock = 64;

void block_means(const ContextTables& t, const Neighbours& near, Span span, int32_t* means) {
  const int32_t a = t.mean_weights[0], b = t.mean_weights[1], c = t.mean_weights[2], d = t.mean_weights[3];
  const uint8_t *w = near.w + span.first, *n = near.n + span.first;
  const uint8_t *nw = near.nw + span.first, *ne = near.ne + span.first;
  int32_t offsets[kBlock];
  for (uint32_t i = 0; i < span.count; ++i) {
    offsets[i] = t.offsets != nullptr ? t.offsets[span.first + i] : t.offset;
  }
  for (uint32_t i = 0; i < span.count; ++i) {
    means[i] = saturate16(saturate16(a * w[i] + b * n[i] + c * nw[i] + d * ne[i]) + offsets[i]);
  }
}

void block_spreads(const ContextTables& t, const Neighbours& near, Span span, uint32_t* spreads) {
  const int32_t a = t.spread_weights[0], b = t.spread_weights[1], c = t.spread_weights[2],
                d = t.spread_weights[3];
  const uint8_t *w = near.w + span.first, *n = near.n + span.first;
  const uint8_t *nw = near.nw + span.first, *ne = near.ne + span.first;
  for (uint32_t i = 0; i < span.count; ++i) {
    const int32_t sum = a * distance(w[i], n[i]) + b * distance(w[i], nw[i]) + c * distance(n[i], nw[i]) +
                        d * distance(n[i], ne[i]);
    spreads[i] = step_of(saturate16(sum));
  }
}

// Cells of a span's channels at one position, and from them table and zero class.
void span_contexts(const ContextTables& t, const Neighbours& near, Span span, uint8_t* table,
                   uint8_t* zero_class) {
  for (uint32_t done = 0; done < span.count; done += kBlock) {
    const uint32_t left = span.count - done;
    const Span block{span.first + done, left < kBlock ? left : kBlock};
    int32_t means[kBlock];
    uint32_t spreads[kBlock];
    block_means(t, near, block, means);
    block_spreads(t, near, block, spreads);
    for (uint32_t i = 0; i < block.count; ++i) {
      const uint32_t cell = uint32_t{t.level1[step_of(means[i])]} + t.level2[spreads[i]];
      table[done + i] = t.table_of[cell];
      zero_class[done + i] = t.zero_class_of[cell];
    }
  }
}

void row_contexts(const ContextTables& t, const ContextRow& row, const ContextWork& work) {
  for (uint32_t position = 0; position < row.width; ++position) {
    const size_t base = size_t{position} * row.channels;
    span_contexts(t, neighbours_at(row, position), {0, row.channels}, work.table + base,
                  work.zero_class + base);
  }
}

inline void put_word(WordWriter& out, uint32_t word) {
  out.at -= 2;
  out.at[0] = static_cast<uint8_t>(word);
  out.at[1] = static_cast<uint8_t>(word >> 8);
}

inline uint32_t divided(uint32_t x, uint32_t reciprocal, uint32_t shift) {
  return static_cast<uint32_t>((uint64_t{x} * reciprocal) >> 32) >> shift;
}

inline void encode_zero_flag(const ContextTables& t, uint32_t& x, uint32_t zero_class, bool nonzero,
                             WordWriter& out) {
  const uint32_t mirrored = nonzero ? 63 - zero_class : zero_class;
  const uint32_t f = t.zero_divisor[mirrored] & kDivisorMask;
  if (x >> (31 - kZeroBits) >= f) {
    put_word(out, x);
    x >>= 16;
  }
  const uint32_t q = divided(x, t.zero_reciprocal[mirrored], t.zero_divisor[mirrored] >> kDivisorShift);
  x = (q << kZeroBits) + (x - q * f) + (nonzero ? t.zero_probability[zero_class] : 0u);
}

inline void encode_token(const ContextTables& t, uint32_t& x, uint32_t table, uint32_t index,
                         WordWriter& out) {
  const uint32_t* entry = t.coding + 2 * (table << kEntryTable | index);
  const uint32_t coding = entry[0];
  const uint32_t f = coding & kCodingFrequencyMask;
  const uint32_t raw_bits = coding >> kCodingRawBits;
  if (x >> (31 - kTokenBits - raw_bits) >= f) {
    put_word(out, x);
    x >>= 16;
  }
  x = (x << raw_bits) | (coding >> kCodingRaw & kCodingRawMask);
  const uint32_t q = divided(x, entry[1], coding >> kCodingShift & kCodingShiftMask);
  x += (coding >> kCodingBias & kCodingBiasMask) + q * ((1u << kTokenBits) - f);
}

void encode_span(const ContextTables& t, const uint8_t* table, const uint8_t* zero_class,
                 const uint8_t* indices, uint32_t count, uint32_t lanes, WordWriter& out) {
  uint32_t nonzero = 0;
  for (uint32_t i = 0; i < count; ++i) nonzero += indices[i] != 0;
  for (uint32_t i = count; i-- > 0;) {
    if (indices[i] != 0) encode_token(t, out.state[--nonzero & (lanes - 1)], table[i], indices[i], out);
  }
  for (uint32_t i = count; i-- > 0;) {
    encode_zero_flag(t, out.state[i & (lanes - 1)], zero_class[i], indices[i] != 0, out);
  }
}

void encode_row(const ContextTables& t, const ContextRow& row, const ContextWork& work,
                const uint8_t* indices, WordWriter& out) {
  each_span_backwards(
      t, row, work, indices,
      [&](const uint8_t* table, const uint8_t* zero_class, const uint8_t* values, uint32_t count) {
        encode_span(t, table, zero_class, values, count, row.lanes, out);
      });
}

// Without a branch: whether a state needs a word cannot be predicted.
inline void refresh(uint32_t& x, WordReader& in) {
  const uint32_t word = in.at[0] | uint32_t{in.at[1]} << 8;
  const uint32_t low = x < kStateFloor;
  x = x << (16 * low) | (word & (0u - low));
  in.at += 2 * low;
}

inline uint32_t decode_zero_flag(const ContextTables& t, uint32_t& x, uint32_t zero_class, WordReader& in) {
  const uint32_t p = t.zero_probability[zero_class];
  const uint32_t slot = x & ((1u << kZeroBits) - 1);
  const uint32_t nonzero = slot >= p;
  const uint32_t skipped = p & (0u - nonzero);
  const uint32_t f = nonzero != 0 ? (1u << kZeroBits) - p : p;
  x = f * (x >> kZeroBits) + slot - skipped;
  refresh(x, in);
  return nonzero;
}

inline uint8_t decode_token(const ContextTables& t, uint32_t& x, uint32_t table, WordReader& in) {
  const uint32_t entry = t.slots[table << kTokenBits | (x & ((1u << kTokenBits) - 1))];
  const uint32_t raw_bits = entry >> kSlotRawBits;
  x = (entry & kSlotMask) * (x >> kTokenBits) + (entry >> kSlotPlace & kSlotMask);
  const uint32_t raw = x & ((1u << raw_bits) - 1);
  x >>= raw_bits;
  refresh(x, in);
  return static_cast<uint8_t>((entry >> kSlotBase) + raw);
}

bool decode_span(const ContextTables& t, const uint8_t* table, const uint8_t* zero_class, uint32_t count,
                 uint32_t lanes, uint8_t* packed, uint8_t* indices, uint8_t* companded, WordReader& in) {
  uint32_t nonzero = 0;
  for (uint32_t i = 0; i < count; ++i) {
    if (i % 64 == 0 && !refill(in)) return false;
    const uint32_t flag = decode_zero_flag(t, in.state[i & (lanes - 1)], zero_class[i], in);
    indices[i] = static_cast<uint8_t>(flag);  // where the value will be
    packed[nonzero] = table[i];
    nonzero += flag;
  }
  for (uint32_t i = 0; i < nonzero; ++i) {
    if (i % 64 == 0 && !refill(in)) return false;
    packed[i] = decode_token(t, in.state[i & (lanes - 1)], packed[i], in);
  }
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t flag = indices[i];
    indices[i] = static_cast<uint8_t>(*packed & (0u - flag));
    if (companded != nullptr) companded[i] = t.companded[indices[i]];
    packed += flag;
  }
  return true;
}

bool decode_row(const ContextTables& t, const ContextRow& row, const ContextWork& work, uint8_t* indices,
                WordReader& in) {
  if (t.channel_table != nullptr) {
    return each_run(t, row, [&](size_t first, uint32_t count) {
      return decode_span(t, t.channel_table, t.channel_zero_class, count, row.lanes, work.packed,
                         indices + first, nullptr, in);
    });
  }
  for (uint32_t position = 0; position < row.width; ++position) {
    const size_t base = size_t{position} * row.channels;
    span_contexts(t, neighbours_at(row, position), {0, row.channels}, work.table, work.zero_class);
    if (!decode_span(t, work.table, work.zero_class, row.channels, row.lanes, work.packed, indices + base,
                     row.current + base, in)) {
      return false;
    }
  }
  return true;
}

void predicted_contexts(const ContextTables& t, const PredictionSteps& steps, uint32_t count, uint8_t* table,
                        uint8_t* zero_class) {
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t cell = uint32_t{t.level1[steps.mean[i]]} + t.level2[steps.spread[i]];
    const uint32_t sum = uint32_t{steps.zero[i]} + t.zero_class_of[cell];
    table[i] = t.table_of[cell];
    zero_class[i] = static_cast<uint8_t>(sum < 64 ? 0 : sum > 127 ? 63 : sum - 64);
  }
}

void encode_steps(const ContextTables& t, const ContextWork&, const uint8_t* table, const uint8_t* zero_class,
                  const uint8_t* indices, uint32_t count, uint32_t lanes, WordWriter& out) {
  encode_span(t, table, zero_class, indices, count, lanes, out);
}

bool decode_steps(const ContextTables& t, const ContextWork& work, uint32_t count, uint32_t lanes,
                  uint8_t* indices, uint8_t* companded, WordReader& in) {
  return decode_span(t, work.table, work.zero_class, count, lanes, work.packed, indices, companded, in);
}

}  // namespace

void row_means(const ContextTables& t, const ContextRow& row, int16_t* means) {
  for (uint32_t position = 0; position < row.width; ++position) {
    int16_t* here = means + size_t{position} * row.channels;
    const Neighbours near = neighbours_at(row, position);
    for (uint32_t done = 0; done < row.channels; done += kBlock) {
      const uint32_t left = row.channels - done;
      const Span block{done, left < kBlock ? left : kBlock};
      int32_t found[kBlock];
      block_means(t, near, block, found);
      for (uint32_t i = 0; i < block.count; ++i) here[done + i] = static_cast<int16_t>(found[i]);
    }
  }
}

const ContextKernels kScalarContextKernels{
    look_up, row_contexts, encode_row, decode_row, predicted_contexts, encode_steps, decode_steps, 1};

}  // namespace fmapzip
