#pragma once

#include <memory>
#include <string>
#include <vector>

#include "buffers.hpp"
#include "fmapzip/codec.hpp"

namespace fmapzip::python {

// A codec of the core with its parameters, made once and used for many frames.
class Codec {
 public:
  // `channels`: of the maps, 0: any. `of` and `offset` say where the parameters stand, for errors.
  // `tile_values`: at most so many values a tile of more than one row, 0: as many as the codec takes.
  Codec(uint8_t number, std::span<const uint8_t> parameters, uint32_t channels, size_t offset,
        const std::string& of, uint32_t tile_values = 0)
      : number_(number), tile_values_(tile_values) {
    if (number < static_cast<uint8_t>(CodecNumber::raw) ||
        number > static_cast<uint8_t>(CodecNumber::context_rans)) {
      raise_error("MissingCodec", "no codec has the number " + std::to_string(number) +
                                      "; a newer fmapzip may have written this frame");
    }
    parameters_.assign(parameters.begin(), parameters.end());
    require(moved(make_codec(number, parameters_, channels, codec_), offset), of);
  }

  // The same with reference maps.
  Codec(const Codec& without, std::span<const ReferenceMap> maps)
      : number_(without.number_), tile_values_(without.tile_values_), parameters_(without.parameters_) {
    require(without.tiles().given(maps, codec_));
  }

  uint8_t number() const { return number_; }
  const std::vector<uint8_t>& parameters() const { return parameters_; }
  const TileCodec& tiles() const { return *codec_; }
  // Rows of the tiles of a map; 0 where the codec chooses them.
  uint32_t tile_rows(Shape map) const {
    return tile_values_ == 0 ? 0 : balanced_tile_rows(map, tile_values_);
  }

 private:
  uint8_t number_;
  uint32_t tile_values_;
  std::vector<uint8_t> parameters_;
  std::unique_ptr<TileCodec> codec_;
};

}  // namespace fmapzip::python
