#pragma once

#include "entropy/context_model.hpp"
#include "fmapzip/codec.hpp"

namespace fmapzip {

// Interleaved rANS in trained contexts. docs/format/context-rans.md.
class ContextRansCodec final : public TileCodec {
 public:
  static Status make(std::span<const uint8_t> parameters, uint32_t channels,
                     std::unique_ptr<TileCodec>& codec);

  Status check(Shape map, ValueRange range) const override;
  uint32_t tile_rows(Shape map) const override;
  size_t tile_bound(Shape tile) const override;
  size_t encode_tile(ConstView tile, ValueRange range, uint8_t* out, Scratch& scratch) const override;
  Status decode_tile(std::span<const uint8_t> body, MutView tile, ValueRange range,
                     Scratch& scratch) const override;

 private:
  ContextModel model_;
};

}  // namespace fmapzip
