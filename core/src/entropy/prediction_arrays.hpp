#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "entropy/context_params.hpp"
#include "entropy/prediction.hpp"

namespace fmapzip {

// Zeros to begin with, at an address that no 64 bytes from a multiple of 64 on straddle two cache lines.
template <class T>
class AlignedArray {
 public:
  void assign(size_t count) { lines_.assign((count * sizeof(T) + sizeof(Line) - 1) / sizeof(Line), Line{}); }
  T* data() { return reinterpret_cast<T*>(lines_.data()); }
  T& operator[](size_t i) { return data()[i]; }

 private:
  struct alignas(64) Line {
    uint8_t bytes[64];
  };
  std::vector<Line> lines_;
};

// Loadings that spread factors, [channel][factor], laid out for kernels; none of the channels before `first`.
void spread_loadings(const std::vector<int8_t>& loadings, uint32_t channels, uint32_t rank, uint32_t first,
                     AlignedArray<int8_t>& laid);

// What the prediction's kernels look up, laid out for them. Not to be moved once built.
class PredictionArrays {
 public:
  // `zero`: companded value of index 0.
  void build(const Prediction& prediction, uint32_t channels, uint8_t zero);
  // Adds a head to what was built from the same prediction.
  void set_head(const PredictionHead& head, const HeadTables& tables);

  const PredictionTables& tables() const { return tables_; }

 private:
  void build_channels(const Prediction& prediction);
  void build_loadings(const Prediction& prediction);

  PredictionTables tables_{};
  AlignedArray<uint8_t> span_of_;
  AlignedArray<uint64_t> channels_until_;
  AlignedArray<int8_t> near_, far_, gather_, spread_;
  AlignedArray<int32_t> offsets_, shifts_, spread_bias_, zero_bias_, zero_slopes_, gather_corrections_,
      spread_corrections_;
};

}  // namespace fmapzip
