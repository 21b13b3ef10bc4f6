#include "bits/crc32c.hpp"
#include "bits/endian.hpp"
#include "frame_header.hpp"

namespace fmapzip {
namespace {

Status read_lengths(std::span<const uint8_t> table, ParsedFrame& frame) {
  const uint32_t tiles = frame.info.tiles();
  frame.ends.resize(tiles);
  frame.all_stored = true;
  for (uint32_t i = 0; i < tiles; ++i) {
    const uint32_t length = load_le<uint32_t>(table.data() + kTileLengthBytes * i);
    const size_t values = frame.info.tile_shape(i).size();
    if (length == 0 || length > values) {
      return corrupt("a tile's length is out of range", frame.lengths_offset + kTileLengthBytes * i);
    }
    frame.all_stored &= length == values;
    frame.payload_bytes += length;
    frame.ends[i] = frame.payload_bytes;
  }
  return {};
}

}  // namespace

Status parse_frame(std::span<const uint8_t> data, const Limits& limits, ParsedFrame& frame) {
  frame = {};
  if (const Status s = read_header(data, limits, frame.info, frame.lengths_offset); !s.ok()) return s;
  const size_t table = size_t{frame.info.tiles()} * kTileLengthBytes;
  if (data.size() - frame.lengths_offset < table) {
    return truncated("the data end inside the tile table", data.size());
  }
  frame.payload_offset = frame.lengths_offset + table;
  if (const Status s = read_lengths(data.subspan(frame.lengths_offset, table), frame); !s.ok()) return s;
  const size_t rest = data.size() - frame.payload_offset;
  if (rest < kChecksumBytes || rest - kChecksumBytes < frame.payload_bytes) {
    return truncated("the data end inside the frame's payload", data.size());
  }
  frame.frame_bytes = frame.payload_offset + frame.payload_bytes + kChecksumBytes;
  return {};
}

Status verify_checksum(std::span<const uint8_t> data, const ParsedFrame& frame) {
  const size_t checked = frame.frame_bytes - kChecksumBytes;
  if (crc32c(data.first(checked)) == load_le<uint32_t>(data.data() + checked)) return {};
  return corrupt("checksum mismatch", checked);
}

std::span<const uint8_t> tile_body(std::span<const uint8_t> data, const ParsedFrame& frame, uint32_t index) {
  const size_t begin = index == 0 ? 0 : frame.ends[index - 1];
  return data.subspan(frame.payload_offset + begin, frame.ends[index] - begin);
}

}  // namespace fmapzip
