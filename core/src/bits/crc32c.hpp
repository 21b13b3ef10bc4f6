#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace fmapzip {

// CRC-32C (Castagnoli polynomial 0x1EDC6F41, reflected, as in RFC 3720). `crc` continues an earlier call.
uint32_t crc32c(std::span<const uint8_t> data, uint32_t crc = 0);

}  // namespace fmapzip
