#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "fmapzip/frame.hpp"

// The header's spelling, shared by writer and reader.
namespace fmapzip {

inline constexpr std::array<uint8_t, 4> kMagic{'F', 'M', 'A', 'P'};
inline constexpr size_t kChecksumBytes = 4;
inline constexpr size_t kTileLengthBytes = 4;
inline constexpr size_t kScaleBytes = 4;
inline constexpr float kLeastScale = 0x1p-126f;   // below it scales are subnormal
inline constexpr float kLargestScale = 0x1p120f;  // above it values overflow
inline constexpr size_t kMaxExternalId = 64;

namespace flag {
inline constexpr uint8_t kSigned = 1u << 0;
inline constexpr uint8_t kQuantizer = 1u << 1;
inline constexpr uint8_t kPlan = 1u << 2;
inline constexpr int kNdimShift = 3;
inline constexpr uint8_t kNdim = 3u << kNdimShift;  // modulo 4: none stands for four
inline constexpr uint8_t kPerChannel = 1u << 5;
inline constexpr uint8_t kZeroPoint = 1u << 6;
inline constexpr uint8_t kLater = 1u << 7;  // something that only a later release can read
}  // namespace flag

// Everything before the tile table.
void write_header(const FrameInfo& info, std::vector<uint8_t>& out);

Status read_header(std::span<const uint8_t> data, const Limits& limits, FrameInfo& info, size_t& position);

// Whether `info` is a header that a reader accepts.
Status check_header(const FrameInfo& info);

}  // namespace fmapzip
