#pragma once

#include <memory>
#include <utility>

#include "entropy/context_model.hpp"
#include "entropy/reference_estimates.hpp"
#include "fmapzip/codec.hpp"

namespace fmapzip {

// Interleaved rANS in trained contexts. docs/format/context-rans.md.
class ContextRansCodec final : public TileCodec {
 public:
  static Status make(std::span<const uint8_t> parameters, uint32_t channels,
                     std::unique_ptr<TileCodec>& codec);

  ContextRansCodec(std::shared_ptr<const ContextModel> model, std::shared_ptr<const GivenReferences> given)
      : model_(std::move(model)), given_(std::move(given)) {}

  size_t references() const override;
  Status given(std::span<const ReferenceMap> maps, std::unique_ptr<TileCodec>& codec) const override;
  Status ready(Shape map) const override;
  Status check(Shape map, ValueRange range) const override;
  uint32_t tile_rows(Shape map) const override;
  size_t tile_bound(Shape tile) const override;
  size_t encode_tile(ConstView tile, ValueRange range, uint8_t* out, Scratch& scratch) const override;
  Status decode_tile(std::span<const uint8_t> body, MutView tile, ValueRange range,
                     Scratch& scratch) const override;

 private:
  Estimates estimate(Shape tile, uint32_t top, Scratch& scratch) const;

  std::shared_ptr<const ContextModel> model_;
  std::shared_ptr<const GivenReferences> given_;  // null: none
};

}  // namespace fmapzip
