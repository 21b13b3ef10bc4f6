#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "entropy/alphabet.hpp"
#include "entropy/context_params_writer.hpp"

// Token tables and zero classes from counts, in integers: the same counts give the same tables on every
// machine.
namespace fmapzip {

inline constexpr uint32_t kFitSymbols = 256;

// Splits an axis into levels that share the square roots of its counts evenly: fine where values are, without
// forgetting the tail.
std::vector<uint32_t> even_levels(std::span<const uint64_t> counts, uint32_t levels);

// Puts at most `most` tables for the cells of counts [cell][kFitSymbols] into a draft, by code length; cells
// that have no counts get what the nearest one in the grid of `columns` has; 0 columns: no grid, and they get
// the first.
void fit_context_tables(std::span<const uint32_t> counts, uint32_t columns, uint32_t most,
                        ContextDraft& draft);

}  // namespace fmapzip
