#pragma once

#include <cstddef>
#include <cstdint>

#include "simd/instruction_set.hpp"

namespace fmapzip {

inline constexpr size_t kFitLanes = 8;     // tables that are worked on together
inline constexpr size_t kFitClasses = 32;  // of bytes, for finding tables

// A run of bytes: how many are covered before it and behind it.
struct RunStep {
  uint16_t from, to;
};

// What fitting tables does most, once for each instruction set. Integers alone: the same results everywhere.
struct FitKernels {
  // One more run for kFitLanes tables: next[to][lane] is the least of least[from][lane] + costs[step][lane],
  // and via[to][lane] the first step that gives it. Steps are in the order of `to`, from `first` on; those to
  // `to` begin at steps_to[to], the array's last entry being `ends`.
  void (*add_run)(const RunStep* steps, const uint16_t* steps_to, size_t first, size_t ends,
                  const int32_t* costs, const int32_t* least, int32_t* next, uint16_t* via);

  // For each row of counts [kFitClasses], the first of the groups of least sum of counts times costs,
  // modulo 2^32; costs are [group / kFitLanes][kFitClasses][kFitLanes], those behind the last group its
  // first's.
  void (*nearest)(const uint32_t* rows, size_t count, const uint32_t* costs, size_t groups, uint32_t* found);
};

inline constexpr int32_t kFitFar = INT32_MAX / 2;  // what is not reached

extern const FitKernels kScalarFitKernels, kAvx2FitKernels, kAvx512FitKernels, kNeonFitKernels;

}  // namespace fmapzip
