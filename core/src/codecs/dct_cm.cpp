#include "codecs/dct_cm.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

#include "bits/endian.hpp"
#include "codecs/dct_cm_rans.hpp"
#include "layout.hpp"

namespace fmapzip {
namespace {

constexpr size_t kTileTarget = size_t{1} << 16;
constexpr size_t kBlockHeaderBits = 8;
constexpr unsigned kWidthMask = 15;   // of a block's header
constexpr size_t kWriterSlack = 256;  // full-vector stores beyond the stream

// Most bytes of the blocks that are written between two looks at the length: for each of a group's channels a
// row of its mask, and a header, bitmaps and codes at full width.
constexpr size_t kMostBitsPerBlock = 2 + kBlock + 8 + 4 * kBlock + kBlock * (kMaxCodeBits + 1);
constexpr size_t kGroupBytes = kMaxGroup * kMostBitsPerBlock / 8;

enum : size_t { kPlanarSlot = 0, kStreamSlot = 1 };

const uint8_t* code_table(const DctCmParameters& p, const PointTables& t, ValueRange range) {
  return p.has_points || range != kUnsignedRange ? t.code_of.data() : nullptr;
}

const uint8_t* value_table(const DctCmParameters& p, const PointTables& t, ValueRange range) {
  return p.has_points || range != kUnsignedRange ? t.value_of.data() : nullptr;
}

Status overrun(size_t offset) { return truncated("dct-cm: the tile ends inside a block", offset); }
Status bad_block(const StreamReader& reader) {
  return corrupt("dct-cm: a block holds what no encoder writes", reader.bit / 8);
}

// What is wrong with a block that began at bit `start` and is not valid or does not end in the body. Kernels
// differ in how far they read a block of a reserved width, so that is looked for first.
Status block_failure(const StreamReader& reader, size_t start, size_t bits) {
  if (start + kBlockHeaderBits > bits) return overrun(bits / 8);
  const unsigned header = load_le<uint16_t>(reader.data + start / 8) >> (start % 8);
  if ((header & kWidthMask) <= kMaxCodeBits && reader.bit > bits) return overrun(bits / 8);
  return bad_block(reader);
}

}  // namespace

// A tile as dense planes: `count` of them, `positions` values each.
struct DctCmCodec::Planes {
  uint8_t* data;
  ptrdiff_t stride;
  uint32_t count;
  size_t positions;
  uint32_t block;

  Planes(uint8_t* values, ptrdiff_t plane_stride, uint32_t planes, size_t plane_positions)
      : data(values),
        stride(plane_stride),
        count(planes),
        positions(plane_positions),
        block(block_positions(plane_positions)) {}

  uint8_t* at(uint32_t plane, size_t position) const {
    return data + static_cast<ptrdiff_t>(plane) * stride + static_cast<ptrdiff_t>(position);
  }
  unsigned length_at(size_t position) const {
    return static_cast<unsigned>(std::min<size_t>(block, positions - position));
  }
};

Status DctCmCodec::make(std::span<const uint8_t> bytes, uint32_t channels,
                        std::unique_ptr<TileCodec>& codec) {
  DctCmParameters parameters;
  if (const Status s = parse_dct_cm(bytes, parameters); !s.ok()) return s;
  if (parameters.rans) return DctCmRansCodec::make(std::move(parameters), channels, codec);
  codec = std::make_unique<DctCmCodec>(std::move(parameters), dct_cm_kernels());
  return {};
}

DctCmCodec::DctCmCodec(DctCmParameters parameters, const DctCmKernels& kernels)
    : parameters_(std::move(parameters)),
      kernels_(kernels),
      points_{make_point_tables(parameters_, parameters_.zero_pointed ? parameters_.range : kUnsignedRange),
              make_point_tables(parameters_, kSignedRange)} {}

Status DctCmCodec::check(Shape map, ValueRange range) const { return check_map(parameters_, map.c, range); }

uint32_t DctCmCodec::tile_rows(Shape map) const {
  const size_t unit = kBlock / std::gcd(map.w, kBlock);  // rows that fill whole blocks
  const size_t values = size_t{map.c} * map.w * unit;
  return static_cast<uint32_t>(std::min<size_t>(map.h, unit * ((kTileTarget + values - 1) / values)));
}

size_t DctCmCodec::tile_bound(Shape tile) const { return tile.size() + kGroupBytes + kWriterSlack; }

size_t DctCmCodec::encode_tile(ConstView tile, ValueRange range, uint8_t* out, Scratch& scratch) const {
  const Shape s = tile.shape;
  const size_t positions = size_t{s.h} * s.w;
  const bool vector = positions == 1 && !parameters_.transform;
  uint8_t* data = const_cast<uint8_t*>(tile.data);  // only read
  ptrdiff_t stride = tile.sc;
  if (vector || !tile.planes_contiguous()) {
    data = scratch.get(kPlanarSlot, s.size());
    load_planar(tile, data);
    stride = static_cast<ptrdiff_t>(positions);
  }
  const Planes planes = vector ? Planes(data, 0, 1, s.c) : Planes(data, stride, s.c, positions);
  StreamWriter writer{out};
  const uint8_t* const end = out + s.size();
  const bool shorter = parameters_.transform ? encode_groups(planes, range, end, writer)
                                             : encode_values(planes, range, end, writer);
  if (!shorter) return s.size();
  if (writer.fill > 0) *writer.out++ = static_cast<uint8_t>(writer.partial);
  return static_cast<size_t>(writer.out - out);
}

bool DctCmCodec::encode_values(const Planes& planes, ValueRange range, const uint8_t* end,
                               StreamWriter& writer) const {
  const uint8_t* table = code_table(parameters_, points_[range == kSignedRange], range);
  for (uint32_t c = 0; c < planes.count; ++c) {
    size_t at = 0;
    while (at < planes.positions) {
      const size_t whole = std::min<size_t>((planes.positions - at) / planes.block, kMaxGroup);
      const unsigned count = whole > 0 ? static_cast<unsigned>(whole) : 1;
      const unsigned n = planes.length_at(at);
      kernels_.write_values(planes.at(c, at), count, n, table, writer);
      if (writer.out >= end) return false;
      at += size_t{count} * n;
    }
  }
  return true;
}

bool DctCmCodec::encode_groups(const Planes& planes, ValueRange range, const uint8_t* end,
                               StreamWriter& writer) const {
  alignas(64) uint16_t codes[kMaxGroup][kBlock];
  uint64_t masks[kMaxGroup];
  const uint8_t* rows[kMaxGroup];
  for (uint32_t first = 0; first < planes.count;) {
    const ChannelGroup group = parameters_.group_at(first, planes.count);
    for (size_t at = 0; at < planes.positions; at += planes.block) {
      const unsigned n = planes.length_at(at);
      for (uint32_t j = 0; j < group.channels; ++j) {
        rows[j] = planes.at(parameters_.order.empty() ? first + j : parameters_.order[first + j], at);
      }
      kernels_.analyse(rows, n, range.below, group, codes, parameters_.zero_mask ? masks : nullptr);
      if (parameters_.zero_mask) {
        for (uint32_t j = 0; j < group.channels; ++j) kernels_.write_mask(masks[j], n, writer);
      }
      kernels_.write_blocks(codes, group.kept, n, writer);
      if (writer.out >= end) return false;
    }
    first += group.channels;
  }
  return true;
}

Status DctCmCodec::decode_tile(std::span<const uint8_t> body, MutView tile, ValueRange range,
                               Scratch& scratch) const {
  // A copy with padding lets every block be read without looking at the end of the stream first.
  uint8_t* stream = scratch.get(kStreamSlot, body.size() + kBlockPadding);
  std::memcpy(stream, body.data(), body.size());
  std::memset(stream + body.size(), 0, kBlockPadding);
  const Shape s = tile.shape;
  const size_t positions = size_t{s.h} * s.w;
  const bool vector = positions == 1 && !parameters_.transform;
  const bool direct = !vector && tile.planes_contiguous();
  uint8_t* data = direct ? tile.data : scratch.get(kPlanarSlot, s.size());
  const ptrdiff_t stride = direct ? tile.sc : static_cast<ptrdiff_t>(positions);
  const Planes planes = vector ? Planes(data, 0, 1, s.c) : Planes(data, stride, s.c, positions);
  StreamReader reader{stream};
  const size_t bits = 8 * body.size();
  const Status status = parameters_.transform ? decode_groups(planes, range, bits, reader)
                                              : decode_values(planes, range, bits, reader);
  if (!status.ok()) return status;
  if (bits - reader.bit >= 8) return corrupt("dct-cm: bytes follow the last block", reader.bit / 8 + 1);
  if (reader.bit < bits && stream[reader.bit / 8] >> (reader.bit % 8) != 0) {
    return corrupt("dct-cm: the padding bits are not zero", body.size() - 1);
  }
  if (!direct) store_planar(data, tile);
  return {};
}

Status DctCmCodec::decode_values(const Planes& planes, ValueRange range, size_t bits,
                                 StreamReader& reader) const {
  const PointTables& points = points_[range == kSignedRange];
  const uint8_t* table = value_table(parameters_, points, range);
  for (uint32_t c = 0; c < planes.count; ++c) {
    for (size_t at = 0; at < planes.positions; at += planes.block) {
      const size_t start = reader.bit;
      const bool valid =
          kernels_.read_values(reader, planes.length_at(at), table, points.count, planes.at(c, at));
      if (!valid || reader.bit > bits) return block_failure(reader, start, bits);
    }
  }
  return {};
}

Status DctCmCodec::decode_groups(const Planes& planes, ValueRange range, size_t bits,
                                 StreamReader& reader) const {
  alignas(64) uint16_t codes[kMaxGroup][kBlock];
  uint64_t masks[kMaxGroup];
  uint8_t* rows[kMaxGroup];
  for (uint32_t first = 0; first < planes.count;) {
    const ChannelGroup group = parameters_.group_at(first, planes.count);
    for (size_t at = 0; at < planes.positions; at += planes.block) {
      const unsigned n = planes.length_at(at);
      for (uint32_t j = 0; j < group.channels; ++j) {
        const bool valid = !parameters_.zero_mask || kernels_.read_mask(reader, n, masks[j]);
        if (reader.bit > bits) return overrun(bits / 8);
        if (!valid) return bad_block(reader);
        rows[j] = planes.at(parameters_.order.empty() ? first + j : parameters_.order[first + j], at);
      }
      for (unsigned k = 0; k < group.kept; ++k) {
        const size_t start = reader.bit;
        const bool valid = kernels_.read_block(reader, n, codes[k]);
        if (!valid || reader.bit > bits) return block_failure(reader, start, bits);
      }
      kernels_.synthesise(codes, n, range.below, group, parameters_.zero_mask ? masks : nullptr, rows);
    }
    first += group.channels;
  }
  return {};
}

}  // namespace fmapzip
