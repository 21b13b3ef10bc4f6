// What the core makes of frames, for a machine that has no Python: `frames describe FILE...` prints what
// each decodes to, and what that encodes to again with the frame's parameters and with parameters fitted to
// it. `frames decode|encode TIMES FILE` does one of these so often, for counting instructions.
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <string_view>
#include <vector>

#include "entropy/context_fit.hpp"
#include "fmapzip/frame.hpp"

namespace fmapzip::test {
namespace {

constexpr Limits kLimits{1 << 26, 1 << 24};

// FNV-1a: not the core's own checksum.
uint64_t hash(std::span<const uint8_t> bytes) {
  uint64_t h = 0xCBF29CE484222325;
  for (const uint8_t byte : bytes) h = (h ^ byte) * 0x100000001B3;
  return h;
}

std::vector<uint8_t> file_bytes(const char* path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// A frame, its codec and its values.
struct Loaded {
  std::vector<uint8_t> bytes;
  ParsedFrame frame;
  std::unique_ptr<TileCodec> codec;
  std::vector<uint8_t> values;
  Scratch scratch;

  MutView map() { return planar_view(values.data(), frame.info.shape()); }

  Status decode() { return decode_frame(bytes, frame, codec.get(), map(), 1, scratch); }

  Status load(const char* path) {
    bytes = file_bytes(path);
    if (const Status s = parse_frame(bytes, kLimits, frame); !s.ok()) return s;
    if (const Status s = verify_checksum(bytes, frame); !s.ok()) return s;
    const FrameInfo& info = frame.info;
    const Status of_codec = make_codec(info.number, info.parameters, info.shape().c, codec);
    if (!of_codec.ok() && !frame.all_stored) return of_codec;
    values.resize(info.shape().size());
    return decode();
  }

  Status encode(const FrameInfo& info, const TileCodec& with, ByteBuffer& out) {
    return encode_frame(as_const(map()), info, with, 1, scratch, out);
  }

  Status encode_fitted(ByteBuffer& out) {
    FrameInfo info = frame.info;
    std::vector<uint8_t> parameters;
    if (const Status s = fit_context_params(as_const(map()), info.range(), 1, 1, scratch, parameters);
        !s.ok()) {
      return s;
    }
    info.number = static_cast<uint8_t>(CodecNumber::context_rans);
    info.parameters = parameters;
    std::unique_ptr<TileCodec> fitted;
    if (const Status s = make_codec(info.number, parameters, info.shape().c, fitted); !s.ok()) return s;
    return encode(info, *fitted, out);
  }
};

void print(const Status& status, std::span<const uint8_t> bytes) {
  if (status.ok()) {
    std::printf(" %016" PRIx64, hash(bytes));
  } else {
    std::printf(" [%d %s %zu]", static_cast<int>(status.code), status.what, status.offset);
  }
}

void describe(const char* path) {
  const char* name = std::strrchr(path, '/');
  std::printf("%s", name != nullptr ? name + 1 : path);
  Loaded loaded;
  const Status status = loaded.load(path);
  print(status, loaded.values);
  if (status.ok()) {
    ByteBuffer again, fitted;
    if (loaded.codec != nullptr) {
      const Status of_again = loaded.encode(loaded.frame.info, *loaded.codec, again);
      print(of_again, again.bytes());
    }
    const Status of_fitted = loaded.encode_fitted(fitted);
    print(of_fitted, fitted.bytes());
  }
  std::printf("\n");
}

int repeat(bool encode, int times, const char* path) {
  Loaded loaded;
  if (!loaded.load(path).ok() || loaded.codec == nullptr) return 1;
  for (int i = 0; i < times; ++i) {
    ByteBuffer out;
    const Status s = encode ? loaded.encode(loaded.frame.info, *loaded.codec, out) : loaded.decode();
    if (!s.ok()) return 1;
  }
  return 0;
}

}  // namespace
}  // namespace fmapzip::test

int main(int count, char** arguments) {
  using namespace fmapzip::test;
  const std::string_view what = count > 1 ? arguments[1] : "";
  if (what == "describe") {
    for (int i = 2; i < count; ++i) describe(arguments[i]);
    return 0;
  }
  if (count != 4 || (what != "encode" && what != "decode")) return 2;
  return repeat(what == "encode", std::atoi(arguments[2]), arguments[3]);
}
