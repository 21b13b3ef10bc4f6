// Frames of the codecs without parameters: round trips, every truncation, and forged frames under the
// sanitizers.
#include "bits/crc32c.hpp"
#include "bits/endian.hpp"
#include "check.hpp"
#include "fmapzip/frame.hpp"

namespace fmapzip::test {
namespace {

FrameInfo info_of(Shape shape, CodecNumber code) {
  FrameInfo info;
  info.number = static_cast<uint8_t>(code);
  info.dims = {shape.c, shape.h, shape.w};
  return info;
}

std::vector<uint8_t> encode(const std::vector<uint8_t>& values, Shape shape, CodecNumber code, int threads) {
  std::unique_ptr<TileCodec> codec;
  CHECK(make_codec(static_cast<uint8_t>(code), {}, 0, codec).ok());
  Scratch scratch;
  ByteBuffer out;
  CHECK(encode_frame(planar_view(values.data(), shape), info_of(shape, code), *codec, threads, scratch, out)
            .ok());
  return {out.bytes().begin(), out.bytes().end()};
}

// Decodes whatever the bytes are, from an allocation of their exact size.
Status decode(const std::vector<uint8_t>& bytes, std::vector<uint8_t>& values) {
  ParsedFrame frame;
  if (const Status s = parse_frame(bytes, Limits{1 << 20, 1 << 20}, frame); !s.ok()) return s;
  if (const Status s = verify_checksum(bytes, frame); !s.ok()) return s;
  std::unique_ptr<TileCodec> codec;
  if (!frame.all_stored) {
    if (const Status s = make_codec(frame.info.number, frame.info.parameters, frame.info.shape().c, codec);
        !s.ok())
      return s;
  }
  values.assign(frame.info.shape().size(), 0xAA);
  Scratch scratch;
  return decode_frame(bytes, frame, codec.get(), planar_view(values.data(), frame.info.shape()), 2, scratch);
}

void test_round_trips(std::mt19937& random) {
  for (const Shape shape : {Shape{1, 1, 1}, Shape{3, 5, 7}, Shape{64, 56, 56}, Shape{70, 40, 90}}) {
    for (const double share : {0.0, 0.4, 1.0}) {
      const auto values = sparse_bytes(shape.size(), share, random);
      for (const CodecNumber code : {CodecNumber::raw, CodecNumber::zvc}) {
        const auto frame = encode(values, shape, code, 1);
        CHECK(frame == encode(values, shape, code, 2));
        std::vector<uint8_t> back;
        CHECK(decode(frame, back).ok());
        CHECK(back == values);
      }
    }
  }
}

void test_truncations(std::mt19937& random) {
  const Shape shape{8, 6, 5};
  const auto frame = encode(sparse_bytes(shape.size(), 0.5, random), shape, CodecNumber::zvc, 1);
  std::vector<uint8_t> values;
  for (size_t size = 0; size < frame.size(); ++size) {
    CHECK(!decode({frame.begin(), frame.begin() + static_cast<ptrdiff_t>(size)}, values).ok());
  }
}

void test_forged_frames_do_no_harm(std::mt19937& random) {
  const Shape shape{8, 6, 5};
  const auto frame = encode(sparse_bytes(shape.size(), 0.5, random), shape, CodecNumber::zvc, 1);
  for (int trial = 0; trial < 20000; ++trial) {
    auto forged = frame;
    forged[random() % (forged.size() - 4)] ^= static_cast<uint8_t>(1u << (random() % 8));
    const size_t checked = forged.size() - 4;
    store_le(forged.data() + checked, crc32c(std::span(forged).first(checked)));
    std::vector<uint8_t> values;
    (void)decode(forged, values).ok();
  }
}

}  // namespace
}  // namespace fmapzip::test

int main() {
  using namespace fmapzip::test;
  std::mt19937 random(1);
  test_round_trips(random);
  test_truncations(random);
  test_forged_frames_do_no_harm(random);
  return 0;
}
