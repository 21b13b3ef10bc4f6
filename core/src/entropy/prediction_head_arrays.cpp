#include "entropy/prediction_head_arrays.hpp"

#include <algorithm>

#include "entropy/context_kernels.hpp"

namespace fmapzip {

void HeadArrays::build(const PredictionHead& head, uint32_t channels, uint32_t rank) {
  HeadTables& t = tables_;
  t.inputs = head.inputs;
  t.unit_shift = head.unit_shift;
  std::copy(head.output_shift.begin(), head.output_shift.end(), t.output_shift);
  for (size_t j = 0; j < kHeadUnits; ++j) std::copy_n(&head.units[j * t.inputs], t.inputs, t.units[j]);
  std::copy(head.of_units.begin(), head.of_units.end(), &t.of_units[0][0]);
  for (size_t q = 0; q < kHeadOutputs; ++q) {
    std::copy_n(&head.of_inputs[q * t.inputs], t.inputs, t.of_inputs[q]);
  }
  std::transform(head.unit_bias.begin(), head.unit_bias.end(), t.unit_bias,
                 [](int16_t n) { return kUnitBias * n; });
  std::transform(head.output_bias.begin(), head.output_bias.end(), t.output_bias,
                 [](int16_t n) { return kOutputBias * n; });
  traits_.assign(head.traits.size() + kVectorPad);
  std::copy(head.traits.begin(), head.traits.end(), traits_.data());
  table_of_.assign(kHeadCells + kVectorPad);
  std::copy(head.table_of.begin(), head.table_of.end(), table_of_.data());
  spread_loadings(head.west, channels, rank, 0, west_);
  spread_loadings(head.north, channels, rank, 0, north_);
  t.traits = traits_.data();
  t.table_of = table_of_.data();
  t.west = west_.data();
  t.north = north_.data();
}

}  // namespace fmapzip
