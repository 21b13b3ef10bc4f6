// What is fitted to a map is valid for it, whatever its shape and values, and nothing is touched out of
// bounds.
#include "check.hpp"
#include "entropy/context_fit.hpp"
#include "fmapzip/codec.hpp"

namespace fmapzip::test {
namespace {

using Fit = decltype(&fit_context_params);

void check_fit(Fit fit, Shape shape, ValueRange range, double nonzero, uint32_t numerator,
               uint32_t denominator, std::mt19937& random) {
  const std::vector<uint8_t> values = sparse_bytes(shape.size(), nonzero, random);
  const ConstView map = planar_view(values.data(), shape);
  Scratch scratch;
  std::vector<uint8_t> parameters;
  CHECK(fit(map, range, numerator, denominator, scratch, parameters).ok());
  std::unique_ptr<TileCodec> codec;
  CHECK(make_codec(static_cast<uint8_t>(CodecNumber::context_rans), parameters, shape.c, codec).ok());
  std::vector<uint8_t> body(codec->tile_bound(shape));
  const size_t length = codec->encode_tile(map, range, body.data(), scratch);
  if (length >= shape.size()) return;
  std::vector<uint8_t> decoded(shape.size());
  CHECK(codec->decode_tile({body.data(), length}, planar_view(decoded.data(), shape), range, scratch).ok());
  CHECK(numerator != denominator || decoded == values);
}

void run() {
  std::mt19937 random(1);
  constexpr Shape kShapes[] = {{1, 1, 1},    {3, 1, 1},    {5000, 1, 1},   {1, 1, 4000},   {2, 300, 500},
                               {64, 32, 32}, {700, 9, 60}, {3, 1, 100000}, {300000, 1, 1}, {16, 1, 20000}};
  for (const Shape shape : kShapes) {
    for (const ValueRange range :
         {kUnsignedRange, kSignedRange, ValueRange{7}, ValueRange{110}, ValueRange{255}}) {
      for (const Fit fit : {fit_context_params, fit_channel_params}) {
        for (const double nonzero : {0.0, 0.02, 0.5, 1.0})
          check_fit(fit, shape, range, nonzero, 1, 1, random);
        check_fit(fit, shape, range, 0.5, 5, 2, random);
        check_fit(fit, shape, range, 0.5, 200, 1, random);
      }
    }
  }
}

}  // namespace
}  // namespace fmapzip::test

int main() { fmapzip::test::run(); }
