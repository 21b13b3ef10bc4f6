#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "entropy/alphabet.hpp"
#include "entropy/fit_kernels.hpp"

namespace fmapzip {

inline constexpr uint32_t kCovered = 255;  // bytes that runs cover: all but zero

// Splits the bytes 1 to 255 into 16 runs of powers of two so that their code is shortest: dynamic programming
// over (bytes covered, runs used), where a run of weight n and 2^r bytes costs n (log2(all / n) + r). A run
// may begin behind a multiple of its length: few enough to try them all, and a peak anywhere (flat areas:
// many values alike) can be a run of its own.
class RunFit {
 public:
  using Weights = std::array<uint64_t, kCovered>;  // of the bytes from 1 on

  RunFit();

  // Raw bits and weights of the runs of each table [table][token].
  void fit(const std::vector<Weights>& tables, int32_t* raw_bits, uint64_t* sums) const;

 private:
  using Below = std::array<uint64_t, kCovered + 1>;  // sums of the weights before a byte

  uint64_t weight(const Below& below, size_t step) const {
    return below[steps_[step].to] - below[steps_[step].from];
  }
  void put_costs(const Below& below, size_t lane, int32_t* costs) const;

  std::vector<RunStep> steps_;  // in the order of their ends, then of their beginnings
  std::vector<uint8_t> raw_bits_;
  std::array<uint16_t, kCovered + 2> steps_to_{};
};

}  // namespace fmapzip
