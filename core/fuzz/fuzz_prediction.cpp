// Tables by which channels predict channels, of any numbers: they are refused, or every instruction set
// predicts the same by them and a tile that was encoded decodes again.
#include <algorithm>
#include <cstdlib>
#include <vector>

#include "codecs/context_rans.hpp"
#include "entropy/context_coder.hpp"
#include "entropy/context_model.hpp"
#include "predictions.hpp"

namespace fmapzip::test {
namespace {

// The bytes of an input, over and over; of signed numbers, only their signs if they are to be `large`.
struct Numbers {
  std::span<const uint8_t> data;
  bool large;
  size_t at = 0;

  uint8_t byte() { return data[at++ % data.size()]; }
  int32_t signed_byte() { return number(static_cast<int8_t>(byte()), 127); }
  int32_t word() {
    const uint8_t low = byte();
    return number(static_cast<int16_t>(low | byte() << 8), 32767);
  }
  int32_t number(int32_t x, int32_t most) const { return !large ? x : x < 0 ? -most : most; }
};

constexpr uint8_t kSigned = 2, kPredicted = 8, kHead = 128;

// Parameters with one table, of runs of 16 values, and without a head one cell.
std::vector<uint8_t> parameters_of(Numbers& numbers, bool is_signed, bool headed, uint32_t channels) {
  constexpr unsigned kOfBytes = 6, kOfWords = 13;
  const uint8_t width = static_cast<uint8_t>(1 + numbers.byte() % 8), rank = numbers.byte() % 5;
  std::vector<uint8_t> p{static_cast<uint8_t>(kPredicted | (is_signed ? kSigned : 0) | (headed ? kHead : 0)),
                         0, static_cast<uint8_t>(channels), width, rank};
  for (int i = 0; i < 2; ++i) p.push_back(numbers.byte() % 25);
  for (int i = 0; i < 2; ++i) p.push_back(numbers.byte());
  for (int i = 0; i < 6; ++i) p.push_back(static_cast<uint8_t>(numbers.signed_byte() / 2));
  for (int i = 0; i < (headed ? 2 : 5 + 14); ++i) p.push_back(numbers.byte());
  for (int i = 0; i < 4 && headed; ++i) p.push_back(numbers.byte() % 25);
  if (!headed) p.insert(p.end(), {1, 1});
  Bits bits{p};
  for (const int32_t number : {4, 32}) {
    bits.put(4, 4);
    for (uint32_t t = 0; t < kTokens; ++t) bits.rice(number, 4);
  }
  for (const int32_t cell : {0, 32}) {
    if (headed) break;
    bits.put(4, 4);
    bits.rice(cell, 4);
  }
  bits.put(kOfBytes, 4);
  for (uint32_t i = 0; i < 7 * channels; ++i) bits.rice(numbers.signed_byte() / 2, kOfBytes);
  for (int array = 0; array < 5; ++array) {
    bits.put(kOfWords, 4);
    for (uint32_t c = 0; c < channels; ++c) bits.rice(numbers.word(), kOfWords);
  }
  for (int array = 0; array < (headed ? 4 : 2); ++array) {
    bits.put(kOfBytes, 4);
    for (uint32_t i = 0; i < 16 * rank * channels; ++i) bits.rice(numbers.signed_byte(), kOfBytes);
  }
  if (!headed) return p;
  const auto array = [&](uint32_t count, unsigned k, auto number) {
    bits.put(k, 4);
    for (uint32_t i = 0; i < count; ++i) bits.rice(number(), k);
  };
  const auto signed_byte = [&] { return numbers.signed_byte(); };
  const auto word = [&] { return numbers.word(); };
  array(kHeadTraits * channels, kOfBytes, [&] { return numbers.byte() % 128; });
  array(kHeadUnits * kHeadInputs, kOfBytes, signed_byte);
  array(kHeadUnits, kOfWords, word);
  array(kHeadOutputs * kHeadUnits, kOfBytes, signed_byte);
  array(kHeadOutputs * kHeadInputs, kOfBytes, signed_byte);
  array(kHeadOutputs, kOfWords, word);
  array(kHeadCells, 0, [] { return 0; });
  return p;
}

void every_set_predicts_the_same(const ContextModel& model, Numbers& numbers) {
  const ContextTables& tables = model.tables();
  std::vector<uint8_t> bytes(14 * (tables.prediction->channels + size_t{kVectorPad}));
  for (uint8_t& byte : bytes) byte = numbers.byte();
  const auto predict = tables.prediction->head != nullptr ? heads_with : predictions_with;
  const auto expected = predict(*supported_sets().front(), tables, bytes);
  for (const InstructionSet* set : supported_sets()) {
    if (predict(*set, tables, bytes) != expected) std::abort();
  }
}

void a_tile_comes_back(std::span<const uint8_t> parameters, Shape tile, ValueRange range, Numbers& numbers) {
  std::unique_ptr<TileCodec> codec;
  if (!ContextRansCodec::make(parameters, tile.c, codec).ok()) std::abort();
  std::vector<uint8_t> values(tile.size()), out(codec->tile_bound(tile)), back(tile.size());
  // Mostly zeros: a tile that would not become shorter is given up.
  for (uint8_t& value : values) value = static_cast<uint8_t>(std::max(numbers.byte() - 200, 0));
  Scratch scratch;
  const size_t length =
      codec->encode_tile(planar_view<const uint8_t>(values.data(), tile), range, out.data(), scratch);
  if (length >= tile.size()) return;
  if (!codec->decode_tile({out.data(), length}, planar_view(back.data(), tile), range, scratch).ok() ||
      back != values) {
    std::abort();
  }
}

}  // namespace
}  // namespace fmapzip::test

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fmapzip;
  if (size < 4) return 0;
  const Shape tile{1u + data[0] % 50, 1u + data[1] % 12, 1u + data[2] % 12};
  const bool is_signed = data[3] % 2 != 0;
  test::Numbers numbers{{data, size}, data[3] % 4 > 1, 4};
  const std::vector<uint8_t> parameters = test::parameters_of(numbers, is_signed, data[3] % 8 > 3, tile.c);
  ContextModel model;
  if (!model.build(parameters, tile.c).ok()) return 0;
  test::every_set_predicts_the_same(model, numbers);
  test::a_tile_comes_back(parameters, tile, is_signed ? kSignedRange : kUnsignedRange, numbers);
  return 0;
}
