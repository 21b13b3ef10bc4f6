#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace fmapzip {

inline constexpr int64_t kLogOne = 1 << 16;
inline constexpr uint32_t kLogMantissaBits = 12;

extern const std::array<int32_t, 1 << kLogMantissaBits> kLogs;

// log2(n) of a positive integer in 1/65536, from its 12 leading bits.
inline int32_t fixed_log2(uint64_t n) {
  const auto width = static_cast<uint32_t>(std::bit_width(n));
  const uint32_t shift = width > kLogMantissaBits ? width - kLogMantissaBits : 0;
  return kLogs[n >> shift] + static_cast<int32_t>(shift * kLogOne);
}

}  // namespace fmapzip
