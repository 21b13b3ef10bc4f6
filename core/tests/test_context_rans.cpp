// The context coder on every instruction set: the same bytes as the portable kernels, and nothing read or
// written out of bounds on hostile parameters and bodies.
#include "check.hpp"
#include "codecs/context_rans.hpp"
#include "entropy/context_coder.hpp"
#include "entropy/context_kernels.hpp"
#include "entropy/context_rows.hpp"
#include "predictions.hpp"

namespace fmapzip::test {
namespace {

enum Flag : uint8_t { kNeighbours = 1, kSigned = 2, kOffsets = 4, kPredicted = 8, kMore = 128 };

// Runs of 2, 1, 2, 2, 4, 4, ..., 16, 16 bytes, then six of 32.
constexpr unsigned raw_bits_of(unsigned token) { return token == 0 ? 1 : token < 10 ? token / 2 : 5; }

// Valid parameters with arbitrary contents: tables that differ in their first frequencies, and contexts that
// differ from cell to cell.
std::vector<uint8_t> some_parameters(uint8_t flags, uint8_t channels, uint8_t rank, std::mt19937& random) {
  constexpr unsigned kTables = 5, kRows = 6, kColumns = 4;
  std::vector<uint8_t> p;
  p.reserve(64);
  p.insert(p.end(), {flags, kTables - 1});
  if (!(flags & kNeighbours) || (flags & kOffsets)) p.push_back(channels);
  if (flags & kNeighbours) {
    for (const int weight : {35, 30, -12, 10, 40, 30, 20, 20}) p.push_back(static_cast<uint8_t>(weight));
    p.insert(p.end(), {0, 12});
  }
  const bool head = (flags & kMore) && (flags & kPredicted);
  const bool references = head && (flags & kOffsets);
  const size_t inputs = references ? kGivenInputs : kHeadInputs;
  if (head) {
    p.insert(p.end(), {3, rank, 2, 3, 48, 60, 20, 19, 15, 12, 10, 9, 40, 1, 6, 4, 3, 2});
    if (references)
      p.insert(p.end(), {2, 1, 0, channels, 2, 7, 3});  // the same channel, and 3x3 of 3 channels
  } else if (flags & kPredicted) {
    // Spans of 12 channels; numbers of 16 bits that take steps and classes to both of their ends.
    p.insert(p.end(), {3, rank, 2, 3, 48, 60, 20, 19, 15, 12, 10, 9, 5, 251, 4, 1, 2});
    for (int i = 0; i < 14; ++i) p.push_back(static_cast<uint8_t>(i % 2 == 0 ? random() : random() % 2));
  }
  const bool grid = flags & (kNeighbours | kPredicted) && !head;
  if (grid) {
    p.insert(p.end(), {kRows, kColumns, 12, 15, 19, 23, 30, 3, 5, 10});
  }
  Bits bits{p};
  bits.put(1, 4);
  for (unsigned i = 0; i < kTables * kTokens; ++i) {
    bits.rice(i < kTokens ? static_cast<int>(raw_bits_of(i)) : 0, 1);
  }
  bits.put(4, 4);
  for (unsigned i = 0; i < kTables * kTokens; ++i) {
    bits.rice(i < kTokens ? 12 + 3 * static_cast<int>(i) : i % kTokens < i / kTokens ? 6 : 0, 4);
  }
  if (grid) {
    for (const int limit : {5, 60}) {
      bits.put(4, 4);
      std::vector<int> cells;
      for (unsigned i = 0; i < kRows * kColumns; ++i) {
        cells.push_back(static_cast<int>(random() % static_cast<unsigned>(limit)));
        const int before = i % kColumns != 0 ? cells[i - 1] : i != 0 ? cells[i - kColumns] : 0;
        bits.rice(cells.back() - before, 4);
      }
    }
  } else if (!head) {
    for (unsigned c = 0; c < channels; ++c) {
      bits.put(random() % kTables, 6);
      bits.put(random() % 64, 6);
    }
  }
  const auto some = [&](size_t count, unsigned k, int most) {
    bits.put(k, 4);
    for (size_t i = 0; i < count; ++i) bits.rice(static_cast<int>(random() % (2 * most + 1)) - most, k);
  };
  if ((flags & kOffsets) && !head) some(channels, 4, 20);
  if ((flags & kMore) && (flags & kOffsets) && !head) {
    some(size_t{channels} * 4, 3, 25);
    some(channels, 6, 300);
    some(channels, 5, 63);
  }
  if (flags & kPredicted) {
    some(size_t{channels} * 7, 4, 40);
    for (const int most : {100, 50, 400, 400, 200}) some(channels, 6, most);
    for (int i = 0; i < 2; ++i) some(size_t{channels} * 16 * rank, 2, 9);
  }
  if (head) {
    for (int i = 0; i < 2; ++i) some(size_t{channels} * 16 * rank, 2, 9);
    bits.put(7, 4);
    for (unsigned i = 0; i < kHeadTraits * channels; ++i) bits.rice(static_cast<int>(random() % 128), 7);
    some(kHeadUnits * inputs, 5, 60);
    some(kHeadUnits, 6, 300);
    some(size_t{kHeadOutputs} * kHeadUnits, 6, 127);
    some(kHeadOutputs * inputs, 6, 127);
    some(kHeadOutputs, 6, 200);
    bits.put(4, 4);
    int before = 0, first_of_row = 0;
    for (unsigned i = 0; i < kHeadCells; ++i) {
      const int table = static_cast<int>(random() % kTables);
      bits.rice(table - (i == 0 || i % kHeadSpreadSteps != 0 ? before : first_of_row), 4);
      before = table;
      if (i % kHeadSpreadSteps == 0) first_of_row = table;
    }
    if (references) {
      some(28 * size_t{channels}, 5, 90);
      bits.put(3, 4);
      for (unsigned c = 0; c < channels; ++c) bits.rice(static_cast<int>(random() % 9), 3);
      some(channels, 7, 900);
      some(channels, 5, 90);
    }
  }
  return p;
}

// Encodes `indices` with given kernels, as context_coder does.
std::vector<uint8_t> encode_with(const ContextKernels& kernels, const ContextModel& model,
                                 const std::vector<uint8_t>& indices, Shape tile, uint32_t lanes) {
  const ContextTables& t = model.tables();
  const size_t row_bytes = size_t{tile.c} * tile.w;
  Scratch scratch;
  const ContextRows rows(t, tile, row_bytes, 0, scratch);
  std::vector<uint8_t> out(4 * indices.size() + 4 * kMaxLanes + 256);
  WordWriter words;
  words.at = out.data() + out.size();
  for (uint32_t& state : words.state) state = kStateFloor;
  kernels.look_up(t.companded, indices.data() + (tile.h - 1) * row_bytes, row_bytes, rows.row(tile.h - 1));
  for (uint32_t h = tile.h; h-- > 0;) {
    if (h > 0) kernels.look_up(t.companded, indices.data() + (h - 1) * row_bytes, row_bytes, rows.row(h - 1));
    const ContextRow row = rows.at(h, lanes);
    if (t.channel_table == nullptr) kernels.row_contexts(t, row, rows.work());
    kernels.encode_row(t, row, rows.work(), indices.data() + h * row_bytes, words);
  }
  std::vector<uint8_t> body(reinterpret_cast<uint8_t*>(words.state),
                            reinterpret_cast<uint8_t*>(words.state + lanes));
  body.insert(body.end(), words.at, out.data() + out.size());
  return body;
}

void test_same_bytes_on_every_set(std::mt19937& random) {
  for (const uint8_t flags : {0, 1, 2, 3, 5, 7, 133, 135}) {
    for (const unsigned channels : {1u, 7u, 16u, 33u, 64u, 100u, 127u}) {
      const auto parameters = some_parameters(flags, static_cast<uint8_t>(channels), 0, random);
      ContextModel model;
      CHECK(model.build(parameters).ok());
      const Shape tile{channels, 5, 9};
      auto indices = sparse_bytes(tile.size(), 0.4, random);
      indices.resize(tile.size() + kVectorPad);
      for (uint32_t lanes = 1; lanes <= kMaxLanes; lanes *= 2) {
        const auto expected = encode_with(kScalarContextKernels, model, indices, tile, lanes);
        for (const InstructionSet* set : supported_sets()) {
          if (set->context->min_lanes > lanes) continue;
          CHECK(encode_with(*set->context, model, indices, tile, lanes) == expected);
        }
      }
    }
  }
}

void test_same_predictions_on_every_set(std::mt19937& random) {
  for (const uint8_t flags : {8, 10}) {
    for (const unsigned channels : {1u, 7u, 16u, 33u, 64u, 100u, 127u}) {
      for (uint8_t rank = 0; rank <= 4; ++rank) {
        ContextModel model;
        CHECK(model.build(some_parameters(flags, static_cast<uint8_t>(channels), rank, random)).ok());
        for (const double zeros : {0.0, 0.5}) {
          const auto bytes = sparse_bytes(8 * (channels + kVectorPad), zeros, random);
          const auto expected = predictions_with(*supported_sets().front(), model.tables(), bytes);
          for (const InstructionSet* set : supported_sets())
            CHECK(predictions_with(*set, model.tables(), bytes) == expected);
        }
      }
    }
  }
}

void test_same_heads_on_every_set(std::mt19937& random) {
  std::mt19937 others(2);
  for (const int flags : {kPredicted | kMore, kPredicted | kMore | kSigned, kPredicted | kMore | kOffsets}) {
    for (const unsigned channels : {1u, 7u, 16u, 33u, 64u, 100u, 127u}) {
      for (uint8_t rank = 0; rank <= 4; ++rank) {
        ContextModel model;
        const auto parameters = some_parameters(static_cast<uint8_t>(flags), static_cast<uint8_t>(channels),
                                                rank, (flags & kOffsets) ? others : random);
        CHECK(model.build(parameters).ok());
        for (const double zeros : {0.0, 0.5}) {
          const auto bytes =
              sparse_bytes(14 * (channels + kVectorPad), zeros, (flags & kOffsets) ? others : random);
          const auto expected = heads_with(*supported_sets().front(), model.tables(), bytes);
          for (const InstructionSet* set : supported_sets())
            CHECK(heads_with(*set, model.tables(), bytes) == expected);
        }
      }
    }
  }
}

void test_hostile_bodies(std::mt19937& random) {
  for (const uint8_t flags : {0, 1, 5, 8, 133, kPredicted | kMore}) {
    const Shape tile{48, 12, 12};
    std::unique_ptr<TileCodec> codec;
    CHECK(ContextRansCodec::make(some_parameters(flags, 48, 2, random), 48, codec).ok());
    // Few enough for random parameters of any kind to make a body of them that is shorter.
    const auto values = sparse_bytes(tile.size(), 0.1, random);
    std::vector<uint8_t> out(codec->tile_bound(tile)), back(tile.size());
    Scratch scratch;
    const size_t length = codec->encode_tile(planar_view<const uint8_t>(values.data(), tile), kUnsignedRange,
                                             out.data(), scratch);
    CHECK(length < tile.size());
    const auto decode = [&](std::vector<uint8_t> body) {
      body.shrink_to_fit();
      return codec->decode_tile(body, planar_view(back.data(), tile), kUnsignedRange, scratch).ok();
    };
    const std::vector<uint8_t> body(out.begin(), out.begin() + static_cast<ptrdiff_t>(length));
    CHECK(decode(body) && back == values);
    for (size_t cut = 0; cut < length; cut += 1 + random() % 7) {
      CHECK(!decode({body.begin(), body.begin() + static_cast<ptrdiff_t>(cut)}));
    }
    // A change can pass that leaves the state as it would be and all later contexts as they were: mostly one
    // to raw bits, of which these evenly spread values have more than most (five of their eight bits).
    int passed = 0;
    for (int i = 0; i < 300; ++i) {
      auto changed = body;
      changed[random() % length] ^= static_cast<uint8_t>(1 + random() % 255);
      passed += decode(changed);
    }
    CHECK(passed < 15);
    for (int i = 0; i < 100; ++i) (void)decode(sparse_bytes(random() % 4000, 0.9, random));
  }
}

void test_hostile_parameters(std::mt19937& random) {
  for (const uint8_t flags : {0, 1, 5, 8, 133, kPredicted | kMore}) {
    const auto parameters = some_parameters(flags, 20, 2, random);
    for (size_t cut = 0; cut < parameters.size(); ++cut) {
      ContextModel model;
      CHECK(!model.build({parameters.data(), cut}).ok());
    }
    for (int i = 0; i < 3000; ++i) {
      auto changed = parameters;
      for (unsigned k = 0; k < 1 + random() % 3; ++k)
        changed[random() % changed.size()] = static_cast<uint8_t>(random());
      ContextModel model;
      (void)model.build(changed).ok();
    }
  }
}

}  // namespace
}  // namespace fmapzip::test

int main() {
  std::mt19937 random(1);
  fmapzip::test::test_same_bytes_on_every_set(random);
  fmapzip::test::test_same_predictions_on_every_set(random);
  fmapzip::test::test_same_heads_on_every_set(random);
  fmapzip::test::test_hostile_bodies(random);
  fmapzip::test::test_hostile_parameters(random);
  return 0;
}
