#pragma once

#include "codecs/dct_cm_parameters.hpp"
#include "fmapzip/codec.hpp"

namespace fmapzip {

// DCT along the channels, masks and bitmap coding: docs/format/dct-cm.md.
class DctCmCodec final : public TileCodec {
 public:
  static Status make(std::span<const uint8_t> parameters, uint32_t channels,
                     std::unique_ptr<TileCodec>& codec);

  explicit DctCmCodec(DctCmParameters parameters, const DctCmKernels& kernels);

  Status check(Shape map, ValueRange range) const override;
  uint32_t tile_rows(Shape map) const override;
  size_t tile_bound(Shape tile) const override;
  size_t encode_tile(ConstView tile, ValueRange range, uint8_t* out, Scratch& scratch) const override;
  Status decode_tile(std::span<const uint8_t> body, MutView tile, ValueRange range,
                     Scratch& scratch) const override;

 private:
  struct Planes;

  // These give up, and return false, where the stream reaches `end`.
  bool encode_values(const Planes& planes, ValueRange range, const uint8_t* end, StreamWriter& writer) const;
  bool encode_groups(const Planes& planes, ValueRange range, const uint8_t* end, StreamWriter& writer) const;
  Status decode_values(const Planes& planes, ValueRange range, size_t bits, StreamReader& reader) const;
  Status decode_groups(const Planes& planes, ValueRange range, size_t bits, StreamReader& reader) const;

  DctCmParameters parameters_;
  const DctCmKernels& kernels_;
  std::array<PointTables, 2> points_;  // of signed values, and of others
};

}  // namespace fmapzip
