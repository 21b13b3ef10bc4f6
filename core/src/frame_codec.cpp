#include <algorithm>

#include "bits/crc32c.hpp"
#include "bits/endian.hpp"
#include "frame_header.hpp"
#include "layout.hpp"
#include "parallel.hpp"

namespace fmapzip {
namespace {

// The values of `tile` counted from its zero point.
ConstView from_zero(ConstView tile, int16_t zero_point, Scratch& scratch) {
  if (zero_point == 0) return tile;
  MutView values = planar_view(scratch.get(Scratch::kZeroPointSlot, tile.shape.size()), tile.shape);
  values.top = tile.top;
  load_planar(tile, values.data);
  add_to_all(static_cast<uint8_t>(-zero_point), values);
  return as_const(values);
}

// The body of a tile, coded or stored, at the end of `out`; returns its length.
size_t append_tile(ConstView tile, const FrameInfo& info, const TileCodec& codec, Scratch& scratch,
                   ByteBuffer& out) {
  const size_t raw = tile.shape.size();
  const size_t bound = std::max(codec.tile_bound(tile.shape), raw);
  uint8_t* const direct = out.room(bound);
  uint8_t* const body = direct != nullptr ? direct : scratch.get(Scratch::kDriverSlot, bound);
  const ConstView values = from_zero(tile, info.zero_point, scratch);
  size_t length = codec.encode_tile(values, info.range(), body, scratch);
  if (length >= raw) {
    load_planar(tile, body);
    length = raw;
  }
  if (direct != nullptr) {
    out.commit(length);
  } else {
    out.append({body, length});
  }
  return length;
}

// Writes the header and reserves the tile table; returns the offset of the table.
size_t begin_frame(const FrameInfo& info, ByteBuffer& out) {
  std::vector<uint8_t> header;
  write_header(info, header);
  const size_t table = header.size();
  header.resize(table + size_t{info.tiles()} * kTileLengthBytes);
  out.clear();
  out.append(header);
  return table;
}

void set_length(ByteBuffer& out, size_t table, size_t tile, size_t length) {
  const size_t offset = table + kTileLengthBytes * tile;
  if (out.fits()) store_le(out.data() + offset, static_cast<uint32_t>(length));
}

void finish_frame(ByteBuffer& out) {
  uint8_t checksum[kChecksumBytes] = {};
  if (out.fits()) store_le(checksum, crc32c(out.bytes()));
  out.append(checksum);
}

void store_whole_map(ConstView map, FrameInfo info, Scratch& scratch, ByteBuffer& out) {
  info.parameters = {};
  info.tile_rows = info.shape().h;
  const size_t raw = map.shape.size();
  const size_t table = begin_frame(info, out);
  uint8_t* const values = scratch.get(Scratch::kDriverSlot, raw);
  load_planar(map, values);
  out.append({values, raw});
  set_length(out, table, 0, raw);
}

void encode_tiles(ConstView map, const FrameInfo& info, const TileCodec& codec, int threads, Scratch& scratch,
                  ByteBuffer& out, size_t table) {
  const uint32_t tiles = info.tiles();
  const auto tile = [&](uint32_t i) { return map.rows(info.first_row(i), info.tile_shape(i).h); };
  if (threads <= 1 || tiles == 1) {
    for (uint32_t i = 0; i < tiles; ++i) {
      const size_t length = append_tile(tile(i), info, codec, scratch, out);
      set_length(out, table, i, length);
    }
    return;
  }
  std::vector<ByteBuffer> bodies(tiles);
  std::vector<Scratch> scratches(worker_count(tiles, threads));
  parallel_for(tiles, scratches.size(), [&](size_t i, size_t worker) {
    append_tile(tile(static_cast<uint32_t>(i)), info, codec, scratches[worker], bodies[i]);
  });
  for (uint32_t i = 0; i < tiles; ++i) {
    out.append(bodies[i].bytes());
    set_length(out, table, i, bodies[i].size());
  }
}

}  // namespace

size_t frame_capacity(FrameInfo info, const TileCodec& codec) {
  if (info.tile_rows == 0) info.tile_rows = codec.tile_rows(info.shape());
  const Shape tile = info.tile_shape(0);
  std::vector<uint8_t> header;
  write_header(info, header);
  // Tiles end up no longer than their values; only the one at work needs more.
  const size_t slack = std::max(codec.tile_bound(tile), tile.size()) - tile.size();
  return header.size() + info.tiles() * kTileLengthBytes + info.shape().size() + slack + kChecksumBytes;
}

Status encode_frame(ConstView map, FrameInfo info, const TileCodec& codec, int threads, Scratch& scratch,
                    ByteBuffer& out) {
  if (map.shape.size() == 0) return invalid("a map has at least one value");
  if (map.shape.size() > UINT32_MAX) return invalid("a map has fewer than 2^32 values");
  if (const Status s = codec.check(map.shape, info.range()); !s.ok()) return s;
  if (const Status s = codec.ready(map.shape); !s.ok()) return s;
  if (info.tile_rows == 0) info.tile_rows = codec.tile_rows(map.shape);
  if (const Status s = check_header(info); !s.ok()) return s;
  const size_t table = begin_frame(info, out);
  const size_t payload = out.size();
  encode_tiles(map, info, codec, threads, scratch, out, table);
  const size_t coded = out.size() - payload + info.parameters.size();
  if (!info.has_plan && !info.parameters.empty() && coded >= map.shape.size()) {
    store_whole_map(map, info, scratch, out);
  }
  finish_frame(out);
  return {};
}

void encode_frames(std::span<EncodeJob> jobs, std::span<Scratch> scratches) {
  parallel_for(jobs.size(), scratches.size(), [&](size_t i, size_t worker) {
    EncodeJob& job = jobs[i];
    job.status = encode_frame(job.map, job.info, *job.codec, 1, scratches[worker], job.out);
  });
}

Status assemble_frame(const FrameInfo& info, std::span<const std::span<const uint8_t>> bodies,
                      ByteBuffer& out) {
  if (const Status s = check_header(info); !s.ok()) return s;
  if (bodies.size() != info.tiles()) return invalid("as many bodies as tiles are needed");
  const size_t table = begin_frame(info, out);
  for (uint32_t i = 0; i < info.tiles(); ++i) {
    if (bodies[i].empty() || bodies[i].size() > info.tile_shape(i).size()) {
      return invalid("a tile's body is empty or longer than its values");
    }
    out.append(bodies[i]);
    set_length(out, table, i, bodies[i].size());
  }
  finish_frame(out);
  return {};
}

size_t parameters_offset(std::span<const uint8_t> data, const FrameInfo& info) {
  return static_cast<size_t>(info.parameters.data() - data.data());
}

Status decode_frame(std::span<const uint8_t> data, const ParsedFrame& frame, const TileCodec* codec,
                    MutView map, int threads, Scratch& scratch) {
  const FrameInfo& info = frame.info;
  if (map.shape != info.shape()) return invalid("the output does not have the frame's shape");
  if (!frame.all_stored) {
    if (codec == nullptr) return invalid("the frame's codec is needed");
    const Status s = codec->check(map.shape, info.range());
    if (!s.ok()) return info.has_plan ? s : corrupt(s.what, parameters_offset(data, info));
    if (const Status ready = codec->ready(map.shape); !ready.ok()) return ready;
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
    statuses[i] = codec->decode_tile(body, tile, info.range(), own);
    if (info.zero_point != 0) add_to_all(static_cast<uint8_t>(info.zero_point), tile);
    statuses[i].offset += static_cast<size_t>(body.data() - data.data());
  };
  if (threads <= 1 || info.tiles() == 1) {
    for (uint32_t i = 0; i < info.tiles(); ++i) decode_tile(i, scratch);
  } else {
    std::vector<Scratch> scratches(worker_count(info.tiles(), threads));
    parallel_for(info.tiles(), scratches.size(),
                 [&](size_t i, size_t worker) { decode_tile(i, scratches[worker]); });
  }
  const auto failed = std::find_if(statuses.begin(), statuses.end(), [](const Status& s) { return !s.ok(); });
  return failed == statuses.end() ? Status{} : *failed;
}

}  // namespace fmapzip
