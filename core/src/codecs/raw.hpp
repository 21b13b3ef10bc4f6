#pragma once

#include "fmapzip/codec.hpp"

namespace fmapzip {

// Stores the values themselves. Its bodies are never shorter than the values, so the frame driver's own
// stored tiles are all that a frame of this codec holds.
class RawCodec final : public TileCodec {
 public:
  Status check(Shape, ValueRange) const override { return {}; }
  size_t tile_bound(Shape) const override { return 0; }
  size_t encode_tile(ConstView tile, ValueRange, uint8_t*, Scratch&) const override {
    return tile.shape.size();
  }
  Status decode_tile(std::span<const uint8_t>, MutView, ValueRange, Scratch&) const override {
    return corrupt("a tile of the raw codec is not as long as its values");
  }
};

}  // namespace fmapzip
