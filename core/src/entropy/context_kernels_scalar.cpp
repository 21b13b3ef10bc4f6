#include <cstring>

#include "bits/endian.hpp"
#include "entropy/context_kernels.hpp"

namespace fmapzip {
namespace {

#include "entropy/context_common.inc"

void look_up(const uint8_t table[256], const uint8_t* src, size_t n, uint8_t* dst) {
  for (size_t i = 0; i < n; ++i) dst[i] = table[src[i]];
}

struct Span {
  uint32_t first;
  uint32_t count;
};

// Plain loops over small arrays of 16 bits, which compilers turn into vectors of whatever machine this is.
constexpr uint32_t kBlock = 64;

// Without a comparison: a sum's sign differs from both of its terms' where it leaves 16 bits.
inline int16_t saturated_sum(int16_t a, int16_t b) {
  const auto sum = static_cast<int16_t>(static_cast<uint16_t>(a) + static_cast<uint16_t>(b));
  const auto beyond = static_cast<int16_t>(static_cast<int16_t>((a ^ sum) & (b ^ sum)) >> 15);
  const auto end = static_cast<int16_t>((a >> 15) ^ 0x7FFF);
  return static_cast<int16_t>((sum & ~beyond) | (end & beyond));
}

// Of a value and a weight; no sum of two exceeds 16 bits.
inline uint16_t product(int16_t weight, uint8_t value) {
  return static_cast<uint16_t>(static_cast<uint16_t>(weight) * uint32_t{value});
}

inline uint8_t distance(uint8_t a, uint8_t b) {
  return static_cast<uint8_t>((a < b ? b : a) - (a < b ? a : b));
}

// A mean or spread in 1/64 as one of 64 steps.
inline uint8_t step_of(int16_t x) {
  const auto step = static_cast<int16_t>(x >> 8);
  const auto least = static_cast<int16_t>(step < 0 ? 0 : step);
  return static_cast<uint8_t>(least > 63 ? 63 : least);
}

// By weights of each channel, and offsets.
void own_block_means(const ContextTables& t, const Neighbours& near, Span span, int16_t* means) {
  const int8_t* const* own = t.of_channels.weights;
  const int8_t *a = own[0] + span.first, *b = own[1] + span.first;
  const int8_t *c = own[2] + span.first, *d = own[3] + span.first;
  const uint8_t *w = near.w + span.first, *n = near.n + span.first;
  const uint8_t *nw = near.nw + span.first, *ne = near.ne + span.first;
  for (uint32_t i = 0; i < span.count; ++i) {
    const auto first = static_cast<int16_t>(product(a[i], w[i]) + product(b[i], n[i]));
    const auto second = static_cast<int16_t>(product(c[i], nw[i]) + product(d[i], ne[i]));
    means[i] = saturated_sum(saturated_sum(first, second), t.offsets[span.first + i]);
  }
}

void block_means(const ContextTables& t, const Neighbours& near, Span span, int16_t* means) {
  const int16_t a = t.mean_weights[0], b = t.mean_weights[1], c = t.mean_weights[2], d = t.mean_weights[3];
  const uint8_t *w = near.w + span.first, *n = near.n + span.first;
  const uint8_t *nw = near.nw + span.first, *ne = near.ne + span.first;
  if (t.of_channels.zero_bias != nullptr) return own_block_means(t, near, span, means);
  int16_t offsets[kBlock];
  for (uint32_t i = 0; i < span.count; ++i) {
    offsets[i] = t.offsets != nullptr ? t.offsets[span.first + i] : t.offset;
  }
  for (uint32_t i = 0; i < span.count; ++i) {
    const auto first = static_cast<int16_t>(product(a, w[i]) + product(b, n[i]));
    const auto second = static_cast<int16_t>(product(c, nw[i]) + product(d, ne[i]));
    means[i] = saturated_sum(saturated_sum(first, second), offsets[i]);
  }
}

void block_spreads(const ContextTables& t, const Neighbours& near, Span span, uint8_t* spreads) {
  const int16_t a = t.spread_weights[0], b = t.spread_weights[1], c = t.spread_weights[2],
                d = t.spread_weights[3];
  const uint8_t *w = near.w + span.first, *n = near.n + span.first;
  const uint8_t *nw = near.nw + span.first, *ne = near.ne + span.first;
  int16_t biases[kBlock];
  for (uint32_t i = 0; i < span.count; ++i) {
    biases[i] = t.of_channels.spread_bias != nullptr ? t.of_channels.spread_bias[span.first + i] : int16_t{0};
  }
  for (uint32_t i = 0; i < span.count; ++i) {
    const auto first =
        static_cast<int16_t>(product(a, distance(w[i], n[i])) + product(b, distance(w[i], nw[i])));
    const auto second =
        static_cast<int16_t>(product(c, distance(n[i], nw[i])) + product(d, distance(n[i], ne[i])));
    spreads[i] = step_of(saturated_sum(saturated_sum(first, second), biases[i]));
  }
}

// Zero classes with what channels add to them.
void move(const int8_t* by, uint32_t count, uint8_t* classes) {
  for (uint32_t i = 0; i < count; ++i) {
    const auto sum = static_cast<int8_t>(classes[i] + by[i]);
    const auto least = static_cast<int8_t>(sum < 0 ? 0 : sum);
    classes[i] = static_cast<uint8_t>(least > 63 ? 63 : least);
  }
}

// Cells of a span's channels at one position, and from them table and zero class.
void span_contexts(const ContextTables& t, const Neighbours& near, Span span, uint8_t* table,
                   uint8_t* zero_class) {
  for (uint32_t done = 0; done < span.count; done += kBlock) {
    const uint32_t left = span.count - done;
    const Span block{span.first + done, left < kBlock ? left : kBlock};
    int16_t means[kBlock];
    uint8_t steps[kBlock], spreads[kBlock];
    block_means(t, near, block, means);
    block_spreads(t, near, block, spreads);
    for (uint32_t i = 0; i < block.count; ++i) steps[i] = step_of(means[i]);
    for (uint32_t i = 0; i < block.count; ++i) {
      const uint32_t cell = uint32_t{t.level1[steps[i]]} + t.level2[spreads[i]];
      table[done + i] = t.table_of[cell];
      zero_class[done + i] = t.zero_class_of[cell];
    }
    if (t.of_channels.zero_bias != nullptr)
      move(t.of_channels.zero_bias + block.first, block.count, zero_class + done);
  }
}

void row_contexts(const ContextTables& t, const ContextRow& row, const ContextWork& work) {
  for (uint32_t position = 0; position < row.width; ++position) {
    const size_t base = size_t{position} * row.channels;
    span_contexts(t, neighbours_at(row, position), {0, row.channels}, work.table + base,
                  work.zero_class + base);
  }
}

// The state without its low word, which is written, where `full`. Without a branch, which could not be
// predicted.
inline uint32_t emptied(uint32_t x, bool full, uint8_t*& at) {
  store_le(at - 2, static_cast<uint16_t>(x));
  at -= 2 * static_cast<uint32_t>(full);
  return x >> (16 * static_cast<uint32_t>(full));
}

inline uint32_t divided(uint32_t x, uint32_t reciprocal, uint32_t shift) {
  return static_cast<uint32_t>((uint64_t{x} * reciprocal) >> 32) >> shift;
}

inline uint32_t encode_zero_flag(const ContextTables& t, uint32_t state, uint32_t zero_class, bool nonzero,
                                 uint8_t*& at) {
  const uint32_t mirrored = zero_class ^ (63 & (0u - nonzero));
  const uint32_t divisor = t.zero_divisor[mirrored];
  const uint32_t f = divisor & kDivisorMask;
  const uint32_t x = emptied(state, state >> (31 - kZeroBits) >= f, at);
  const uint32_t q = divided(x, t.zero_reciprocal[mirrored], divisor >> kDivisorShift);
  return x + q * ((1u << kZeroBits) - f) + (t.zero_probability[zero_class] & (0u - nonzero));
}

inline uint32_t encode_token(const ContextTables& t, uint32_t state, uint32_t entry_of, uint8_t*& at) {
  const uint32_t* entry = t.coding + 2 * entry_of;
  const uint32_t coding = entry[0];
  const uint32_t f = coding & kCodingFrequencyMask;
  const uint32_t raw_bits = coding >> kCodingRawBits;
  const uint32_t x = emptied(state, state >> (31 - kTokenBits - raw_bits) >= f, at) << raw_bits |
                     (coding >> kCodingRaw & kCodingRawMask);
  const uint32_t q = divided(x, entry[1], coding >> kCodingShift & kCodingShiftMask);
  return x + (coding >> kCodingBias & kCodingBiasMask) + q * ((1u << kTokenBits) - f);
}

void encode_span(const ContextTables& t, const ContextWork& work, const uint8_t* table,
                 const uint8_t* zero_class, const uint8_t* indices, uint32_t count, uint32_t lanes,
                 WordWriter& out) {
  uint16_t* const entries = work.entries;
  const uint32_t mask = lanes - 1;
  uint8_t* at = out.at;
  uint32_t nonzero = 0;
  for (uint32_t i = 0; i < count; ++i) {
    entries[nonzero] = static_cast<uint16_t>(table[i] << kEntryTable | indices[i]);
    nonzero += indices[i] != 0;
  }
  for (uint32_t i = nonzero; i-- > 0;) {
    uint32_t& state = out.state[i & mask];
    state = encode_token(t, state, entries[i], at);
  }
  for (uint32_t i = count; i-- > 0;) {
    uint32_t& state = out.state[i & mask];
    state = encode_zero_flag(t, state, zero_class[i], indices[i] != 0, at);
  }
  out.at = at;
}

void encode_row(const ContextTables& t, const ContextRow& row, const ContextWork& work,
                const uint8_t* indices, WordWriter& out) {
  each_span_backwards(
      t, row, work, indices,
      [&](const uint8_t* table, const uint8_t* zero_class, const uint8_t* values, uint32_t count) {
        encode_span(t, work, table, zero_class, values, count, row.lanes, out);
      });
}

// Without a branch: whether a state needs a word cannot be predicted. States and the place of the next word
// are handed on by value: a store through a pointer to bytes may change anything that lies in memory.
inline uint32_t refreshed(uint32_t x, const uint8_t*& at) {
  const uint32_t word = load_le<uint16_t>(at);
  const uint32_t low = x < kStateFloor;
  at += 2 * low;
  return x << (16 * low) | (word & (0u - low));
}

inline uint32_t decode_zero_flag(uint32_t& state, uint32_t p, const uint8_t*& at) {
  const uint32_t x = state;
  const uint32_t slot = x & ((1u << kZeroBits) - 1);
  const uint32_t zeros = p * (x >> kZeroBits);
  const bool nonzero = slot >= p;
  const uint32_t if_zero = zeros + slot, if_not = x - zeros - p;
  state = refreshed(nonzero ? if_not : if_zero, at);
  return nonzero ? 1 : 0;
}

inline uint8_t decode_token(const uint32_t* slots, uint32_t& state, uint32_t table, const uint8_t*& at) {
  const uint32_t x = state;
  const uint32_t entry = slots[table << kTokenBits | (x & ((1u << kTokenBits) - 1))];
  const uint32_t raw_bits = entry >> kSlotRawBits;
  const uint32_t y = (entry & kSlotMask) * (x >> kTokenBits) + (entry >> kSlotPlace & kSlotMask);
  const uint32_t raw = y & ((1u << raw_bits) - 1);
  state = refreshed(y >> raw_bits, at);
  return static_cast<uint8_t>((entry >> kSlotBase) + raw);
}

// The place of the next word, where kWordMargin bytes can be read; null where they run out.
inline const uint8_t* readable(WordReader& in, const uint8_t* at) {
  if (at <= in.safe) return at;
  in.at = at;
  return refill(in) ? in.at : nullptr;
}

constexpr uint32_t kReads = 64;  // symbols between two looks at the words

// The zero flags of up to kReads values. `places` takes where those are that are not zero; gives how many.
inline uint32_t decode_flags(const ContextTables& t, const uint8_t* zero_class, uint32_t first,
                             uint32_t count, uint32_t lanes, uint8_t* places, uint32_t* states,
                             const uint8_t*& words) {
  const uint8_t* at = words;
  const uint16_t* const probability = t.zero_probability;
  const uint32_t mask = lanes - 1;
  uint8_t* end = places;
  for (uint32_t i = 0; i < count; ++i) {
    *end = static_cast<uint8_t>(i);
    end += decode_zero_flag(states[(first + i) & mask], probability[zero_class[i]], at);
  }
  words = at;
  return static_cast<uint32_t>(end - places);
}

// Between the passes, the first index of each kReads holds how many of them are not zero.
bool decode_span(const ContextTables& t, const uint8_t* table, const uint8_t* zero_class, uint32_t count,
                 uint32_t lanes, uint8_t* packed, uint8_t* indices, uint8_t* companded, WordReader& in) {
  const uint8_t* at = in.at;
  uint8_t* places = packed;
  for (uint32_t first = 0; first < count; first += kReads) {
    if ((at = readable(in, at)) == nullptr) return false;
    const uint32_t values = count - first < kReads ? count - first : kReads;
    const uint32_t nonzero = decode_flags(t, zero_class + first, first, values, lanes, places, in.state, at);
    indices[first] = static_cast<uint8_t>(nonzero);
    places += nonzero;
  }
  const uint32_t* const slots = t.slots;
  const uint32_t mask = lanes - 1;
  uint32_t done = 0;
  for (uint32_t first = 0; first < count; first += kReads) {
    if ((at = readable(in, at)) == nullptr) return false;
    uint8_t* const values = indices + first;
    const uint32_t end = done + *values;
    std::memset(values, 0, count - first < kReads ? count - first : kReads);
    for (; done < end; ++done) {
      const uint32_t place = packed[done];
      values[place] = decode_token(slots, in.state[done & mask], table[first + place], at);
    }
  }
  if (companded != nullptr) look_up(t.companded, indices, count, companded);
  in.at = at;
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
      block_means(t, near, block, here + done);
    }
  }
}

const ContextKernels kScalarContextKernels{
    look_up, row_contexts, encode_row, decode_row, predicted_contexts, encode_span, decode_steps, 1};

}  // namespace fmapzip
