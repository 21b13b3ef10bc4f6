#include "entropy/context_params_writer.hpp"

#include "bits/varint.hpp"
#include "entropy/alphabet.hpp"

namespace fmapzip {
namespace {

constexpr uint8_t kNeighbours = 1, kSigned = 2, kRequantized = 16, kZeroPoint = 64;
constexpr uint32_t kRiceEscape = 15;
constexpr uint32_t kChannelTableBits = 6;

// Bits, least significant first.
class BitWriter {
 public:
  explicit BitWriter(std::vector<uint8_t>& out) : out_(out) {}

  // At most 32 bits.
  void put(uint32_t value, uint32_t bits) {
    partial_ |= uint64_t{value} << fill_;
    for (fill_ += bits; fill_ >= 8; fill_ -= 8) {
      out_.push_back(static_cast<uint8_t>(partial_));
      partial_ >>= 8;
    }
  }

  // The cheapest Rice parameter and the codes of signed values.
  void rice(const std::vector<int32_t>& values) {
    uint32_t best = 0;
    size_t least = SIZE_MAX;
    for (uint32_t k = 0; k < 15; ++k) {
      size_t bits = 0;
      for (const int32_t v : values) {
        const uint32_t quotient = folded(v) >> k;
        bits += quotient >= kRiceEscape ? kRiceEscape + 16 : quotient + 1 + k;
      }
      if (bits < least) {
        least = bits;
        best = k;
      }
    }
    put(best, 4);
    for (const int32_t v : values) {
      const uint32_t u = folded(v);
      const uint32_t quotient = u >> best;
      if (quotient >= kRiceEscape) {
        put((1u << kRiceEscape) - 1, kRiceEscape);
        put(u, 16);
      } else {
        put((1u << quotient) - 1, quotient + 1);
        put(u & ((1u << best) - 1), best);
      }
    }
  }

  void finish() {
    if (fill_ > 0) out_.push_back(static_cast<uint8_t>(partial_));
  }

 private:
  static uint32_t folded(int32_t v) { return static_cast<uint32_t>(v < 0 ? -2 * v - 1 : 2 * v); }

  std::vector<uint8_t>& out_;
  uint64_t partial_ = 0;
  uint32_t fill_ = 0;
};

std::vector<int32_t> against_above(const std::vector<int32_t>& numbers) {
  std::vector<int32_t> found(numbers);
  for (size_t i = kTokens; i < numbers.size(); ++i) found[i] -= numbers[i - kTokens];
  return found;
}

// Each cell against the one before it in its row; the first of a row against the one above.
std::vector<int32_t> cell_residuals(const std::vector<int32_t>& cells, size_t columns) {
  std::vector<int32_t> found(cells);
  for (size_t i = 1; i < cells.size(); ++i) {
    const size_t before = i % columns != 0 ? i - 1 : i - columns;
    found[i] -= cells[before];
  }
  return found;
}

void put_neighbours(const ContextDraft& draft, std::vector<uint8_t>& out) {
  for (const int8_t w : draft.mean_weights) out.push_back(static_cast<uint8_t>(w));
  for (const int8_t w : draft.spread_weights) out.push_back(static_cast<uint8_t>(w));
  out.push_back(static_cast<uint8_t>(draft.offset));
  out.push_back(static_cast<uint8_t>(draft.offset >> 8));
  out.push_back(static_cast<uint8_t>(draft.mean_thresholds.size() + 1));
  out.push_back(static_cast<uint8_t>(draft.spread_thresholds.size() + 1));
  out.insert(out.end(), draft.mean_thresholds.begin(), draft.mean_thresholds.end());
  out.insert(out.end(), draft.spread_thresholds.begin(), draft.spread_thresholds.end());
}

}  // namespace

ContextDraft draft_of(ValueRange range, uint32_t numerator, uint32_t denominator, size_t contexts,
                      bool of_channels) {
  ContextDraft draft;
  draft.range = range;
  draft.of_channels = of_channels;
  draft.numerator = numerator;
  draft.denominator = denominator;
  draft.table_of = draft.zero_class_of = std::vector<int32_t>(contexts, 0);
  draft.raw_bits.assign(kTokens, 4);
  draft.log_frequencies.assign(kTokens, 32);
  return draft;
}

std::vector<uint8_t> write_context_params(const ContextDraft& draft) {
  const bool requantized = draft.numerator != draft.denominator;
  std::vector<uint8_t> out;
  const bool is_signed = draft.range == kSignedRange;
  const bool zero_pointed = !is_signed && draft.range != kUnsignedRange;
  out.push_back(static_cast<uint8_t>((draft.of_channels ? 0 : kNeighbours) | (is_signed ? kSigned : 0) |
                                     (requantized ? kRequantized : 0) | (zero_pointed ? kZeroPoint : 0)));
  out.push_back(static_cast<uint8_t>(draft.raw_bits.size() / kTokens - 1));
  if (draft.of_channels) put_varint(out, static_cast<uint32_t>(draft.table_of.size()));
  if (zero_pointed) out.push_back(draft.range.below);
  if (requantized) {
    put_varint(out, draft.numerator);
    put_varint(out, draft.denominator);
  }
  if (!draft.of_channels) put_neighbours(draft, out);
  BitWriter bits(out);
  bits.rice(against_above(draft.raw_bits));
  bits.rice(against_above(draft.log_frequencies));
  if (draft.of_channels) {
    for (size_t c = 0; c < draft.table_of.size(); ++c) {
      bits.put(static_cast<uint32_t>(draft.table_of[c] | draft.zero_class_of[c] << kChannelTableBits), 12);
    }
  } else {
    bits.rice(cell_residuals(draft.table_of, draft.spread_thresholds.size() + 1));
    bits.rice(cell_residuals(draft.zero_class_of, draft.spread_thresholds.size() + 1));
  }
  bits.finish();
  return out;
}

}  // namespace fmapzip
