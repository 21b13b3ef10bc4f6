#pragma once

#include <cstdint>
#include <vector>

#include "fmapzip/map.hpp"

namespace fmapzip {

// Parameters of `context-rans` as they are written: contexts of neighbours without what belongs to channels,
// or of channels alone, which have no weights and no thresholds.
struct ContextDraft {
  ValueRange range;
  bool of_channels = false;
  uint32_t numerator = 1;
  uint32_t denominator = 1;
  int8_t mean_weights[4] = {};
  int8_t spread_weights[4] = {};
  int16_t offset = 0;
  std::vector<uint8_t> mean_thresholds;
  std::vector<uint8_t> spread_thresholds;
  std::vector<int32_t> table_of;       // [cell or channel]
  std::vector<int32_t> zero_class_of;  // likewise
  std::vector<int32_t> raw_bits;       // [table][token]
  std::vector<int32_t> log_frequencies;
};

// One table for so many cells or channels: a beginning that is valid.
ContextDraft draft_of(ValueRange range, uint32_t numerator, uint32_t denominator, size_t contexts,
                      bool of_channels);

// docs/FORMAT.md, "context-rans": what parse_context_params reads.
std::vector<uint8_t> write_context_params(const ContextDraft& draft);

}  // namespace fmapzip
