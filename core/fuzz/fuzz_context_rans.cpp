// Parameters and tiles of context-rans from strangers, without a frame around them. Whatever they are, values
// that encode under them decode again.
#include <algorithm>
#include <cstdlib>
#include <vector>

#include "codecs/context_rans.hpp"
#include "entropy/context_coder.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fmapzip;
  if (size < 6) return 0;
  const Shape shape{1u + data[0] % 150, 1u + data[1] % 40, 1u + data[2] % 40};
  const ValueRange range{data[3]};
  const size_t rest = size - 6;
  const size_t parameter_bytes = std::min<size_t>(rest, data[4] | data[5] << 8);
  const std::span parameters(data + 6, parameter_bytes);
  const std::span body(data + 6 + parameter_bytes, rest - parameter_bytes);
  std::unique_ptr<TileCodec> codec;
  if (!ContextRansCodec::make(parameters, shape.c, codec).ok() || !codec->check(shape, range).ok()) return 0;
  if (!codec->ready(shape).ok()) return 0;  // it refers to other maps
  Scratch scratch;
  std::vector<uint8_t> values(shape.size());
  if (!codec->decode_tile(body, planar_view(values.data(), shape), range, scratch).ok()) {
    for (size_t i = 0; i < values.size(); ++i) values[i] = data[6 + i % rest];
  }
  std::vector<uint8_t> out(codec->tile_bound(shape));
  const auto encode = [&] {
    return codec->encode_tile(planar_view<const uint8_t>(values.data(), shape), range, out.data(), scratch);
  };
  const auto decode = [&](size_t length) {
    if (!codec->decode_tile({out.data(), length}, planar_view(values.data(), shape), range, scratch).ok()) {
      std::abort();
    }
  };
  // The first round may move values to their reconstruction points.
  const size_t first = encode();
  if (first >= shape.size()) return 0;
  decode(first);
  const std::vector<uint8_t> settled = values;
  const size_t second = encode();
  if (second != first) std::abort();
  decode(second);
  if (values != settled) std::abort();
  return 0;
}
