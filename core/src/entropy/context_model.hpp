#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "entropy/context_kernels.hpp"
#include "entropy/context_params.hpp"
#include "entropy/prediction_arrays.hpp"
#include "entropy/prediction_head_arrays.hpp"
#include "fmapzip/status.hpp"

namespace fmapzip {

// Parameters made ready for coding: lookup tables of encoder and decoder. Immutable once built.
class ContextModel {
 public:
  // `channels`: of the maps that the parameters must fit, 0: any.
  Status build(std::span<const uint8_t> parameters, uint32_t channels = 0);

  const ContextParams& params() const { return params_; }
  const ContextTables& tables() const { return tables_; }

 private:
  void build_lookups();
  void build_channels();
  void build_of_channels();
  void build_unpacked();
  void build_token_tables();
  void build_prediction();

  ContextParams params_;
  ContextTables tables_{};
  std::vector<int16_t> offsets_;
  std::vector<int8_t> of_channels_;  // weights and zero biases
  std::vector<int16_t> spread_bias_;
  std::vector<int16_t> unpacked_;
  std::vector<uint8_t> channel_contexts_;
  std::vector<uint32_t> slots_;
  std::vector<uint32_t> coding_;
  PredictionArrays prediction_;
  HeadArrays head_;
};

}  // namespace fmapzip
