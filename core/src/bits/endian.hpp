#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

namespace fmapzip {

static_assert(std::endian::native == std::endian::little, "the core stores integers as they lie in memory");

template <class T>
T load_le(const uint8_t* p) {
  T value;
  std::memcpy(&value, p, sizeof(T));
  return value;
}

template <class T>
void store_le(uint8_t* p, T value) {
  std::memcpy(p, &value, sizeof(T));
}

}  // namespace fmapzip
