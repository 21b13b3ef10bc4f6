#pragma once

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include "simd/instruction_set.hpp"

// The little that the core's own tests need: they exist to run under the sanitizers, without Python.
#define CHECK(condition)                                                                 \
  do {                                                                                   \
    if (!(condition)) {                                                                  \
      std::fprintf(stderr, "%s:%d: CHECK(%s) failed\n", __FILE__, __LINE__, #condition); \
      std::exit(1);                                                                      \
    }                                                                                    \
  } while (false)

namespace fmapzip::test {

// Each buffer is an allocation of its exact size, so that a sanitizer sees any byte touched beyond it.
inline std::vector<uint8_t> sparse_bytes(size_t n, double nonzero, std::mt19937& random) {
  std::vector<uint8_t> bytes(n);
  std::bernoulli_distribution keep(nonzero);
  for (uint8_t& b : bytes) b = keep(random) ? static_cast<uint8_t>(random()) : uint8_t{0};
  return bytes;
}

}  // namespace fmapzip::test
