// Storing floats: what comes out is what the frame decodes to, and the figures are those of the values.
#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "check.hpp"
#include "entropy/context_fit.hpp"
#include "float_store.hpp"

namespace fmapzip::test {
namespace {

constexpr Shape kShape{6, 9, 11};
constexpr IntegerGrid kSigned{Dtype::i8, -127, 127, 0};
constexpr IntegerGrid kUnsigned{Dtype::u8, 0, 255, 0};
constexpr IntegerGrid kAroundTen{Dtype::u8, 0, 255, 10};

ValueRange range_of(const IntegerGrid& grid) {
  FrameInfo info;
  info.dtype = grid.dtype;
  info.zero_point = static_cast<int16_t>(grid.zero_point);
  return info.range();
}

std::unique_ptr<TileCodec> made(CodecNumber number, std::span<const uint8_t> parameters) {
  std::unique_ptr<TileCodec> codec;
  CHECK(make_codec(static_cast<uint8_t>(number), parameters, kShape.c, codec).ok());
  return codec;
}

// Tables fitted to some map: which one does not matter for what is tested.
std::unique_ptr<TileCodec> context_rans(const IntegerGrid& grid, uint32_t step) {
  const std::vector<uint8_t> values(kShape.size(), 1);
  Scratch scratch;
  std::vector<uint8_t> parameters;
  CHECK(fit_context_params(planar_view(values.data(), kShape), range_of(grid), step, 1, scratch, parameters)
            .ok());
  return made(CodecNumber::context_rans, parameters);
}

std::vector<float> floats(const IntegerGrid& grid, std::mt19937& random) {
  std::normal_distribution<float> normal(0, 20);
  std::vector<float> found(kShape.size());
  for (float& x : found) x = std::max(normal(random), static_cast<float>(grid.low - grid.zero_point));
  return found;
}

// A sample of one scale a channel, [C][H][W] or [H][W][C].
struct Sample {
  FloatMaps maps;
  StoreSettings settings;

  Sample(const std::vector<float>& x, const std::vector<float>& scales, const IntegerGrid& grid,
         CodecNumber number, const TileCodec& codec, bool channels_last) {
    const size_t plane = size_t{kShape.h} * kShape.w;
    maps = {x.data(), channels_last ? plane : 1, kShape.c, channels_last ? 1 : plane};
    settings.info.number = static_cast<uint8_t>(number);
    settings.info.dtype = grid.dtype;
    settings.info.zero_point = static_cast<int16_t>(grid.zero_point);
    settings.info.dims = {kShape.c, kShape.h, kShape.w};
    settings.info.has_plan = true;
    settings.codec = &codec;
    settings.scales = scales;
    settings.grid = grid;
    settings.layout = planar_view(x.data(), kShape);
    if (channels_last) {
      settings.layout.sc = 1;
      settings.layout.sw = kShape.c;
      settings.layout.sh = ptrdiff_t{kShape.c} * kShape.w;
    }
  }
};

void check_stored(CodecNumber number, const TileCodec& codec, const IntegerGrid& grid, bool channels_last,
                  int step, std::mt19937& random) {
  const std::vector<float> x = floats(grid, random), scales{0.5f, 0.25f, 1.0f, 0.75f, 2.0f, 0.3f};
  const Sample sample(x, scales, grid, number, codec, channels_last);
  std::vector<float> out(x.size(), -1);
  FloatStore store;
  const StoredMap stored = store.store(sample.settings, sample.maps, out.data());
  CHECK(stored.finite);
  CHECK(stored.status.ok());

  ParsedFrame frame;
  CHECK(parse_frame(store.frame(), Limits{}, frame).ok());
  CHECK(frame.info.has_plan);
  CHECK(stored.frame_bytes == store.frame().size());
  CHECK(stored.payload_bytes == frame.payload_bytes);
  std::vector<uint8_t> decoded(x.size());
  Scratch scratch;
  CHECK(decode_frame(store.frame(), frame, &codec, planar_view(decoded.data(), kShape), 1, scratch).ok());

  double signal = 0, noise = 0;
  size_t nonzeros = 0;
  const size_t plane = size_t{kShape.h} * kShape.w;
  for (size_t c = 0; c < kShape.c; ++c) {
    for (size_t i = 0; i < plane; ++i) {
      const size_t place = channels_last ? i * kShape.c + c : c * plane + i;
      const float quantized = std::min(
          std::max(std::nearbyint(x[place] / scales[c]), static_cast<float>(grid.low - grid.zero_point)),
          static_cast<float>(grid.high - grid.zero_point));
      const uint8_t byte = decoded[c * plane + i];
      const int integer = grid.dtype == Dtype::i8 ? static_cast<int8_t>(byte) : byte;
      CHECK(std::abs(static_cast<float>(integer - grid.zero_point) - quantized) <=
            static_cast<float>(step) / 2);
      CHECK(out[place] == static_cast<float>(integer - grid.zero_point) * scales[c]);
      signal += double{x[place]} * double{x[place]};
      noise += std::pow(double{out[place]} - double{x[place]}, 2);
      nonzeros += static_cast<size_t>(quantized != 0);
    }
  }
  CHECK(stored.nonzeros == nonzeros);
  CHECK(std::abs(stored.energy.signal - signal) <= 1e-5 * signal);
  CHECK(std::abs(stored.energy.noise - noise) <= 1e-4 * noise);
}

void check_kept(CodecNumber number, const TileCodec& codec, const IntegerGrid& grid, bool channels_last,
                std::mt19937& random) {
  const std::vector<float> x = floats(grid, random), scales{0.5f, 0.25f, 1.0f, 0.75f, 2.0f, 0.3f};
  const Sample sample(x, scales, grid, number, codec, channels_last);
  std::vector<float> stored_out(x.size(), -1), kept_out(x.size(), -2);
  FloatStore store, keep;
  const StoredMap stored = store.store(sample.settings, sample.maps, stored_out.data());
  const StoredMap kept = keep.keep(sample.settings, sample.maps, kept_out.data());
  CHECK(kept.finite && kept.status.ok());
  CHECK(kept_out == stored_out);
  CHECK(std::ranges::equal(keep.frame(), store.frame()));
  CHECK(kept.frame_bytes == stored.frame_bytes && kept.payload_bytes == stored.payload_bytes);
  CHECK(kept.nonzeros == stored.nonzeros);
  CHECK(kept.energy.signal == stored.energy.signal && kept.energy.noise == stored.energy.noise);
}

void test_what_a_lossless_codec_reads_back_is_known_without_decoding(std::mt19937& random) {
  const auto raw = made(CodecNumber::raw, {}), zvc = made(CodecNumber::zvc, {});
  for (const bool channels_last : {false, true}) {
    for (const IntegerGrid& grid : {kSigned, kUnsigned, kAroundTen}) {
      check_kept(CodecNumber::raw, *raw, grid, channels_last, random);
      check_kept(CodecNumber::zvc, *zvc, grid, channels_last, random);
      check_kept(CodecNumber::context_rans, *context_rans(grid, 1), grid, channels_last, random);
    }
  }
}

void test_what_is_read_back_is_what_the_frame_holds(std::mt19937& random) {
  const auto raw = made(CodecNumber::raw, {}), zvc = made(CodecNumber::zvc, {});
  for (const bool channels_last : {false, true}) {
    for (const IntegerGrid& grid : {kSigned, kUnsigned, kAroundTen}) {
      check_stored(CodecNumber::raw, *raw, grid, channels_last, 1, random);
      check_stored(CodecNumber::zvc, *zvc, grid, channels_last, 1, random);
      for (const uint32_t step : {1, 3}) {
        const auto codec = context_rans(grid, step);
        check_stored(CodecNumber::context_rans, *codec, grid, channels_last, static_cast<int>(step), random);
      }
    }
  }
}

void test_nothing_of_a_sample_stays_for_the_next(std::mt19937& random) {
  const auto zvc = made(CodecNumber::zvc, {});
  const std::vector<float> scale{1.0f}, dense = floats(kUnsigned, random), empty(kShape.size(), 0.0f);
  std::vector<float> out(kShape.size());
  const Sample full(dense, scale, kUnsigned, CodecNumber::zvc, *zvc, false);
  const Sample zeros(empty, scale, kUnsigned, CodecNumber::zvc, *zvc, false);
  FloatStore used, fresh;
  CHECK(used.store(full.settings, full.maps, out.data()).status.ok());
  const StoredMap after = used.store(zeros.settings, zeros.maps, out.data());
  const StoredMap alone = fresh.store(zeros.settings, zeros.maps, out.data());
  CHECK(out == empty);
  CHECK(after.nonzeros == 0);
  CHECK(after.energy.signal == 0 && after.energy.noise == 0);
  CHECK(after.frame_bytes == alone.frame_bytes);
  CHECK(std::ranges::equal(used.frame(), fresh.frame()));
}

void test_what_is_not_finite_is_not_stored(std::mt19937& random) {
  const auto raw = made(CodecNumber::raw, {});
  const std::vector<float> scale{1.0f};
  for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    std::vector<float> x = floats(kSigned, random);
    x.back() = bad;
    const Sample sample(x, scale, kSigned, CodecNumber::raw, *raw, false);
    std::vector<float> out(x.size(), -1);
    CHECK(!FloatStore().store(sample.settings, sample.maps, out.data()).finite);
    CHECK(!FloatStore().keep(sample.settings, sample.maps, out.data()).finite);
    CHECK(out == std::vector<float>(x.size(), -1));
  }
}

void test_a_codec_for_other_maps_says_so(std::mt19937& random) {
  const auto codec = context_rans(kUnsigned, 1);
  const std::vector<float> x = floats(kSigned, random), scale{1.0f};
  const Sample sample(x, scale, kSigned, CodecNumber::context_rans, *codec, false);
  std::vector<float> out(x.size(), -1);
  const StoredMap stored = FloatStore().store(sample.settings, sample.maps, out.data());
  CHECK(stored.finite && !stored.status.ok());
  CHECK(out == std::vector<float>(x.size(), -1));
}

}  // namespace
}  // namespace fmapzip::test

int main() {
  using namespace fmapzip::test;
  std::mt19937 random(5);
  test_what_is_read_back_is_what_the_frame_holds(random);
  test_what_a_lossless_codec_reads_back_is_known_without_decoding(random);
  test_nothing_of_a_sample_stays_for_the_next(random);
  test_what_is_not_finite_is_not_stored(random);
  test_a_codec_for_other_maps_says_so(random);
  return 0;
}
