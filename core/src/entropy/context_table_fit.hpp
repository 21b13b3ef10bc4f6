#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "entropy/alphabet.hpp"

// Token tables and zero classes from counts, in integers: the same counts give the same tables on every
// machine.
namespace fmapzip {

inline constexpr uint32_t kFitSymbols = 256;

// log2(n) of a positive integer in 1/65536, from its 12 leading bits.
int32_t fixed_log2(uint64_t n);

// Splits an axis into levels that share the square roots of its counts evenly: fine where values are, without
// forgetting the tail.
std::vector<uint32_t> even_levels(std::span<const uint64_t> counts, uint32_t levels);

struct FittedTables {
  std::vector<int32_t> table_of;       // [cell]
  std::vector<int32_t> zero_class_of;  // [cell]
  std::vector<int32_t> raw_bits;       // [table][token]
  std::vector<int32_t> log_frequencies;
};

// At most `most` tables for the cells of counts [cell][kFitSymbols], by code length; cells that have no
// counts get what the nearest one in the grid of `columns` has; 0 columns: no grid, and they get the first.
FittedTables fit_context_tables(std::span<const uint32_t> counts, uint32_t columns, uint32_t most,
                                ValueRange range);

}  // namespace fmapzip
