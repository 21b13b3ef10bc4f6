#include "entropy/run_fit.hpp"

#include <algorithm>
#include <bit>
#include <memory>
#include <numeric>

#include "entropy/fixed_log.hpp"

namespace fmapzip {
namespace {

constexpr size_t kEnds = kCovered + 1;
constexpr uint32_t kWeightBits = 16;  // of a table: costs in 1/256 bit then sum to 28 bits
constexpr int kCoarse = 8;

}  // namespace

RunFit::RunFit() {
  for (uint32_t to = 0; to <= kCovered; ++to) {
    steps_to_[to] = static_cast<uint16_t>(steps_.size());
    for (uint32_t from = 0; from < to; ++from) {
      for (uint32_t r = 0; r <= kMaxRawBits && from % (1u << r) == 0; ++r) {
        if (std::min(from + (1u << r), kCovered) != to) continue;
        steps_.push_back({static_cast<uint16_t>(from), static_cast<uint16_t>(to)});
        raw_bits_.push_back(static_cast<uint8_t>(r));
      }
    }
  }
  steps_to_[kEnds] = static_cast<uint16_t>(steps_.size());
}

void RunFit::fit(const std::vector<Weights>& tables, int32_t* raw_bits, uint64_t* sums) const {
  const FitKernels& kernels = fit_kernels();
  constexpr size_t row = kEnds * kFitLanes;
  std::vector<int32_t> costs(steps_.size() * kFitLanes);
  std::array<int32_t, row> reached[2];
  const auto via = std::make_unique_for_overwrite<uint16_t[]>(kTokens * row);
  std::array<Below, kFitLanes> below;
  for (size_t first = 0; first < tables.size(); first += kFitLanes) {
    const size_t lanes = std::min(kFitLanes, tables.size() - first);
    for (size_t lane = 0; lane < lanes; ++lane) {
      const Weights& weights = tables[first + lane];
      below[lane][0] = 0;
      std::partial_sum(weights.begin(), weights.end(), below[lane].begin() + 1);
      put_costs(below[lane], lane, costs.data());
    }
    int32_t *least = reached[0].data(), *next = reached[1].data();
    std::fill_n(least, row, kFitFar);
    std::fill_n(least, kFitLanes, 0);
    for (uint32_t t = 0; t < kTokens; ++t) {
      const size_t first_end = t + 1 == kTokens ? kCovered : t + 1;
      std::fill_n(next, first_end * kFitLanes, kFitFar);
      kernels.add_run(steps_.data(), steps_to_.data(), first_end, kEnds, costs.data(), least, next,
                      &via[t * row]);
      std::swap(least, next);
    }
    for (size_t lane = 0; lane < lanes; ++lane) {
      size_t end = kCovered;
      for (uint32_t t = kTokens; t-- > 0;) {
        const size_t step = via[t * row + end * kFitLanes + lane];
        raw_bits[(first + lane) * kTokens + t] = raw_bits_[step];
        sums[(first + lane) * kTokens + t] = weight(below[lane], step);
        end = steps_[step].from;
      }
    }
  }
}

void RunFit::put_costs(const Below& below, size_t lane, int32_t* costs) const {
  const uint64_t all = below[kCovered];
  const auto width = static_cast<uint32_t>(std::bit_width(all));
  const uint32_t excess = width > kWeightBits ? width - kWeightBits : 0;
  const uint64_t rarest = std::max<uint64_t>(all >> kTokenBits, 1);  // no frequency is below that
  const int32_t log_all = fixed_log2(all);
  for (size_t step = 0; step < steps_.size(); ++step) {
    const uint64_t n = weight(below, step);
    const int32_t bits = (log_all - fixed_log2(std::max(n, rarest)) + raw_bits_[step] * (1 << 16)) >> kCoarse;
    costs[step * kFitLanes + lane] = static_cast<int32_t>(n >> excess) * bits;
  }
}

}  // namespace fmapzip
