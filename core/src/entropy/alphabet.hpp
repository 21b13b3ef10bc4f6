#pragma once

#include <array>
#include <cstdint>

#include "fmapzip/map.hpp"

// How 8-bit values become symbols of the entropy coder: a zero flag, then one of 16 tokens for what is not
// zero, each a run of 2^n consecutive bytes, then n raw bits. docs/format/context-rans.md.
namespace fmapzip {

inline constexpr uint32_t kTokens = 16;
inline constexpr uint32_t kTokenBits = 8;  // token frequencies sum to 2^8
inline constexpr uint32_t kMaxRawBits =
    7;  // with a token's 8 bits, at most the 15 that a state can do without
inline constexpr uint32_t kZeroBits = 12;  // probabilities of the zero flag are in 2^-12
inline constexpr uint32_t kZeroClasses = 64;
inline constexpr uint32_t kMaxTables = 64;
inline constexpr uint32_t kMaxHeadTables = 256;  // where a head picks them
inline constexpr uint32_t kContextSteps = 64;    // means and spreads are told apart in so many steps
inline constexpr uint32_t kCells = 128;          // at most so many pairs of a mean's and a spread's level
inline constexpr uint32_t kRunValues = 1024;     // without neighbours, as many positions make a span as fit
inline constexpr uint32_t kStateFloor = uint32_t{1} << 15;  // states lie in [2^15, 2^31)

// Probability of zero in class k, in 2^-12: 4096 / (1 + exp(0.22 (31.5 - k))) rounded, symmetric.
extern const std::array<uint16_t, kZeroClasses> kZeroProbability;

// sqrt, so that a step in the result means about the same at every magnitude: 0..255 for 0..255,
// 128 + sign * 0..126 for -128..127, and so that the bytes are used up for other ranges.
uint8_t compand(int value, ValueRange range);

// Of an estimate in 1/16 of a value, from -2048 to 4095: in 1/64.
int16_t compand_estimate(int estimate, ValueRange range);

// floor(8 sqrt(|value|)) of a value from -255 to 255, which fits 7 bits.
uint8_t seen_magnitude(int value);

}  // namespace fmapzip
