#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

namespace fmapzip {

// Little-endian numbers in bytes, whatever the machine's own order.
template <class T>
T load_le(const uint8_t* p) {
  std::array<uint8_t, sizeof(T)> bytes;
  std::memcpy(bytes.data(), p, sizeof(T));
  if constexpr (std::endian::native == std::endian::big) std::reverse(bytes.begin(), bytes.end());
  return std::bit_cast<T>(bytes);
}

template <class T>
void store_le(uint8_t* p, T value) {
  auto bytes = std::bit_cast<std::array<uint8_t, sizeof(T)>>(value);
  if constexpr (std::endian::native == std::endian::big) std::reverse(bytes.begin(), bytes.end());
  std::memcpy(p, bytes.data(), sizeof(T));
}

}  // namespace fmapzip
