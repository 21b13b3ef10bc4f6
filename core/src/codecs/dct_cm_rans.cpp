#include "codecs/dct_cm_rans.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "bits/endian.hpp"
#include "entropy/context_coder.hpp"
#include "layout.hpp"

namespace fmapzip {
namespace {

constexpr size_t kLengthBytes = 4;
constexpr int kLargestSymbol = 127;  // of a coefficient; what is beyond it is coded as bits

enum : size_t { kPlanarSlot = 0, kSymbolSlot = 1, kExcessSlot = 2, kMaskSlot = 3, kInterleavedSlot = 4 };

Status check_model(const ContextModel& model, ValueRange range, uint32_t channels) {
  const ContextParams& p = model.params();
  if (p.requantizer.active) return invalid("dct-cm: a model of its own has no step");
  if (!p.references.maps.empty()) return invalid("dct-cm: a model of its own refers to no other map");
  if (p.range != range) return invalid("dct-cm: a model is for another type or zero point");
  if (p.channels != 0 && p.channels != channels) return invalid("dct-cm: a model is for other channels");
  return {};
}

int8_t symbol_of(uint16_t code) {
  const int magnitude = std::min((code + 1) / 2, kLargestSymbol);
  return static_cast<int8_t>(code % 2 != 0 ? magnitude : -magnitude);
}

bool has_excess(uint8_t symbol) { return std::abs(static_cast<int8_t>(symbol)) == kLargestSymbol; }

uint16_t code_of(uint8_t symbol, uint32_t excess) {
  const int value = static_cast<int8_t>(symbol);
  const uint32_t magnitude = static_cast<uint32_t>(std::abs(value)) + excess;
  return static_cast<uint16_t>(value > 0 ? 2 * magnitude - 1 : 2 * magnitude);
}

// Bits that each of these values takes.
unsigned common_width(const uint16_t* values, size_t count) {
  uint16_t all = 0;
  for (size_t i = 0; i < count; ++i) all |= values[i];
  return static_cast<unsigned>(std::bit_width(all));
}

size_t excess_bytes(size_t count, unsigned width) { return 1 + (count * width + 7) / 8; }

// Values of one width, least significant bit first, after a byte that tells the width.
void write_excess(const uint16_t* values, size_t count, unsigned width, uint8_t* out) {
  *out = static_cast<uint8_t>(width);
  uint64_t pending = 0;
  unsigned bits = 0;
  uint8_t* at = out + 1;
  for (size_t i = 0; i < count; ++i) {
    pending |= uint64_t{values[i]} << bits;
    for (bits += width; bits >= 8; bits -= 8, pending >>= 8) *at++ = static_cast<uint8_t>(pending);
  }
  if (bits > 0) *at = static_cast<uint8_t>(pending);
}

class ExcessReader {
 public:
  // Takes the section of `count` values from the front of `body`.
  Status open(std::span<const uint8_t>& body, size_t count) {
    if (body.empty()) return truncated("dct-cm: the tile ends before its large coefficients");
    width_ = body[0];
    const size_t bits = count * width_;
    const size_t bytes = (bits + 7) / 8;
    if (width_ > kMaxCodeBits) return corrupt("dct-cm: large coefficients have a reserved width");
    if (body.size() - 1 < bytes)
      return truncated("dct-cm: the tile ends inside its large coefficients", body.size());
    data_ = body.subspan(1, bytes);
    if (bits % 8 != 0 && data_.back() >> (bits % 8) != 0) return corrupt("dct-cm: padding bits are not zero");
    body = body.subspan(1 + bytes);
    return {};
  }

  uint32_t next() {
    uint32_t value = 0;
    for (unsigned i = 0; i < width_; ++i, ++bit_) {
      value |= ((data_[bit_ / 8] >> (bit_ % 8)) & 1u) << i;
    }
    return value;
  }

 private:
  std::span<const uint8_t> data_;
  unsigned width_ = 0;
  size_t bit_ = 0;
};

// Decodes a map of 8-bit symbols into dense planes.
Status decode_planes(const ContextModel& model, std::span<const uint8_t> body, Shape shape, uint8_t* planes,
                     Scratch& scratch) {
  const MutView map = planar_view(planes, shape);
  const auto store = [&](uint32_t first, uint32_t count, uint8_t* symbols) {
    store_interleaved(symbols, map.rows(first, count));
  };
  return decode_contexts(model, nullptr, body, shape, store, scratch);
}

size_t encode_planes(const ContextModel& model, const uint8_t* planes, Shape shape, uint8_t* out,
                     Scratch& scratch) {
  uint8_t* interleaved = scratch.get(kInterleavedSlot, shape.size() + kVectorPad);
  load_interleaved(planar_view(planes, shape), interleaved);
  return encode_contexts(model, nullptr, interleaved, shape, out, scratch);
}

}  // namespace

Status DctCmRansCodec::make(DctCmParameters parameters, uint32_t channels,
                            std::unique_ptr<TileCodec>& codec) {
  auto made = std::make_unique<DctCmRansCodec>(std::move(parameters), dct_cm_kernels());
  const DctCmParameters& p = made->parameters_;
  const uint32_t planes = p.transform ? p.coefficient_planes(channels) : channels;
  if (const Status s = made->model_.build(p.model, planes); !s.ok()) return moved(s, p.model_offset);
  if (p.zero_mask) {
    const Status s = made->mask_model_.build(p.mask_model, channels);
    if (!s.ok()) return moved(s, p.mask_model_offset);
  }
  codec = std::move(made);
  return {};
}

DctCmRansCodec::DctCmRansCodec(DctCmParameters parameters, const DctCmKernels& kernels)
    : parameters_(std::move(parameters)),
      kernels_(kernels),
      points_{make_point_tables(parameters_, parameters_.zero_pointed ? parameters_.range : kUnsignedRange),
              make_point_tables(parameters_, kSignedRange)} {}

Status DctCmRansCodec::check(Shape map, ValueRange range) const {
  if (const Status s = check_map(parameters_, map.c, range); !s.ok()) return s;
  if (!parameters_.transform) return check_model(model_, range, map.c);
  if (const Status s = check_model(model_, kSignedRange, parameters_.coefficient_planes(map.c)); !s.ok())
    return s;
  return parameters_.zero_mask ? check_model(mask_model_, kUnsignedRange, map.c) : Status{};
}

uint32_t DctCmRansCodec::tile_rows(Shape map) const { return balanced_tile_rows(map, kContextTileValues); }

size_t DctCmRansCodec::tile_bound(Shape tile) const {
  if (!parameters_.transform) return context_bound(tile);
  const Shape coefficients{parameters_.coefficient_planes(tile.c), tile.h, tile.w};
  const size_t mask = parameters_.zero_mask ? context_bound(tile) : 0;
  return kLengthBytes + std::max(context_bound(coefficients), tile.size() + mask);
}

size_t DctCmRansCodec::encode_tile(ConstView tile, ValueRange range, uint8_t* out, Scratch& scratch) const {
  return parameters_.transform ? encode_groups(tile, range, out, scratch)
                               : encode_values(tile, range, out, scratch);
}

Status DctCmRansCodec::decode_tile(std::span<const uint8_t> body, MutView tile, ValueRange range,
                                   Scratch& scratch) const {
  return parameters_.transform ? decode_groups(body, tile, range, scratch)
                               : decode_values(body, tile, range, scratch);
}

size_t DctCmRansCodec::encode_values(ConstView tile, ValueRange range, uint8_t* out, Scratch& scratch) const {
  const size_t n = tile.shape.size();
  uint8_t* indices = scratch.get(kInterleavedSlot, n + kVectorPad);
  load_interleaved(tile, indices);
  const auto& index_of = points_[range == kSignedRange].index_of;
  context_kernels(kMaxLanes).look_up(index_of.data(), indices, n, indices);
  return encode_contexts(model_, nullptr, indices, tile.shape, out, scratch);
}

Status DctCmRansCodec::decode_values(std::span<const uint8_t> body, MutView tile, ValueRange range,
                                     Scratch& scratch) const {
  const PointTables& points = points_[range == kSignedRange];
  bool known = true;
  const auto store = [&](uint32_t first, uint32_t count, uint8_t* indices) {
    const size_t n = size_t{count} * tile.shape.w * tile.shape.c;
    if (points.count < points.has_point.size()) {
      for (size_t i = 0; i < n; ++i) known = known && points.has_point[indices[i]];
    }
    context_kernels(kMaxLanes).look_up(points.value_of_index.data(), indices, n, indices);
    store_interleaved(indices, tile.rows(first, count));
  };
  if (const Status s = decode_contexts(model_, nullptr, body, tile.shape, store, scratch); !s.ok()) return s;
  return known ? Status{} : corrupt("dct-cm: an index stands for no reconstruction point");
}

size_t DctCmRansCodec::encode_groups(ConstView tile, ValueRange range, uint8_t* out, Scratch& scratch) const {
  const Shape s = tile.shape;
  const size_t positions = size_t{s.h} * s.w;
  const Shape coefficients{parameters_.coefficient_planes(s.c), s.h, s.w};
  uint8_t* values = scratch.get(kPlanarSlot, s.size());
  load_planar(tile, values);
  uint8_t* symbols = scratch.get(kSymbolSlot, coefficients.size() + kVectorPad);
  auto* excess = reinterpret_cast<uint16_t*>(scratch.get(kExcessSlot, 2 * coefficients.size()));
  size_t excess_count = 0;
  alignas(64) uint16_t codes[kMaxGroup][kBlock];
  uint64_t masks[kMaxGroup];
  const uint8_t* rows[kMaxGroup];
  const uint32_t block = block_positions(positions);
  uint8_t* plane = symbols;
  for (uint32_t first = 0; first < s.c;) {
    const ChannelGroup group = parameters_.group_at(first, s.c);
    for (size_t at = 0; at < positions; at += block) {
      const auto n = static_cast<unsigned>(std::min<size_t>(block, positions - at));
      for (uint32_t j = 0; j < group.channels; ++j) {
        const uint32_t channel = parameters_.order.empty() ? first + j : parameters_.order[first + j];
        rows[j] = values + channel * positions + at;
      }
      kernels_.analyse(rows, n, range.below, group, codes, parameters_.zero_mask ? masks : nullptr);
      for (unsigned k = 0; k < group.kept; ++k) {
        uint8_t* row = plane + k * positions + at;
        for (unsigned i = 0; i < n; ++i) row[i] = static_cast<uint8_t>(symbol_of(codes[k][i]));
        for (unsigned i = 0; i < n; ++i) {
          if (has_excess(row[i])) {
            excess[excess_count++] = static_cast<uint16_t>((codes[k][i] + 1) / 2 - kLargestSymbol);
          }
        }
      }
    }
    plane += group.kept * positions;
    first += group.channels;
  }
  const size_t coded = encode_planes(model_, symbols, coefficients, out + kLengthBytes, scratch);
  if (coded >= coefficients.size()) return s.size();
  store_le(out, static_cast<uint32_t>(coded));
  const unsigned width = common_width(excess, excess_count);
  const size_t length = kLengthBytes + coded + excess_bytes(excess_count, width);
  if (length >= s.size()) return s.size();
  write_excess(excess, excess_count, width, out + kLengthBytes + coded);
  if (!parameters_.zero_mask) return length;
  const size_t mask = encode_mask(planar_view(static_cast<const uint8_t*>(values), s), out + length, scratch);
  return mask >= s.size() ? s.size() : length + mask;
}

size_t DctCmRansCodec::encode_mask(ConstView tile, uint8_t* out, Scratch& scratch) const {
  uint8_t* mask = scratch.get(kMaskSlot, tile.shape.size());
  for (size_t i = 0; i < tile.shape.size(); ++i) mask[i] = tile.data[i] != 0;
  return encode_planes(mask_model_, mask, tile.shape, out, scratch);
}

Status DctCmRansCodec::decode_groups(std::span<const uint8_t> body, MutView tile, ValueRange range,
                                     Scratch& scratch) const {
  const Shape s = tile.shape;
  const size_t positions = size_t{s.h} * s.w;
  const Shape coefficients{parameters_.coefficient_planes(s.c), s.h, s.w};
  if (body.size() < kLengthBytes) return truncated("dct-cm: the tile ends inside its lengths", body.size());
  const size_t coded = load_le<uint32_t>(body.data());
  auto rest = body.subspan(kLengthBytes);
  if (coded > rest.size()) return truncated("dct-cm: the tile ends inside its coefficients", body.size());
  uint8_t* symbols = scratch.get(kSymbolSlot, coefficients.size());
  if (const Status found = decode_planes(model_, rest.first(coded), coefficients, symbols, scratch);
      !found.ok()) {
    return moved(found, kLengthBytes);
  }
  rest = rest.subspan(coded);
  ExcessReader excess;
  const auto large = static_cast<size_t>(std::count_if(symbols, symbols + coefficients.size(), has_excess));
  const auto offset = [&] { return static_cast<size_t>(rest.data() - body.data()); };
  if (const Status found = excess.open(rest, large); !found.ok()) return moved(found, offset());
  uint8_t* mask = nullptr;
  if (parameters_.zero_mask) {
    mask = scratch.get(kMaskSlot, s.size());
    if (const Status found = decode_mask(rest, s, mask, scratch); !found.ok()) {
      return moved(found, offset());
    }
  } else if (!rest.empty()) {
    return corrupt("dct-cm: bytes follow the large coefficients", offset());
  }

  uint8_t* values = scratch.get(kPlanarSlot, s.size());
  alignas(64) uint16_t codes[kMaxGroup][kBlock];
  uint64_t masks[kMaxGroup];
  uint8_t* rows[kMaxGroup];
  const uint32_t block = block_positions(positions);
  const uint8_t* plane = symbols;
  for (uint32_t first = 0; first < s.c;) {
    const ChannelGroup group = parameters_.group_at(first, s.c);
    for (size_t at = 0; at < positions; at += block) {
      const auto n = static_cast<unsigned>(std::min<size_t>(block, positions - at));
      for (uint32_t j = 0; j < group.channels; ++j) {
        const uint32_t channel = parameters_.order.empty() ? first + j : parameters_.order[first + j];
        rows[j] = values + channel * positions + at;
        masks[j] = 0;
        for (unsigned i = 0; mask != nullptr && i < n; ++i) {
          masks[j] |= uint64_t{mask[channel * positions + at + i]} << i;
        }
      }
      for (unsigned k = 0; k < group.kept; ++k) {
        const uint8_t* row = plane + k * positions + at;
        for (unsigned i = 0; i < n; ++i)
          codes[k][i] = code_of(row[i], has_excess(row[i]) ? excess.next() : 0);
      }
      kernels_.synthesise(codes, n, range.below, group, mask != nullptr ? masks : nullptr, rows);
    }
    plane += group.kept * positions;
    first += group.channels;
  }
  store_planar(values, tile);
  return {};
}

Status DctCmRansCodec::decode_mask(std::span<const uint8_t> body, Shape tile, uint8_t* mask,
                                   Scratch& scratch) const {
  if (const Status s = decode_planes(mask_model_, body, tile, mask, scratch); !s.ok()) return s;
  const bool valid = std::all_of(mask, mask + tile.size(), [](uint8_t x) { return x <= 1; });
  return valid ? Status{} : corrupt("dct-cm: a zero mask holds more than 0 and 1");
}

}  // namespace fmapzip
