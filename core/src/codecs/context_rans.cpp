#include "codecs/context_rans.hpp"

#include <algorithm>

#include "entropy/context_coder.hpp"
#include "layout.hpp"

namespace fmapzip {
namespace {

// Indices that have a value are 0 to `above` and, as bytes, the last `below` ones.
struct KnownIndices {
  size_t above = 0;
  size_t below = 0;

  explicit KnownIndices(const Requantizer& requantizer) {
    const auto& value_of = requantizer.value_of;
    while (above < 255 && value_of[above + 1] != 0) ++above;
    while (below < 255 - above && value_of[255 - below] != 0) ++below;
  }

  bool hold(const uint8_t* indices, size_t n) const {
    uint8_t top = 0;
    for (size_t i = 0; i < n; ++i) top = std::max(top, static_cast<uint8_t>(indices[i] + below));
    return top <= above + below;
  }
};

}  // namespace

Status ContextRansCodec::make(std::span<const uint8_t> parameters, uint32_t channels,
                              std::unique_ptr<TileCodec>& codec) {
  auto made = std::make_unique<ContextRansCodec>();
  if (const Status s = made->model_.build(parameters, channels); !s.ok()) return s;
  codec = std::move(made);
  return {};
}

Status ContextRansCodec::check(Shape map, ValueRange range) const {
  const ContextParams& params = model_.params();
  if (params.range != range) {
    return invalid("context-rans: the parameters are for the other data type or another zero point");
  }
  if (params.channels != 0 && params.channels != map.c) {
    return invalid("context-rans: the parameters are for another number of channels");
  }
  return {};
}

uint32_t ContextRansCodec::tile_rows(Shape map) const { return balanced_tile_rows(map, kContextTileValues); }

size_t ContextRansCodec::tile_bound(Shape tile) const { return context_bound(tile); }

size_t ContextRansCodec::encode_tile(ConstView tile, ValueRange, uint8_t* out, Scratch& scratch) const {
  const size_t n = tile.shape.size();
  uint8_t* indices = scratch.get(0, n + kVectorPad);
  load_interleaved(tile, indices);
  if (model_.params().requantizer.active) {
    const auto& kernels = context_kernels(kMaxLanes);
    kernels.look_up(model_.params().requantizer.index_of.data(), indices, n, indices);
  }
  return encode_contexts(model_, indices, tile.shape, out, scratch);
}

Status ContextRansCodec::decode_tile(std::span<const uint8_t> body, MutView tile, ValueRange,
                                     Scratch& scratch) const {
  const auto& requantizer = model_.params().requantizer;
  const KnownIndices indices_of_values(requantizer);
  bool known = true;
  const auto store = [&](uint32_t first, uint32_t count, uint8_t* indices) {
    if (requantizer.active) {
      const size_t n = size_t{count} * tile.shape.w * tile.shape.c;
      known = indices_of_values.hold(indices, n) && known;
      context_kernels(kMaxLanes).look_up(requantizer.value_of.data(), indices, n, indices);
    }
    store_interleaved(indices, tile.rows(first, count));
  };
  const Status status = decode_contexts(model_, body, tile.shape, store, scratch);
  if (!status.ok()) return status;
  if (!known) return corrupt("context-rans: an index stands for no value", body.size());
  return {};
}

}  // namespace fmapzip
