#pragma once

#include <cstddef>
#include <cstdint>

#include "entropy/packed_words.hpp"
#include "entropy/prediction.hpp"
#include "simd/instruction_set.hpp"

// The hot loops of the context coder, once for each instruction set; all give the same bytes. Only plain data
// crosses this border, so that no inline function is shared between instruction sets.
namespace fmapzip {

inline constexpr size_t kMaxLanes = 64;
inline constexpr size_t kWordMargin = 256;  // bytes that may be read between two looks at WordReader::safe
inline constexpr size_t kVectorPad = 64;    // slack behind every buffer that kernels touch

// What channels have of their own beside offsets, one a value of a span of whole positions, padded; all null
// where they have nothing.
struct ChannelTables {
  const int8_t* weights[4];    // of the mean
  const int16_t* spread_bias;  // in 1/64
  const int8_t* zero_bias;     // of the zero class
};

// The same and offsets in the order that unpacking leaves 64 values in: 8 of each 16, then the others.
// Weights are pairs, the first in the lower byte.
struct UnpackedTables {
  const int16_t* offsets;
  const int16_t* weights[2];
  const int16_t* spread_bias;
};

// What the kernels look up; pointers are into the ContextModel that owns it.
struct ContextTables {
  alignas(64) uint8_t level1[kContextSteps];
  alignas(64) uint8_t level2[kContextSteps];
  alignas(64) uint8_t table_of[kCells];
  alignas(64) uint8_t zero_class_of[kCells];
  alignas(64) uint8_t companded[256];  // of an index
  alignas(64) uint16_t zero_probability[64];
  // For the encoder's exact division by f: x / f = (x * reciprocal >> 32) >> shift for x < 2^31.
  alignas(64) uint32_t zero_reciprocal[64];
  alignas(64) uint16_t zero_divisor[64];  // kDivisor...
  int8_t mean_weights[4];
  int8_t spread_weights[4];
  int16_t offset;          // of the mean, in 1/64
  const int16_t* offsets;  // instead, one a value of a span of whole positions, padded; or null
  ChannelTables of_channels;
  UnpackedTables unpacked;
  // Without neighbours: one a value of a span of whole positions, padded. Else null.
  const uint8_t* channel_table;
  const uint8_t* channel_zero_class;
  // [table][slot], as kSlot... say; padded.
  const uint32_t* slots;
  // [table][value][2]: as kCoding... say, and the reciprocal of f.
  const uint32_t* coding;
  uint32_t span;  // values of a span of whole positions, which are coded together without neighbours
  // Where channels predict channels; else null. Classes of cells are then added to what is predicted.
  const PredictionTables* prediction;
  const int8_t* estimate_weights;  // [channel]: of estimates from reference maps in means
};

// A row of companded values, [w][c], with one more position on either side, and the row above likewise.
struct ContextRow {
  uint32_t channels;
  uint32_t width;
  uint32_t lanes;
  const uint8_t* above;  // null for a tile's first row, whose northern neighbours are the western one
  uint8_t* current;
};

struct WordReader {
  uint32_t state[kMaxLanes];
  const uint8_t* at;
  const uint8_t* safe;  // up to here, kWordMargin bytes can be read
  const uint8_t* end;   // of the words
  bool in_tail;
  uint8_t tail[2 * kWordMargin];  // a copy of the last words, padded
};

struct WordWriter {
  uint32_t state[kMaxLanes];
  uint8_t* at;  // words are written downwards
};

// Working memory of a row: contexts of `channels` (decoder) or channels * width (encoder) values, and more.
struct ContextWork {
  uint8_t* table;       // context's token table
  uint8_t* zero_class;  // context's zero class
  uint8_t* packed;      // decoder: the tables, then the values, of what is not zero in a span
  uint16_t* entries;    // encoder: table << kEntryTable | value of what is not zero in a span
};

struct ContextKernels {
  // dst[i] = table[src[i]]; dst may be src.
  void (*look_up)(const uint8_t table[256], const uint8_t* src, size_t n, uint8_t* dst);
  // Contexts of every value of a known row; not used without neighbours.
  void (*row_contexts)(const ContextTables&, const ContextRow&, const ContextWork&);
  // Writes a row's symbols, last position first.
  void (*encode_row)(const ContextTables&, const ContextRow&, const ContextWork&, const uint8_t* indices,
                     WordWriter&);
  // Reads a row: its indices, and into `current` their companded values. False where the words run out.
  bool (*decode_row)(const ContextTables&, const ContextRow&, const ContextWork&, uint8_t* indices,
                     WordReader&);
  // Contexts of `count` predicted values.
  void (*predicted_contexts)(const ContextTables&, const PredictionSteps&, uint32_t count, uint8_t* table,
                             uint8_t* zero_class);
  // One span of `count` values on so many lanes; of the work, entries or packed are used.
  void (*encode_span)(const ContextTables&, const ContextWork&, const uint8_t* table,
                      const uint8_t* zero_class, const uint8_t* indices, uint32_t count, uint32_t lanes,
                      WordWriter&);
  bool (*decode_span)(const ContextTables&, const ContextWork&, uint32_t count, uint32_t lanes,
                      uint8_t* indices, uint8_t* companded, WordReader&);
  uint32_t min_lanes;  // of these kernels
};

extern const ContextKernels kScalarContextKernels, kAvx2ContextKernels, kAvx512ContextKernels,
    kNeonContextKernels;

// What every value of a known row is expected to be, in 1/64: [w][c]. Training's, and not as fast.
void row_means(const ContextTables&, const ContextRow&, int16_t* means);

}  // namespace fmapzip
