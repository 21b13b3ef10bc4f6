#include <algorithm>

#include "codecs/context_rans.hpp"
#include "codecs/dct_cm.hpp"
#include "codecs/raw.hpp"
#include "codecs/zvc.hpp"
#include "fmapzip/codec.hpp"

namespace fmapzip {

uint32_t balanced_tile_rows(Shape map, size_t target) {
  const size_t row = size_t{map.c} * map.w;
  const size_t most = std::clamp<size_t>(target / std::max<size_t>(row, 1), 1, map.h);
  const size_t tiles = (map.h + most - 1) / most;
  return static_cast<uint32_t>((map.h + tiles - 1) / tiles);
}

Status make_codec(uint8_t number, std::span<const uint8_t> parameters, uint32_t channels,
                  std::unique_ptr<TileCodec>& codec) {
  switch (static_cast<CodecNumber>(number)) {
    case CodecNumber::raw:
    case CodecNumber::zvc:
      if (!parameters.empty()) return corrupt("this codec has no parameters");
      if (static_cast<CodecNumber>(number) == CodecNumber::raw) {
        codec = std::make_unique<RawCodec>();
      } else {
        codec = std::make_unique<ZvcCodec>();
      }
      return {};
    case CodecNumber::dct_cm:
      return DctCmCodec::make(parameters, channels, codec);
    case CodecNumber::context_rans:
      return ContextRansCodec::make(parameters, channels, codec);
    default:
      return corrupt("unknown codec number");
  }
}

}  // namespace fmapzip
