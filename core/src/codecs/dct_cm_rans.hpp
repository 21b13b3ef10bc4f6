#pragma once

#include "codecs/dct_cm_parameters.hpp"
#include "entropy/context_model.hpp"
#include "fmapzip/codec.hpp"

namespace fmapzip {

// dct-cm with the entropy stage of context-rans in place of the blocks: docs/format/dct-cm.md,
// "rANS coding".
class DctCmRansCodec final : public TileCodec {
 public:
  static Status make(DctCmParameters parameters, uint32_t channels, std::unique_ptr<TileCodec>& codec);

  DctCmRansCodec(DctCmParameters parameters, const DctCmKernels& kernels);

  Status check(Shape map, ValueRange range) const override;
  uint32_t tile_rows(Shape map) const override;
  size_t tile_bound(Shape tile) const override;
  size_t encode_tile(ConstView tile, ValueRange range, uint8_t* out, Scratch& scratch) const override;
  Status decode_tile(std::span<const uint8_t> body, MutView tile, ValueRange range,
                     Scratch& scratch) const override;

 private:
  size_t encode_values(ConstView tile, ValueRange range, uint8_t* out, Scratch& scratch) const;
  size_t encode_groups(ConstView tile, ValueRange range, uint8_t* out, Scratch& scratch) const;
  size_t encode_mask(ConstView tile, uint8_t* out, Scratch& scratch) const;
  Status decode_values(std::span<const uint8_t> body, MutView tile, ValueRange range, Scratch& scratch) const;
  Status decode_groups(std::span<const uint8_t> body, MutView tile, ValueRange range, Scratch& scratch) const;
  Status decode_mask(std::span<const uint8_t> body, Shape tile, uint8_t* mask, Scratch& scratch) const;

  DctCmParameters parameters_;
  const DctCmKernels& kernels_;
  std::array<PointTables, 2> points_;  // by dtype
  ContextModel model_;
  ContextModel mask_model_;
};

}  // namespace fmapzip
