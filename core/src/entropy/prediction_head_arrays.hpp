#pragma once

#include <cstdint>

#include "entropy/prediction_arrays.hpp"
#include "entropy/prediction_head.hpp"

namespace fmapzip {

// What a head's kernels look up, laid out for them. Not to be moved once built.
class HeadArrays {
 public:
  void build(const PredictionHead& head, uint32_t channels, uint32_t rank);

  const HeadTables& tables() const { return tables_; }

 private:
  HeadTables tables_{};
  AlignedArray<uint8_t> traits_, table_of_;
  AlignedArray<int8_t> west_, north_;
};

}  // namespace fmapzip
