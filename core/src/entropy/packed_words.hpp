#pragma once

#include "entropy/alphabet.hpp"

// The fields of the words that kernels look up: where each begins, the same for every instruction set.
namespace fmapzip {

// A slot of a token table: the token's frequency from bit 0, the slot's place in the token's interval, the
// first value of its run, and how many raw bits tell the run's values apart. All but the last are 8 bits
// wide.
inline constexpr uint32_t kSlotMask = 0xFF;
inline constexpr uint32_t kSlotPlace = 8;
inline constexpr uint32_t kSlotBase = 16;
inline constexpr uint32_t kSlotRawBits = 24;

// How a value is encoded: its token's frequency from bit 0, what is added to the state, the raw bits, the
// shift of the division by the frequency, and how many raw bits there are.
inline constexpr uint32_t kCodingFrequencyMask = 0xFF;
inline constexpr uint32_t kCodingBias = 8;
inline constexpr uint32_t kCodingBiasMask = 0x1FF;
inline constexpr uint32_t kCodingRaw = 17;
inline constexpr uint32_t kCodingRawMask = 0x7F;
inline constexpr uint32_t kCodingShift = 24;
inline constexpr uint32_t kCodingShiftMask = 0xF;
inline constexpr uint32_t kCodingRawBits = 28;

// A divisor of the zero flag: the frequency from bit 0, then the shift of the division by it.
inline constexpr uint32_t kDivisorMask = 0xFFF;
inline constexpr uint32_t kDivisorShift = 12;

// A table and a value, as encoders pair them.
inline constexpr uint32_t kEntryTable = 8;

// A frequency that is all of its total would need one bit more: tables have several tokens, and probabilities
// of the zero flag leave both symbols some.
static_assert((1u << kTokenBits) - 1 <= kSlotMask && (1u << kTokenBits) - 1 <= kCodingFrequencyMask);
static_assert(2 * (1u << kTokenBits) - 1 <= kCodingBiasMask);
static_assert((1u << kMaxRawBits) - 1 <= kCodingRawMask && kMaxRawBits < 1u << (32 - kCodingRawBits));
static_assert(kCodingBias + 9 == kCodingRaw && kCodingRaw + 7 == kCodingShift &&
              kCodingShift + 4 == kCodingRawBits);
static_assert((1u << kZeroBits) - 1 <= kDivisorMask && kDivisorMask < 1u << kDivisorShift);

}  // namespace fmapzip
