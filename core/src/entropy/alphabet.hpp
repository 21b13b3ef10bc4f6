#pragma once

#include <array>
#include <cstdint>

// How 8-bit values become symbols of the entropy coder: a zero flag, then one of 32 tokens for what is not
// zero, each a run of 2^n consecutive values, then n raw bits. docs/FORMAT.md, "context-rans".
namespace fmapzip {

inline constexpr uint32_t kTokens = 32;
inline constexpr uint32_t kTokenBits = 10;  // token frequencies sum to 2^10
inline constexpr uint32_t kZeroBits = 12;   // probabilities of the zero flag are in 2^-12
inline constexpr uint32_t kZeroClasses = 64;
inline constexpr uint32_t kMaxTables = 64;
inline constexpr uint32_t kStateFloor = uint32_t{1} << 15;  // states lie in [2^15, 2^31)

struct Token {
  uint8_t base;      // its first value, modulo 256
  uint8_t raw_bits;  // it stands for 2^raw_bits values
};

struct Alphabet {
  std::array<Token, kTokens> tokens;
  std::array<uint8_t, 256> token_of;  // of a value's byte; 0 for the value 0, which has none
  std::array<uint8_t, 256> raw_of;    // raw bits of a value's byte
};

Alphabet make_alphabet(bool is_signed);

// Probability of zero in class k, in 2^-12: 4096 / (1 + exp(0.22 (31.5 - k))) rounded, symmetric.
extern const std::array<uint16_t, kZeroClasses> kZeroProbability;

// sqrt, so that a step in the result means about the same at every magnitude: 0..255 for 0..255, or
// 128 + sign * 0..126 for -128..127.
uint8_t compand(int value, bool is_signed);

}  // namespace fmapzip
