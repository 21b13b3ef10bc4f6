// The kernels of dct-cm: against a DCT in double precision, against the scalar ones, and on hostile streams.
#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <numbers>

#include "check.hpp"
#include "codecs/dct_cm.hpp"
#include "simd/dct_cm_kernels.hpp"

namespace fmapzip::test {
namespace {

using CodeBlock = std::array<std::array<uint16_t, kBlock>, kMaxGroup>;

std::vector<uint8_t> parameter_bytes(unsigned length, unsigned step, bool zero_mask) {
  std::vector<uint8_t> bytes{static_cast<uint8_t>(zero_mask ? 3 : 1)};
  bytes.push_back(static_cast<uint8_t>(length == 4 ? 0 : length == 8 ? 1 : length == 16 ? 2 : 3));
  for (unsigned k = 0; k < length; ++k) {
    bytes.push_back(static_cast<uint8_t>(step));
    bytes.push_back(static_cast<uint8_t>(step >> 8));
  }
  return bytes;
}

ChannelGroup group_of(unsigned length, unsigned step) {
  DctCmParameters p;
  CHECK(parse_dct_cm(parameter_bytes(length, step, false), p).ok());
  return p.group;
}

uint16_t (*rows_of(CodeBlock& codes))
    [kBlock] { return reinterpret_cast<uint16_t (*)[kBlock]>(codes.data()); }

// Rows in allocations of their exact size.
struct Block {
  std::vector<std::vector<uint8_t>> rows;
  std::vector<uint8_t*> pointers;

  Block(unsigned channels, unsigned n, double nonzero, std::mt19937& random) {
    for (unsigned j = 0; j < channels; ++j) rows.push_back(sparse_bytes(n, nonzero, random));
    for (auto& row : rows) pointers.push_back(row.data());
  }
};

double coefficient(const Block& block, unsigned position, unsigned k, ValueRange range) {
  const double n = static_cast<double>(block.rows.size());
  double sum = 0;
  for (unsigned j = 0; j < block.rows.size(); ++j) {
    const double x = range.value(block.rows[j][position]);
    sum += x * std::cos(std::numbers::pi * (2 * j + 1) * k / (2 * n));
  }
  return sum * std::sqrt((k == 0 ? 1 : 2) / n);
}

void test_forward_transform_against_a_naive_one(std::mt19937& random) {
  constexpr unsigned kFinest = 4;
  for (const unsigned length : {4u, 8u, 16u, 32u}) {
    const ChannelGroup group = group_of(length, kFinest);
    const double step = kFinest * std::sqrt(length) / 128;
    for (const ValueRange range : {kUnsignedRange, kSignedRange, ValueRange{30}, ValueRange{200}}) {
      const Block block(length, kBlock, 0.8, random);
      for (const InstructionSet* set : supported_sets()) {
        alignas(64) CodeBlock codes;
        set->dct_cm->analyse(block.pointers.data(), kBlock, range.below, group, rows_of(codes), nullptr);
        for (unsigned k = 0; k < length; ++k) {
          for (unsigned p = 0; p < kBlock; ++p) {
            const int code = codes[k][p];
            const double got = (code % 2 != 0 ? (code + 1) / 2 : -code / 2) * step;
            CHECK(std::abs(got - coefficient(block, p, k, range)) < step / 2 + 0.3);
          }
        }
      }
    }
  }
}

void test_the_inverse_of_fine_coefficients_is_the_input(std::mt19937& random) {
  for (const unsigned length : {4u, 8u, 16u, 32u}) {
    const ChannelGroup group = group_of(length, 4);
    for (const unsigned n : {1u, 17u, 49u, 64u}) {
      const Block block(length, n, 0.7, random);
      for (const InstructionSet* set : supported_sets()) {
        alignas(64) CodeBlock codes{};
        Block back(length, n, 0, random);
        const DctCmKernels& k = *set->dct_cm;
        k.analyse(block.pointers.data(), n, 0, group, rows_of(codes), nullptr);
        k.synthesise(rows_of(codes), n, 0, group, nullptr, back.pointers.data());
        for (unsigned j = 0; j < length; ++j) {
          for (unsigned p = 0; p < n; ++p) CHECK(std::abs(back.rows[j][p] - block.rows[j][p]) <= 1);
        }
      }
    }
  }
}

void test_instruction_sets_agree_on_transforms_and_masks(std::mt19937& random) {
  for (const unsigned length : {4u, 8u, 16u, 32u}) {
    for (const unsigned step : {5u, 90u, 4096u}) {
      ChannelGroup group = group_of(length, step);
      group.channels = length - length / 4;  // a last group that is not full
      for (const unsigned n : {5u, 64u}) {
        const Block block(group.channels, n, 0.5, random);
        alignas(64) CodeBlock expected{}, codes{};
        std::array<uint64_t, kMaxGroup> expected_masks{}, masks{};
        Block expected_back(group.channels, n, 0, random);
        kDctCmScalar.analyse(block.pointers.data(), n, true, group, rows_of(expected), expected_masks.data());
        kDctCmScalar.synthesise(rows_of(expected), n, true, group, expected_masks.data(),
                                expected_back.pointers.data());
        for (const InstructionSet* set : supported_sets()) {
          Block back(group.channels, n, 0, random);
          const DctCmKernels& k = *set->dct_cm;
          k.analyse(block.pointers.data(), n, true, group, rows_of(codes), masks.data());
          CHECK(masks == expected_masks);
          for (unsigned f = 0; f < length; ++f)
            CHECK(std::equal(&codes[f][0], &codes[f][n], &expected[f][0]));
          k.synthesise(rows_of(codes), n, true, group, masks.data(), back.pointers.data());
          CHECK(back.rows == expected_back.rows);
        }
      }
    }
  }
}

// Sums of such coefficients wrap.
void test_instruction_sets_agree_on_coefficients_that_no_encoder_writes(std::mt19937& random) {
  constexpr unsigned kMostCode = 16383 + 48;
  for (const unsigned length : {4u, 8u, 16u, 32u}) {
    for (const unsigned step : {4u, 200u, 4096u}) {
      const ChannelGroup group = group_of(length, step);
      alignas(64) CodeBlock codes;
      for (auto& row : codes) {
        for (auto& code : row) code = static_cast<uint16_t>(random() % (kMostCode + 1));
      }
      for (const ValueRange range : {kUnsignedRange, kSignedRange, ValueRange{30}}) {
        Block expected(length, kBlock, 0, random), got(length, kBlock, 0, random);
        kDctCmScalar.synthesise(rows_of(codes), kBlock, range.below, group, nullptr,
                                expected.pointers.data());
        for (const InstructionSet* set : supported_sets()) {
          set->dct_cm->synthesise(rows_of(codes), kBlock, range.below, group, nullptr, got.pointers.data());
          CHECK(got.rows == expected.rows);
        }
      }
    }
  }
}

void test_instruction_sets_agree_on_values_and_what_is_wrong_with_them(std::mt19937& random) {
  constexpr unsigned kLimit = 200;
  std::vector<uint8_t> table(256);
  for (unsigned i = 0; i < 256; ++i) table[i] = static_cast<uint8_t>(i * 7);
  for (int round = 0; round < 4000; ++round) {
    const unsigned n = round % 3 == 0 ? 1 + random() % kBlock : kBlock;
    std::vector<uint8_t> stream = sparse_bytes(200, (round % 10) / 9.0, random);
    stream[0] = static_cast<uint8_t>(random() % 16 * 16 + random() % (kMaxCodeBits + 1));
    stream.resize(stream.size() + kBlockPadding);
    const uint8_t* of = round % 2 == 0 ? table.data() : nullptr;
    StreamReader expected_reader{stream.data()};
    std::vector<uint8_t> expected(n), got(n);
    const bool valid = kDctCmScalar.read_values(expected_reader, n, of, kLimit, expected.data());
    for (const InstructionSet* set : supported_sets()) {
      StreamReader reader{stream.data()};
      CHECK(set->dct_cm->read_values(reader, n, of, kLimit, got.data()) == valid);
      CHECK(reader.bit == expected_reader.bit);
      if (valid) CHECK(got == expected);
      std::vector<uint8_t> written(2000), written_by_scalar(2000);
      StreamWriter writer{written.data()}, scalar{written_by_scalar.data()};
      set->dct_cm->write_values(stream.data(), 1, n, of, writer);
      kDctCmScalar.write_values(stream.data(), 1, n, of, scalar);
      CHECK(writer.out - written.data() == scalar.out - written_by_scalar.data());
      CHECK(writer.fill == scalar.fill && writer.partial == scalar.partial);
      CHECK(std::equal(written.data(), writer.out, written_by_scalar.data()));
    }
  }
}

void test_reciprocals_divide_exactly() {
  constexpr uint32_t kLargest = 32640;
  for (unsigned step = 4; step <= 4096; ++step) {
    const FrequencyStep f = group_of(4, step).steps[0];
    // The quotient can only be wrong next to a multiple of the step.
    for (uint32_t n = 0; n <= kLargest + step / 2; n += step) {
      for (const uint32_t near : {n, n + step - 1}) {
        if (near <= kLargest + step / 2) CHECK((near * f.reciprocal) >> f.shift == near / step);
      }
    }
    CHECK(uint64_t{kLargest + step / 2} * f.reciprocal <= UINT32_MAX);
  }
}

void test_blocks_round_trip_and_agree(std::mt19937& random) {
  for (const unsigned n : {1u, 7u, 49u, 63u, 64u}) {
    for (const unsigned most : {0u, 1u, 2u, 6u, 20u, 120u, 255u, 3000u, 16383u}) {
      for (const double nonzero : {0.05, 0.5, 1.0}) {
        CodeBlock codes{};
        std::bernoulli_distribution keep(nonzero);
        for (auto& row : codes) {
          for (unsigned p = 0; p < n; ++p)
            row[p] = static_cast<uint16_t>(keep(random) ? random() % (most + 1) : 0);
        }
        std::vector<uint8_t> expected(9000);
        StreamWriter first{expected.data()};
        kDctCmScalar.write_blocks(rows_of(codes), kMaxGroup, n, first);
        const size_t bits = static_cast<size_t>(first.out - expected.data()) * 8 + first.fill;
        for (const InstructionSet* set : supported_sets()) {
          const DctCmKernels& k = *set->dct_cm;
          std::vector<uint8_t> stream(9000);
          StreamWriter writer{stream.data()};
          k.write_blocks(rows_of(codes), kMaxGroup, n, writer);
          CHECK(static_cast<size_t>(writer.out - stream.data()) * 8 + writer.fill == bits);
          if (writer.fill > 0) *writer.out = static_cast<uint8_t>(writer.partial);
          CHECK(std::equal(stream.begin(), stream.begin() + static_cast<ptrdiff_t>(bits / 8),
                           expected.begin()));
          std::fill(stream.begin() + static_cast<ptrdiff_t>((bits + 7) / 8), stream.end(), uint8_t{0});
          StreamReader reader{stream.data()};
          for (const auto& row : codes) {
            alignas(64) std::array<uint16_t, kBlock> back;
            CHECK(k.read_block(reader, n, back.data()));
            CHECK(std::equal(row.begin(), row.begin() + n, back.begin()));
          }
          CHECK(reader.bit == bits);
        }
      }
    }
  }
}

// Streams of random bytes: a typed error or a tile, never a read beyond the body.
void test_hostile_bodies_are_contained(std::mt19937& random) {
  const Shape shape{20, 9, 11};
  for (const bool transform : {false, true}) {
    auto bytes = transform ? parameter_bytes(8, 40, true) : std::vector<uint8_t>{0};
    if (transform) {
      bytes[1] |= 1 << 2;  // the last four channels have a transform of their own
      bytes.insert(bytes.end(), bytes.begin() + 2, bytes.begin() + 10);
    }
    std::unique_ptr<TileCodec> codec;
    CHECK(DctCmCodec::make(bytes, 0, codec).ok());
    CHECK(codec->check(shape, kUnsignedRange).ok());
    Scratch scratch;
    for (int round = 0; round < 3000; ++round) {
      const auto body = sparse_bytes(1 + random() % 1500, (round % 10) / 9.0, random);
      std::vector<uint8_t> map(shape.size());
      const Status s = codec->decode_tile(body, planar_view(map.data(), shape), kUnsignedRange, scratch);
      CHECK(s.ok() || s.code == Code::corrupt || s.code == Code::truncated);
    }
  }
}

}  // namespace
}  // namespace fmapzip::test

int main() {
  using namespace fmapzip::test;
  std::mt19937 random(1);
  test_forward_transform_against_a_naive_one(random);
  test_the_inverse_of_fine_coefficients_is_the_input(random);
  test_instruction_sets_agree_on_transforms_and_masks(random);
  test_instruction_sets_agree_on_coefficients_that_no_encoder_writes(random);
  test_instruction_sets_agree_on_values_and_what_is_wrong_with_them(random);
  test_reciprocals_divide_exactly();
  test_blocks_round_trip_and_agree(random);
  test_hostile_bodies_are_contained(random);
  return 0;
}
