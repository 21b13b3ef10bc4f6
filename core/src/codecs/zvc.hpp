#pragma once

#include "fmapzip/codec.hpp"

namespace fmapzip {

// Zero-value coding: a bitmap of what is not zero, then those values. docs/format/zvc.md.
class ZvcCodec final : public TileCodec {
 public:
  Status check(Shape, ValueRange) const override { return {}; }
  size_t tile_bound(Shape tile) const override;
  size_t encode_tile(ConstView tile, ValueRange range, uint8_t* out, Scratch& scratch) const override;
  Status decode_tile(std::span<const uint8_t> body, MutView tile, ValueRange range,
                     Scratch& scratch) const override;
};

}  // namespace fmapzip
