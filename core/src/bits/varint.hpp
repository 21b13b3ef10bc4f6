#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace fmapzip {

inline constexpr size_t kMaxVarintBytes = 5;  // of a value below 2^32

// LEB128, least significant group first.
inline void put_varint(std::vector<uint8_t>& out, uint32_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<uint8_t>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<uint8_t>(value));
}

enum class VarintError : uint8_t { none, truncated, malformed };

// Reads a value below 2^32 in its shortest form, so that every header has one spelling.
inline VarintError get_varint(std::span<const uint8_t> data, size_t& position, uint32_t& value) {
  uint64_t result = 0;
  for (size_t i = 0; i < kMaxVarintBytes; ++i) {
    if (position + i >= data.size()) return VarintError::truncated;
    const uint8_t byte = data[position + i];
    result |= uint64_t{byte & 0x7Fu} << (7 * i);
    if (byte & 0x80) continue;
    if (result > UINT32_MAX || (byte == 0 && i > 0)) return VarintError::malformed;
    position += i + 1;
    value = static_cast<uint32_t>(result);
    return VarintError::none;
  }
  return VarintError::malformed;
}

}  // namespace fmapzip
