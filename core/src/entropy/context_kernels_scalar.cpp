#include <bit>
#include <cstring>

#include "bits/endian.hpp"
#include "entropy/context_kernels.hpp"
#include "simd/inline.hpp"

namespace fmapzip {
namespace {

#include "entropy/context_common.inc"

void look_up(const uint8_t table[256], const uint8_t* src, size_t n, uint8_t* dst) {
  for (size_t i = 0; i < n; ++i) dst[i] = table[src[i]];
}

#include "entropy/context_means_scalar.inc"

void row_contexts(const ContextTables& t, const ContextRow& row, const ContextWork& work) {
  const Contexts contexts(t);
  for (uint32_t position = 0; position < row.width; ++position) {
    const size_t base = size_t{position} * row.channels;
    contexts.span(neighbours_at(row, position), row.channels, work.table + base, work.zero_class + base);
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
  const uint32_t more = x << 16 | load_le<uint16_t>(at);
  const auto low = static_cast<uint32_t>(static_cast<int32_t>(x - kStateFloor) >> 31);
  at += 2 & low;
  return x ^ ((x ^ more) & low);
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
  const uint32_t above = y >> raw_bits;
  state = refreshed(above, at);
  return static_cast<uint8_t>((entry >> kSlotBase) + y - (above << raw_bits));
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
  for (uint32_t i = 0; i < count;) {
    const uint32_t lane = (first + i) & mask;
    uint32_t* state = states + lane;
    const uint32_t stop = count - i < lanes - lane ? count : i + lanes - lane;
    for (; i < stop; ++i, ++state) {
      *end = static_cast<uint8_t>(i);
      end += decode_zero_flag(*state, probability[zero_class[i]], at);
    }
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
    const size_t most = count - first < kReads ? count - first : kReads;
    std::memset(values, 0, most);
    if (companded != nullptr) std::memset(companded + first, t.companded[0], most);
    for (; done < end; ++done) {
      const uint32_t place = packed[done];
      const uint8_t value = decode_token(slots, in.state[done & mask], table[first + place], at);
      values[place] = value;
      if (companded != nullptr) companded[first + place] = t.companded[value];
    }
  }
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
  const Contexts contexts(t);
  for (uint32_t position = 0; position < row.width; ++position) {
    const size_t base = size_t{position} * row.channels;
    contexts.span(neighbours_at(row, position), row.channels, work.table, work.zero_class);
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
  const Contexts contexts(t);
  for (uint32_t position = 0; position < row.width; ++position) {
    contexts.means(neighbours_at(row, position), row.channels, means + size_t{position} * row.channels);
  }
}

const ContextKernels kScalarContextKernels{
    look_up, row_contexts, encode_row, decode_row, predicted_contexts, encode_span, decode_steps, 1};

}  // namespace fmapzip
