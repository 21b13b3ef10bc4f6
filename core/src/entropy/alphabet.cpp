#include "entropy/alphabet.hpp"

#include <cmath>

namespace fmapzip {
namespace {

// Exact: n has at most 28 bits, and the square root of a double is rounded correctly.
uint32_t integer_sqrt(uint32_t n) { return static_cast<uint32_t>(std::sqrt(static_cast<double>(n))); }

struct Axis {
  uint32_t gain, zero;
};

Axis axis_of(ValueRange range) {
  if (range == kUnsignedRange) return {256, 0};
  if (range == kSignedRange) return {126, 128};
  const uint32_t both = uint32_t{range.below} * (255u - range.below);
  const uint32_t down = integer_sqrt(both);
  const uint32_t gain = 65025 / (255 + 2 * (down * down < both ? down + 1 : down));
  return {gain, integer_sqrt(gain * range.below)};
}

}  // namespace

const std::array<uint16_t, kZeroClasses> kZeroProbability = {
    4,    5,    6,    8,    10,   12,   15,   19,   23,   29,   36,   45,   55,   69,   85,   106,
    131,  162,  200,  246,  302,  370,  451,  547,  660,  791,  941,  1110, 1296, 1499, 1713, 1935,
    2161, 2383, 2597, 2800, 2986, 3155, 3305, 3436, 3549, 3645, 3726, 3794, 3850, 3896, 3934, 3965,
    3990, 4011, 4027, 4041, 4051, 4060, 4067, 4073, 4077, 4081, 4084, 4086, 4088, 4090, 4091, 4092};

uint8_t compand(int value, ValueRange range) {
  const Axis axis = axis_of(range);
  const uint32_t root = integer_sqrt(axis.gain * static_cast<uint32_t>(value < 0 ? -value : value));
  return static_cast<uint8_t>(value < 0 ? axis.zero - root : axis.zero + root);
}

int16_t compand_estimate(int estimate, ValueRange range) {
  const Axis axis = axis_of(range);
  const auto size = static_cast<uint32_t>(estimate < 0 ? -estimate : estimate);
  const auto root = static_cast<int>(integer_sqrt(256 * axis.gain * size));
  const int zero = static_cast<int>(64 * axis.zero);
  return static_cast<int16_t>(estimate < 0 ? zero - root : zero + root);
}

uint8_t seen_magnitude(int value) {
  return static_cast<uint8_t>(integer_sqrt(64 * static_cast<uint32_t>(value < 0 ? -value : value)));
}

}  // namespace fmapzip
