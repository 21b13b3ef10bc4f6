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
  Codec(uint8_t number, std::span<const uint8_t> parameters, uint32_t channels, size_t offset,
        const std::string& of)
      : number_(number) {
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
      : number_(without.number_), parameters_(without.parameters_) {
    require(without.tiles().given(maps, codec_));
  }

  uint8_t number() const { return number_; }
  const std::vector<uint8_t>& parameters() const { return parameters_; }
  const TileCodec& tiles() const { return *codec_; }

 private:
  uint8_t number_;
  std::vector<uint8_t> parameters_;
  std::unique_ptr<TileCodec> codec_;
};

}  // namespace fmapzip::python
