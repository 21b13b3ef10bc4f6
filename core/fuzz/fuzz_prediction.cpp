// Tables by which channels predict channels, and reference maps, of any numbers: they are refused, or every
// instruction set predicts the same by them and a tile that was encoded decodes again.
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

constexpr uint8_t kSigned = 2, kRefers = 4, kPredicted = 8, kHead = 128;

struct Kind {
  bool is_signed, headed, refers;  // it refers to other maps only with a head

  uint8_t flags() const {
    return static_cast<uint8_t>(kPredicted | (is_signed ? kSigned : 0) | (headed ? kHead : 0) |
                                (refers ? kRefers : 0));
  }
};

// The fields of reference maps, of few channels; returns the inputs of an estimate.
uint32_t refer(Numbers& numbers, uint32_t channels, std::vector<uint8_t>& p) {
  constexpr uint8_t kSameChannel = 1, kWide = 2;
  const uint8_t maps = 1 + numbers.byte() % kMaxReferences;
  uint32_t inputs = 0;
  p.push_back(maps);
  for (int i = 0; i < maps; ++i) {
    const uint8_t kind = numbers.byte() % 16, outside = numbers.byte();
    const uint32_t of = kind & kSameChannel ? channels : 1u + numbers.byte() % 8;
    p.insert(p.end(), {kind, outside, static_cast<uint8_t>(of)});
    inputs += (kind & kWide ? 9 : 1) * (kind & kSameChannel ? 1 : of);
  }
  return inputs;
}

// Parameters with one table, of runs of 16 values, and without a head one cell.
std::vector<uint8_t> parameters_of(Numbers& numbers, Kind kind, uint32_t channels) {
  constexpr unsigned kOfBytes = 6, kOfWords = 13;
  const bool headed = kind.headed;
  const uint8_t width = static_cast<uint8_t>(1 + numbers.byte() % 8), rank = numbers.byte() % 5;
  std::vector<uint8_t> p{kind.flags(), 0, static_cast<uint8_t>(channels), width, rank};
  for (int i = 0; i < 2; ++i) p.push_back(numbers.byte() % 25);
  for (int i = 0; i < 2; ++i) p.push_back(numbers.byte());
  for (int i = 0; i < 6; ++i) p.push_back(static_cast<uint8_t>(numbers.signed_byte() / 2));
  for (int i = 0; i < (headed ? 2 : 5 + 14); ++i) p.push_back(numbers.byte());
  for (int i = 0; i < 4 && headed; ++i) p.push_back(numbers.byte() % 25);
  if (!headed) p.insert(p.end(), {1, 1});
  const uint32_t referred = kind.refers ? refer(numbers, channels, p) : 0;
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
  const uint32_t inputs = kind.refers ? kGivenInputs : kHeadInputs;
  array(kHeadTraits * channels, kOfBytes, [&] { return numbers.byte() % 128; });
  array(kHeadUnits * inputs, kOfBytes, signed_byte);
  array(kHeadUnits, kOfWords, word);
  array(kHeadOutputs * kHeadUnits, kOfBytes, signed_byte);
  array(kHeadOutputs * inputs, kOfBytes, signed_byte);
  array(kHeadOutputs, kOfWords, word);
  array(kHeadCells, 0, [] { return 0; });
  if (!kind.refers) return p;
  array(channels * referred, kOfBytes, signed_byte);
  array(channels, 4, [&] { return numbers.byte() % (kMaxReferenceShift + 1); });
  array(channels, kOfWords, word);
  array(channels, kOfBytes, [&] { return numbers.signed_byte() / 16; });
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

// Gives a codec maps of any numbers for those that its parameters refer to.
void give_references(const References& references, Shape tile, Numbers& numbers,
                     std::unique_ptr<TileCodec>& codec) {
  std::vector<std::vector<uint8_t>> bytes;
  std::vector<ReferenceMap> maps;
  for (const Reference& of : references.maps) {
    const Shape whole{of.channels, tile.h * of.stride, tile.w * of.stride};
    auto& values = bytes.emplace_back(whole.size());
    for (uint8_t& value : values) value = numbers.byte();
    maps.push_back({planar_view<const uint8_t>(values.data(), whole), of.is_signed ? Dtype::i8 : Dtype::u8});
  }
  std::unique_ptr<TileCodec> given;
  if (!codec->given(maps, given).ok()) std::abort();
  codec = std::move(given);
}

void a_tile_comes_back(std::span<const uint8_t> parameters, const References& references, Shape tile,
                       ValueRange range, Numbers& numbers) {
  std::unique_ptr<TileCodec> codec;
  if (!ContextRansCodec::make(parameters, tile.c, codec).ok()) std::abort();
  if (!references.maps.empty()) {
    if (codec->ready(tile).ok()) std::abort();
    give_references(references, tile, numbers, codec);
  }
  if (!codec->ready(tile).ok()) std::abort();
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
  const bool is_signed = data[3] % 2 != 0, headed = data[3] % 8 > 3;
  test::Numbers numbers{{data, size}, data[3] % 4 > 1, 4};
  const test::Kind kind{is_signed, headed, headed && data[3] % 16 > 7};
  const std::vector<uint8_t> parameters = test::parameters_of(numbers, kind, tile.c);
  ContextModel model;
  if (!model.build(parameters, tile.c).ok()) return 0;
  test::every_set_predicts_the_same(model, numbers);
  const ValueRange range = is_signed ? kSignedRange : kUnsignedRange;
  test::a_tile_comes_back(parameters, model.params().references, tile, range, numbers);
  return 0;
}
