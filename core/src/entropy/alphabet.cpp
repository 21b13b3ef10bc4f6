#include "entropy/alphabet.hpp"

namespace fmapzip {
namespace {

struct Run {
  uint8_t raw_bits;
  uint8_t count;
};

// Runs over |value| - 1; signed alphabets have each of them once for positive and once for negative values.
constexpr Run kUnsignedRuns[] = {{0, 12}, {1, 4}, {2, 4}, {3, 4}, {4, 4}, {5, 4}};
constexpr Run kSignedRuns[] = {{0, 6}, {1, 2}, {2, 2}, {3, 2}, {4, 2}, {5, 2}};

uint32_t integer_sqrt(uint32_t n) {
  uint32_t root = 0;
  while ((root + 1) * (root + 1) <= n) ++root;
  return root;
}

// Gives token `index` the values `first`, first + 1, ... (bytes) that its run stands for.
void add_token(Alphabet& alphabet, uint32_t index, int first, Run run, int lowest, int highest) {
  alphabet.tokens[index] = {static_cast<uint8_t>(first), run.raw_bits};
  for (int raw = 0; raw < (1 << run.raw_bits); ++raw) {
    const int value = first + raw;
    if (value < lowest || value > highest) continue;
    alphabet.token_of[static_cast<uint8_t>(value)] = static_cast<uint8_t>(index);
    alphabet.raw_of[static_cast<uint8_t>(value)] = static_cast<uint8_t>(raw);
  }
}

}  // namespace

Alphabet make_alphabet(bool is_signed) {
  Alphabet alphabet{};
  uint32_t index = 0;
  int magnitude = 1;
  const auto add = [&](Run run) {
    for (uint8_t i = 0; i < run.count; ++i, ++index) {
      const int width = 1 << run.raw_bits;
      if (is_signed) {
        add_token(alphabet, index, magnitude, run, 1, 127);
        add_token(alphabet, index + kTokens / 2, 1 - magnitude - width, run, -128, -1);
      } else {
        add_token(alphabet, index, magnitude, run, 1, 255);
      }
      magnitude += width;
    }
  };
  if (is_signed) {
    for (const Run run : kSignedRuns) add(run);
  } else {
    for (const Run run : kUnsignedRuns) add(run);
  }
  return alphabet;
}

const std::array<uint16_t, kZeroClasses> kZeroProbability = {
    4,    5,    6,    8,    10,   12,   15,   19,   23,   29,   36,   45,   55,   69,   85,   106,
    131,  162,  200,  246,  302,  370,  451,  547,  660,  791,  941,  1110, 1296, 1499, 1713, 1935,
    2161, 2383, 2597, 2800, 2986, 3155, 3305, 3436, 3549, 3645, 3726, 3794, 3850, 3896, 3934, 3965,
    3990, 4011, 4027, 4041, 4051, 4060, 4067, 4073, 4077, 4081, 4084, 4086, 4088, 4090, 4091, 4092};

uint8_t compand(int value, bool is_signed) {
  if (!is_signed) return static_cast<uint8_t>(integer_sqrt(static_cast<uint32_t>(256 * value)));
  const uint32_t root = integer_sqrt(static_cast<uint32_t>(126 * (value < 0 ? -value : value)));
  return static_cast<uint8_t>(value < 0 ? 128 - root : 128 + root);
}

}  // namespace fmapzip
