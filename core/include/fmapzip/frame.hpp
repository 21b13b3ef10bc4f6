#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "fmapzip/byte_buffer.hpp"
#include "fmapzip/codec.hpp"
#include "fmapzip/map.hpp"
#include "fmapzip/status.hpp"

// One encoded map of one sample. docs/FORMAT.md specifies every byte.
namespace fmapzip {

inline constexpr uint8_t kFormatVersion = 0;
inline constexpr size_t kMaxDims = 4;

// [C, H, W] that a map is worked on as: [F] is F x 1 x 1, [C, L] is C x 1 x L, [C, D, H, W] is C x D H x W.
Shape worked_shape(uint8_t ndim, const std::array<uint32_t, kMaxDims>& dims);

// What a reader is willing to allocate for a frame whose header it has not yet trusted.
struct Limits {
  uint64_t max_values = uint64_t{1} << 28;
  uint64_t max_parameter_bytes = uint64_t{1} << 24;
};

struct PlanReference {
  std::array<uint8_t, 8> hash{};
  uint32_t tap = 0;
};

// What stands before the tiles, but for their lengths. Spans point into the caller's bytes.
struct FrameInfo {
  uint8_t number = 0;
  std::span<const uint8_t> external_id;  // ASCII, only where code is CodecNumber::external
  Dtype dtype = Dtype::u8;
  uint8_t ndim = 3;
  std::array<uint32_t, kMaxDims> dims{};
  int16_t zero_point = 0;  // an integer of `dtype`
  bool has_quantizer = false;
  bool per_channel = false;
  std::span<const uint8_t> scales;  // little-endian float32, one or as many as channels
  bool has_plan = false;
  PlanReference plan;
  std::span<const uint8_t> parameters;  // empty with a plan
  uint32_t tile_rows = 0;

  Shape shape() const { return worked_shape(ndim, dims); }
  ValueRange range() const {
    return {static_cast<uint8_t>(zero_point + (dtype == Dtype::i8 ? kSignedRange.below : 0))};
  }
  uint32_t tiles() const;
  uint32_t first_row(uint32_t tile) const { return tile * tile_rows; }
  Shape tile_shape(uint32_t tile) const;
};

struct ParsedFrame {
  FrameInfo info;
  size_t lengths_offset = 0;
  size_t payload_offset = 0;
  std::vector<size_t> ends;  // where each tile's body ends, counted from the payload
  size_t payload_bytes = 0;
  size_t frame_bytes = 0;   // checksum included
  bool all_stored = false;  // every tile holds its values as they are: no codec is needed
};

// Validates the header and the tile table of the frame that `data` begins with; bytes after it are another
// frame's. The checksum is left to verify_checksum, so that a batch's frames can be verified side by side,
// each while it is in the cache.
Status parse_frame(std::span<const uint8_t> data, const Limits& limits, ParsedFrame& frame);
Status verify_checksum(std::span<const uint8_t> data, const ParsedFrame& frame);

// Memory that encode_frame needs to work in place: at least as much as the frame's size, whatever the values.
size_t frame_capacity(FrameInfo info, const TileCodec& codec);

// Writes a frame in tiles of `info.tile_rows`, or where that is 0 of as many rows as the codec chooses. `out`
// is replaced.
Status encode_frame(ConstView map, FrameInfo info, const TileCodec& codec, int threads, Scratch& scratch,
                    ByteBuffer& out);

// One of many maps that are encoded together; each may have a shape and a codec of its own.
struct EncodeJob {
  ConstView map;
  FrameInfo info;
  const TileCodec* codec;
  ByteBuffer out;
  Status status{};
};

// Encodes each job's frame, as many at once as there are scratches.
void encode_frames(std::span<EncodeJob> jobs, std::span<Scratch> scratches);

// A frame of tile bodies made elsewhere (codecs registered by third parties).
Status assemble_frame(const FrameInfo& info, std::span<const std::span<const uint8_t>> bodies,
                      ByteBuffer& out);

// Decodes a parsed frame into `map`, whose shape must be the frame's. `codec` may be null where every tile is
// stored. After a failure the contents of `map` are unspecified.
Status decode_frame(std::span<const uint8_t> data, const ParsedFrame& frame, const TileCodec* codec,
                    MutView map, int threads, Scratch& scratch);

// Where the parameters stand in the frame that `data` begins with.
size_t parameters_offset(std::span<const uint8_t> data, const FrameInfo& info);

// The body of tile `index` within `data`.
std::span<const uint8_t> tile_body(std::span<const uint8_t> data, const ParsedFrame& frame, uint32_t index);

}  // namespace fmapzip
