#include "codecs/context_rans.hpp"

#include <algorithm>

#include "bits/endian.hpp"
#include "entropy/context_coder.hpp"
#include "layout.hpp"

namespace fmapzip {
namespace {

constexpr size_t kChecksumBytes = 4;  // of the reference maps, before a body
constexpr size_t kEstimateSlot = 1, kSeenSlot = 2;

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
  auto model = std::make_shared<ContextModel>();
  if (const Status s = model->build(parameters, channels); !s.ok()) return s;
  codec = std::make_unique<ContextRansCodec>(std::move(model), nullptr);
  return {};
}

size_t ContextRansCodec::references() const { return model_->params().references.maps.size(); }

Status ContextRansCodec::given(std::span<const ReferenceMap> maps, std::unique_ptr<TileCodec>& codec) const {
  auto given = std::make_shared<GivenReferences>();
  if (const Status s = given->build(model_->params().references, maps); !s.ok()) return s;
  codec = std::make_unique<ContextRansCodec>(model_, std::move(given));
  return {};
}

Status ContextRansCodec::ready(Shape map) const {
  if (references() == 0) return {};
  if (given_ == nullptr)
    return {Code::reference, "context-rans: the maps that this one refers to are not given"};
  return given_->fit(map);
}

Status ContextRansCodec::check(Shape map, ValueRange range) const {
  const ContextParams& params = model_->params();
  if (params.range != range) {
    return invalid("context-rans: the parameters are for the other data type or another zero point");
  }
  if (params.channels != 0 && params.channels != map.c) {
    return invalid("context-rans: the parameters are for another number of channels");
  }
  return {};
}

uint32_t ContextRansCodec::tile_rows(Shape map) const { return balanced_tile_rows(map, kContextTileValues); }

size_t ContextRansCodec::tile_bound(Shape tile) const {
  return context_bound(tile) + (given_ == nullptr ? 0 : kChecksumBytes);
}

Estimates ContextRansCodec::estimate(Shape tile, uint32_t top, Scratch& scratch) const {
  auto* const values = reinterpret_cast<int16_t*>(scratch.get(kEstimateSlot, 2 * tile.size()));
  uint8_t* const seen = scratch.get(kSeenSlot, tile.size());
  const ContextParams& params = model_->params();
  given_->estimate(params.references, params.range, tile, top, values, seen);
  return {values, seen};
}

size_t ContextRansCodec::encode_tile(ConstView tile, ValueRange, uint8_t* out, Scratch& scratch) const {
  const size_t n = tile.shape.size();
  uint8_t* indices = scratch.get(0, n + kVectorPad);
  load_interleaved(tile, indices);
  if (model_->params().requantizer.active) {
    const auto& kernels = context_kernels(kMaxLanes);
    kernels.look_up(model_->params().requantizer.index_of.data(), indices, n, indices);
  }
  if (given_ == nullptr) return encode_contexts(*model_, nullptr, indices, tile.shape, out, scratch);
  const Estimates estimates = estimate(tile.shape, tile.top, scratch);
  store_le(out, given_->checksum());
  return kChecksumBytes +
         encode_contexts(*model_, &estimates, indices, tile.shape, out + kChecksumBytes, scratch);
}

Status ContextRansCodec::decode_tile(std::span<const uint8_t> body, MutView tile, ValueRange,
                                     Scratch& scratch) const {
  const auto& requantizer = model_->params().requantizer;
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
  if (given_ != nullptr) {
    if (body.size() < kChecksumBytes) return truncated("context-rans: the tile ends early", body.size());
    if (load_le<uint32_t>(body.data()) != given_->checksum()) {
      return {Code::reference, "context-rans: the maps given are not those that this one was encoded with"};
    }
    const Estimates estimates = estimate(tile.shape, tile.top, scratch);
    const auto coded = body.subspan(kChecksumBytes);
    const Status status = decode_contexts(*model_, &estimates, coded, tile.shape, store, scratch);
    if (!status.ok()) return moved(status, kChecksumBytes);
  } else if (const Status s = decode_contexts(*model_, nullptr, body, tile.shape, store, scratch); !s.ok()) {
    return s;
  }
  if (!known) return corrupt("context-rans: an index stands for no value", body.size());
  return {};
}

}  // namespace fmapzip
