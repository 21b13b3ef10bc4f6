#include <algorithm>
#include <cstring>

#include "entropy/context_fit.hpp"
#include "entropy/context_kernels.hpp"
#include "entropy/context_model.hpp"
#include "entropy/context_params_writer.hpp"
#include "entropy/context_table_fit.hpp"
#include "layout.hpp"

namespace fmapzip {
namespace {

constexpr size_t kIndexSlot = 1;
constexpr size_t kSparse =
    3;  // a map with fewer nonzero values than one in so many is fitted like a smaller one

// How many tables pay for themselves in the frame of one map: from so many values on.
struct Tables {
  size_t least_values;
  uint32_t count;
};
constexpr Tables kTables[] = {{1 << 17, 24}, {1 << 15, 16}, {1 << 14, 10},
                              {1 << 12, 5},  {1 << 10, 2},  {0, 1}};

uint32_t tables_for(size_t values) {
  return std::find_if(std::begin(kTables), std::end(kTables),
                      [&](const Tables& tables) { return values >= tables.least_values; })
      ->count;
}

// Adds to counts[byte]. Four histograms take turns, so that equal neighbours need not wait for one another.
void count_bytes(const uint8_t* bytes, size_t n, uint32_t* counts) {
  uint32_t parts[4][kFitSymbols] = {};
  size_t i = 0;
  for (; i + 4 <= n; i += 4) {
    for (size_t k = 0; k < 4; ++k) ++parts[k][bytes[i + k]];
  }
  for (; i < n; ++i) ++parts[0][bytes[i]];
  for (uint32_t byte = 0; byte < kFitSymbols; ++byte) {
    for (size_t k = 0; k < 4; ++k) counts[byte] += parts[k][byte];
  }
}

// Counts [channel][index] of a map.
std::vector<uint32_t> count_channels(const ConstView& map, const Requantizer& requantizer, Scratch& scratch) {
  const size_t plane = size_t{map.shape.h} * map.shape.w;
  uint8_t* const values = scratch.get(kIndexSlot, map.shape.size());
  load_planar(map, values);
  std::vector<uint32_t> counts(map.shape.c * size_t{kFitSymbols});
  for (uint32_t c = 0; c < map.shape.c; ++c) {
    uint32_t* const own = &counts[c * size_t{kFitSymbols}];
    if (plane < kFitSymbols) {  // a histogram to be cleared and summed would cost more
      for (size_t i = 0; i < plane; ++i) ++own[values[c * plane + i]];
    } else {
      count_bytes(values + c * plane, plane, own);
    }
    if (!requantizer.active) continue;
    uint32_t of_values[kFitSymbols];
    std::memcpy(of_values, own, sizeof of_values);
    std::fill_n(own, kFitSymbols, 0);
    for (uint32_t byte = 0; byte < kFitSymbols; ++byte) own[requantizer.index_of[byte]] += of_values[byte];
  }
  return counts;
}

}  // namespace

Status fit_channel_params(ConstView map, ValueRange range, uint32_t numerator, uint32_t denominator,
                          Scratch& scratch, std::vector<uint8_t>& parameters) {
  ContextDraft draft = draft_of(range, numerator, denominator, map.shape.c, true);
  ContextModel model;
  if (const Status s = model.build(write_context_params(draft)); !s.ok()) return s;
  const std::vector<uint32_t> counts = count_channels(map, model.params().requantizer, scratch);
  size_t zeros = 0;
  for (size_t c = 0; c < map.shape.c; ++c) zeros += counts[c * kFitSymbols];
  const size_t size = map.shape.size();
  const uint32_t most = tables_for(std::min(size, kSparse * (size - zeros)));
  fit_context_tables(counts, 0, most, draft);
  parameters = write_context_params(draft);
  return {};
}

}  // namespace fmapzip
