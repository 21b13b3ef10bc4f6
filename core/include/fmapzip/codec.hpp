#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "fmapzip/map.hpp"
#include "fmapzip/reference.hpp"
#include "fmapzip/scratch.hpp"
#include "fmapzip/status.hpp"

namespace fmapzip {

// Codes of the codecs in a frame. Frozen: a code is never reused (docs/FORMAT.md, "Codecs").
enum class CodecNumber : uint8_t { external = 0, raw = 1, zvc = 2, dct_cm = 3, context_rans = 4 };

// Tiles hold about this many values unless a codec asks for more or fewer: they fit a second-level cache, and
// a map of a large early layer still splits between threads.
inline constexpr size_t kTileValues = size_t{1} << 17;

// Rows per tile for tiles of at most `target` values (at least one row), of nearly equal height.
uint32_t balanced_tile_rows(Shape map, size_t target = kTileValues);

// Values of one tile, counted from the zero point, <-> bytes. Immutable once made, so that several threads
// can share one.
class TileCodec {
 public:
  virtual ~TileCodec() = default;

  // Whether the parameters fit a map of this shape and range.
  virtual Status check(Shape map, ValueRange range) const = 0;
  // Whether it has the reference maps that it needs for a map of this shape: of kind `reference` if not.
  virtual Status ready(Shape) const { return {}; }
  // How many reference maps it needs, and the same codec with them, whose values are copied.
  virtual size_t references() const { return 0; }
  virtual Status given(std::span<const ReferenceMap>, std::unique_ptr<TileCodec>&) const {
    return {Code::reference, "these parameters refer to no other map"};
  }
  virtual uint32_t tile_rows(Shape map) const { return balanced_tile_rows(map); }
  // Bytes that encode_tile may touch in `out`, slack for full-vector stores included: near the tile's size,
  // as a body that reaches it is given up.
  virtual size_t tile_bound(Shape tile) const = 0;
  // Writes the body of a tile and returns its length. A body that is not shorter than the tile's values is
  // dropped by the frame driver, which then stores the values themselves.
  virtual size_t encode_tile(ConstView tile, ValueRange range, uint8_t* out, Scratch& scratch) const = 0;
  // `body` may hold anything; it must be consumed exactly and never read past its end.
  virtual Status decode_tile(std::span<const uint8_t> body, MutView tile, ValueRange range,
                             Scratch& scratch) const = 0;
};

// The codec of `number` with its parameters, which may come from a stranger. Those of maps of other than
// `channels` (0: any) are refused before tables are built for them.
Status make_codec(uint8_t number, std::span<const uint8_t> parameters, uint32_t channels,
                  std::unique_ptr<TileCodec>& codec);

}  // namespace fmapzip
