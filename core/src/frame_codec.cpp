#include <algorithm>
#include <atomic>
#include <cstring>

#include "bits/crc32c.hpp"
#include "bits/endian.hpp"
#include "bits/varint.hpp"
#include "frame_header.hpp"
#include "layout.hpp"
#include "parallel.hpp"

namespace fmapzip {
namespace {

constexpr size_t kFixedHeader = kMagic.size() + 3;  // version, code, flags

// The body of a tile, coded or stored, appended to `out`; returns its length.
size_t append_tile(ConstView tile, Dtype dtype, const TileCodec& codec, Scratch& scratch,
                   std::vector<uint8_t>& out) {
  const size_t raw = tile.shape.size();
  const size_t bound = codec.tile_bound(tile.shape);
  uint8_t* body = scratch.get(Scratch::kDriverSlot, bound);
  const size_t length = codec.encode_tile(tile, dtype, body, scratch);
  const size_t start = out.size();
  if (length < raw) {
    out.insert(out.end(), body, body + length);
    return length;
  }
  out.resize(start + raw);
  load_planar(tile, out.data() + start);
  return raw;
}

void finish_frame(std::vector<uint8_t>& out) {
  const uint32_t crc = crc32c(out);
  out.resize(out.size() + kChecksumBytes);
  store_le(out.data() + out.size() - kChecksumBytes, crc);
}

size_t begin_frame(const FrameInfo& info, std::vector<uint8_t>& out) {
  out.clear();
  write_header(info, out);
  const size_t table = out.size();
  out.resize(table + size_t{info.tiles()} * kTileLengthBytes);
  return table;
}

void store_whole_map(ConstView map, FrameInfo info, std::vector<uint8_t>& out) {
  info.parameters = {};
  info.tile_rows = info.shape().h;
  const size_t raw = map.shape.size();
  const size_t table = begin_frame(info, out);
  store_le(out.data() + table, static_cast<uint32_t>(raw));
  out.resize(table + kTileLengthBytes + raw);
  load_planar(map, out.data() + table + kTileLengthBytes);
}

void encode_tiles(ConstView map, const FrameInfo& info, const TileCodec& codec, int threads, Scratch& scratch,
                  std::vector<uint8_t>& out, size_t table) {
  const uint32_t tiles = info.tiles();
  const auto tile = [&](uint32_t i) { return map.rows(info.first_row(i), info.tile_shape(i).h); };
  if (threads <= 1 || tiles == 1) {
    for (uint32_t i = 0; i < tiles; ++i) {
      const size_t length = append_tile(tile(i), info.dtype, codec, scratch, out);
      store_le(out.data() + table + kTileLengthBytes * i, static_cast<uint32_t>(length));
    }
    return;
  }
  std::vector<std::vector<uint8_t>> bodies(tiles);
  std::vector<Scratch> scratches(static_cast<size_t>(threads));
  parallel_for(tiles, threads, [&](size_t i, size_t worker) {
    append_tile(tile(static_cast<uint32_t>(i)), info.dtype, codec, scratches[worker], bodies[i]);
  });
  for (uint32_t i = 0; i < tiles; ++i) {
    store_le(out.data() + table + kTileLengthBytes * i, static_cast<uint32_t>(bodies[i].size()));
    out.insert(out.end(), bodies[i].begin(), bodies[i].end());
  }
}

}  // namespace

size_t header_bound(const FrameInfo& info) {
  return kFixedHeader + 1 + kMaxExternalId + 3 * kMaxVarintBytes + info.scales.size() +
         info.plan.hash.size() + 2 * kMaxVarintBytes + kTileLengthBytes * std::max<size_t>(info.tiles(), 1) +
         kChecksumBytes;
}

Status encode_frame(ConstView map, FrameInfo info, const TileCodec& codec, int threads, Scratch& scratch,
                    std::vector<uint8_t>& out) {
  if (map.shape.size() == 0) return invalid("a map has at least one value");
  if (map.shape.size() > UINT32_MAX) return invalid("a map has fewer than 2^32 values");
  if (const Status s = codec.check(map.shape, info.dtype); !s.ok()) return s;
  info.tile_rows = codec.tile_rows(map.shape);
  if (const Status s = check_header(info); !s.ok()) return s;
  const size_t table = begin_frame(info, out);
  const size_t payload = out.size();
  encode_tiles(map, info, codec, threads, scratch, out, table);
  const size_t coded = out.size() - payload + info.parameters.size();
  if (!info.has_plan && !info.parameters.empty() && coded >= map.shape.size()) {
    store_whole_map(map, info, out);
  }
  finish_frame(out);
  return {};
}

Status assemble_frame(const FrameInfo& info, std::span<const std::span<const uint8_t>> bodies,
                      std::vector<uint8_t>& out) {
  if (const Status s = check_header(info); !s.ok()) return s;
  if (bodies.size() != info.tiles()) return invalid("as many bodies as tiles are needed");
  const size_t table = begin_frame(info, out);
  for (uint32_t i = 0; i < info.tiles(); ++i) {
    if (bodies[i].empty() || bodies[i].size() > info.tile_shape(i).size()) {
      return invalid("a tile's body is empty or longer than its values");
    }
    store_le(out.data() + table + kTileLengthBytes * i, static_cast<uint32_t>(bodies[i].size()));
    out.insert(out.end(), bodies[i].begin(), bodies[i].end());
  }
  finish_frame(out);
  return {};
}

Status decode_frame(std::span<const uint8_t> data, const ParsedFrame& frame, const TileCodec* codec,
                    MutView map, int threads, Scratch& scratch) {
  const FrameInfo& info = frame.info;
  if (map.shape != info.shape()) return invalid("the output does not have the frame's shape");
  if (!frame.all_stored) {
    if (codec == nullptr) return invalid("the frame's codec is needed");
    if (const Status s = codec->check(map.shape, info.dtype); !s.ok()) return s;
  }
  std::vector<Status> statuses(info.tiles());
  const auto decode_tile = [&](size_t index, Scratch& own) {
    const uint32_t i = static_cast<uint32_t>(index);
    const auto body = tile_body(data, frame, i);
    const MutView tile = map.rows(info.first_row(i), info.tile_shape(i).h);
    if (body.size() == tile.shape.size()) {
      store_planar(body.data(), tile);
      return;
    }
    statuses[i] = codec->decode_tile(body, tile, info.dtype, own);
    statuses[i].offset += static_cast<size_t>(body.data() - data.data());
  };
  if (threads <= 1 || info.tiles() == 1) {
    for (uint32_t i = 0; i < info.tiles(); ++i) decode_tile(i, scratch);
  } else {
    std::vector<Scratch> scratches(static_cast<size_t>(threads));
    parallel_for(info.tiles(), threads, [&](size_t i, size_t worker) { decode_tile(i, scratches[worker]); });
  }
  const auto failed = std::find_if(statuses.begin(), statuses.end(), [](const Status& s) { return !s.ok(); });
  return failed == statuses.end() ? Status{} : *failed;
}

}  // namespace fmapzip
