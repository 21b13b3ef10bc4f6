// Any map by any codec without parameters: what was encoded comes back.
#include <cstdlib>
#include <vector>

#include "fmapzip/frame.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fmapzip;
  if (size < 5) return 0;
  const uint8_t code =
      data[0] % 2 == 0 ? static_cast<uint8_t>(CodecNumber::raw) : static_cast<uint8_t>(CodecNumber::zvc);
  const Shape shape{1u + data[1] % 70, 1u + data[2] % 20, 1u + data[3] % 20};
  std::vector<uint8_t> values(shape.size());
  for (size_t i = 0; i < values.size(); ++i) values[i] = data[4 + i % (size - 4)];
  std::unique_ptr<TileCodec> codec;
  if (!make_codec(code, {}, 0, codec).ok()) std::abort();
  FrameInfo info;
  info.number = code;
  info.dims = {shape.c, shape.h, shape.w};
  Scratch scratch;
  ByteBuffer out;
  if (!encode_frame(planar_view<const uint8_t>(values.data(), shape), info, *codec, 1, scratch, out).ok()) {
    std::abort();
  }
  ParsedFrame frame;
  if (!parse_frame(out.bytes(), Limits{}, frame).ok()) std::abort();
  if (!verify_checksum(out.bytes(), frame).ok()) std::abort();
  std::vector<uint8_t> back(values.size());
  if (!decode_frame(out.bytes(), frame, codec.get(), planar_view(back.data(), shape), 1, scratch).ok()) {
    std::abort();
  }
  if (back != values) std::abort();
  return 0;
}
