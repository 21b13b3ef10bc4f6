#include "inspection.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <vector>

#include "bits/endian.hpp"
#include "buffers.hpp"
#include "codecs/dct_cm_parameters.hpp"
#include "entropy/context_coder.hpp"

namespace fmapzip::python {
namespace {

#include "simd/dct_cm_splits.inc"

// The bits of a dct-cm body by kind: docs/format/dct-cm.md, "Blocks". Reads only what says how many there
// are.
class BlockWalk {
 public:
  enum Kind : uint8_t { zero_mask, headers, bitmaps, values, kinds };

  explicit BlockWalk(std::span<const uint8_t> body)
      : bytes_(body.begin(), body.end()), end_(8 * body.size()) {
    bytes_.resize(body.size() + 2 * sizeof(uint64_t));
  }

  // Whether the stream went on long enough; if not, nothing more is counted.
  bool mask_row(unsigned positions) {
    constexpr uint64_t mixed = 0;
    return take(zero_mask, 2) != mixed || skip(zero_mask, positions);
  }

  bool block(unsigned positions) {
    const auto header = static_cast<unsigned>(take(headers, 8));
    const Split& split = kSplits[header >> 4];
    const unsigned coded = split.zero_bitmap != 0 ? ones(positions) : positions;
    unsigned rest = coded;
    for (unsigned level = 0; level < split.selectors; ++level) rest = ones(rest);
    return skip(values, size_t{coded - rest} * split.width + size_t{rest} * (header & 15));
  }

  bool ok() const { return at_ <= end_; }
  // All but the padding of the last byte was counted.
  bool at_end() const { return ok() && end_ - at_ < 8; }
  const std::array<uint64_t, kinds>& counts() const { return counts_; }

 private:
  bool skip(Kind kind, size_t bits) {
    at_ += bits;
    counts_[kind] += bits;
    return ok();
  }
  unsigned ones(unsigned positions) { return static_cast<unsigned>(std::popcount(take(bitmaps, positions))); }

  // At most 64 bits; zeros behind the end.
  uint64_t take(Kind kind, unsigned bits) {
    const size_t at = at_;
    if (!skip(kind, bits) || bits == 0) return 0;
    const uint64_t low = load_le<uint64_t>(bytes_.data() + at / 8) >> (at % 8);
    const uint64_t high = uint64_t{bytes_[at / 8 + sizeof(uint64_t)]} << 1 << (63 - at % 8);
    return (low | high) & (~uint64_t{0} >> (64 - bits));
  }

  std::vector<uint8_t> bytes_;
  size_t end_;
  size_t at_ = 0;
  std::array<uint64_t, kinds> counts_{};
};

void walk_plane(BlockWalk& walk, size_t positions, uint32_t masks, uint32_t blocks) {
  const uint32_t block = block_positions(positions);
  for (size_t at = 0; at < positions; at += block) {
    const auto n = static_cast<unsigned>(std::min<size_t>(block, positions - at));
    for (uint32_t i = 0; i < masks; ++i) {
      if (!walk.mask_row(n)) return;
    }
    for (uint32_t i = 0; i < blocks; ++i) {
      if (!walk.block(n)) return;
    }
  }
}

// Bits of zero mask, headers, bitmaps and values of a tile without entropy coding.
nb::tuple dct_cm_bits(nb::handle body, uint32_t c, uint32_t h, uint32_t w, nb::handle parameter_bytes) {
  const Bytes bytes(body);
  const Bytes held(parameter_bytes);
  DctCmParameters parameters;
  require(parse_dct_cm(held.span(), parameters));
  require(check_channels(parameters, c));
  BlockWalk walk(bytes.span());
  const size_t positions = size_t{h} * w;
  if (parameters.transform) {
    for (uint32_t first = 0; first < c && walk.ok();) {
      const ChannelGroup group = parameters.group_at(first, c);
      walk_plane(walk, positions, parameters.zero_mask ? group.channels : 0, group.kept);
      first += group.channels;
    }
  } else if (positions == 1) {
    walk_plane(walk, c, 0, 1);
  } else {
    for (uint32_t plane = 0; plane < c && walk.ok(); ++plane) walk_plane(walk, positions, 0, 1);
  }
  if (!walk.ok()) require(truncated("dct-cm: the tile ends inside a block", bytes.span().size()));
  if (!walk.at_end()) require(corrupt("dct-cm: bytes follow the last block"));
  const auto& counts = walk.counts();
  return nb::make_tuple(counts[BlockWalk::zero_mask], counts[BlockWalk::headers], counts[BlockWalk::bitmaps],
                        counts[BlockWalk::values]);
}

// Coder states of a tile under these parameters.
uint32_t context_lanes_of_tile(nb::handle parameters, uint32_t c, uint32_t h, uint32_t w) {
  const Bytes bytes(parameters);
  ContextModel model;
  require(model.build(bytes.span()));
  return context_lanes(model, {c, h, w});
}

}  // namespace

void bind_inspection(nb::module_& m) {
  m.def("context_lanes", &context_lanes_of_tile, nb::arg("parameters"), nb::arg("c"), nb::arg("h"),
        nb::arg("w"));
  m.def("dct_cm_bits", &dct_cm_bits, nb::arg("body"), nb::arg("c"), nb::arg("h"), nb::arg("w"),
        nb::arg("parameters"));
}

}  // namespace fmapzip::python
