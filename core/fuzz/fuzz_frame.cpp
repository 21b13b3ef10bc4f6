// Whole frames from strangers. The checksum is not looked at, so that the fuzzer gets past it.
#include <vector>

#include "fmapzip/frame.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fmapzip;
  const std::span bytes(data, size);
  ParsedFrame frame;
  if (!parse_frame(bytes, Limits{1 << 18, 1 << 18}, frame).ok()) return 0;
  std::unique_ptr<TileCodec> codec;
  if (!make_codec(frame.info.number, frame.info.parameters, frame.info.shape().c, codec).ok() &&
      !frame.all_stored)
    return 0;
  std::vector<uint8_t> values(frame.info.shape().size());
  Scratch scratch;
  (void)decode_frame(bytes, frame, codec.get(), planar_view(values.data(), frame.info.shape()), 1, scratch)
      .ok();
  return 0;
}
