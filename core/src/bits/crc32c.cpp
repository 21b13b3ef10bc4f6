#include "bits/crc32c.hpp"

#include <array>

#include "simd/kernels.hpp"

namespace fmapzip {

uint32_t crc32c(std::span<const uint8_t> data, uint32_t crc) {
  return ~kernels().crc32c(data.data(), data.size(), ~crc);
}

}  // namespace fmapzip
