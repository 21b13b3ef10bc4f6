#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "entropy/alphabet.hpp"
#include "entropy/reference_params.hpp"
#include "fmapzip/reference.hpp"
#include "fmapzip/status.hpp"

namespace fmapzip {

// What reference maps tell of the values of a tile, [position][channel]: in 1/64 of a companded value where
// they may lie, and the magnitude of the value at the same place of the last reference of the same channel.
struct Estimates {
  const int16_t* values;
  const uint8_t* seen;
};

// Reference maps made ready for estimates. Immutable once built.
class GivenReferences {
 public:
  // Status of kind `reference` where the maps are not those that parameters ask for.
  Status build(const References& references, std::span<const ReferenceMap> maps);

  // Whether they are of the size that a map's references are.
  Status fit(Shape map) const;
  // Of all integers, [c][h][w], one map after the other.
  uint32_t checksum() const { return checksum_; }
  // For a tile that begins at row `top` of its map; `values` and `seen` have room for all of it.
  void estimate(const References& references, ValueRange range, Shape tile, uint32_t top, int16_t* values,
                uint8_t* seen) const;

 private:
  struct Map {
    Reference of;
    Shape shape;
    uint8_t outside;
    std::vector<uint8_t> bytes;  // [h][w][c], ascending as the integers do
  };
  // Bytes of the position (row, column), or null where it lies outside.
  static const uint8_t* at(const Map& map, int64_t row, int64_t column);
  void load_patch(uint32_t row, uint32_t column, int16_t* patch) const;
  void add_same_channel(const References& references, uint32_t channels, uint32_t row, uint32_t column,
                        int32_t* sums, uint8_t* seen) const;

  std::vector<Map> maps_;
  uint32_t checksum_ = 0;
};

}  // namespace fmapzip
