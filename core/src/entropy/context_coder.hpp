#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "entropy/context_kernels.hpp"
#include "entropy/context_model.hpp"
#include "entropy/reference_estimates.hpp"
#include "fmapzip/map.hpp"
#include "fmapzip/scratch.hpp"
#include "fmapzip/status.hpp"

// The entropy stage: indices of one tile, [h][w][c], to bytes and back, in the contexts of a model. It uses
// slot kContextSlot of the scratch.
namespace fmapzip {

inline constexpr size_t kContextSlot = 6;

// Bytes of a part of it of n bytes, in whole vectors and with slack behind.
constexpr size_t padded(size_t n) { return (n + kVectorPad - 1) / kVectorPad * kVectorPad + kVectorPad; }

// Large tiles: each new one begins without an upper row and pays for its own coder states.
inline constexpr size_t kContextTileValues = size_t{1} << 20;

// Interleaved coder states: a function of shape and model, so that small tiles do not pay for many.
uint32_t context_lanes(const ContextModel& model, Shape tile);

size_t context_bound(Shape tile);

// Returns the length of the body; one that would reach tile.size() is given up and tile.size() returned.
// `estimates` are there if, and only if, parameters refer to other maps.
size_t encode_contexts(const ContextModel& model, const Estimates* estimates, const uint8_t* indices,
                       Shape tile, uint8_t* out, Scratch& scratch);

// Calls `rows(first, count, indices)` with decoded rows, [h][w][c], top to bottom. `indices` may be
// overwritten.
using RowSink = std::function<void(uint32_t first, uint32_t count, uint8_t* indices)>;
Status decode_contexts(const ContextModel& model, const Estimates* estimates, std::span<const uint8_t> body,
                       Shape tile, const RowSink& rows, Scratch& scratch);

}  // namespace fmapzip
