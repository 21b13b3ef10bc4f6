#include "entropy/context_table_fit.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <numeric>

#include "entropy/fit_kernels.hpp"
#include "entropy/fixed_log.hpp"
#include "entropy/run_fit.hpp"

namespace fmapzip {
namespace {

constexpr uint32_t kClasses = kFitClasses;
constexpr uint32_t kRounds = 6;
constexpr uint64_t kPriorScale =
    1 << 12;                    // counts are scaled by this, so that a prior can be a fraction of one
constexpr uint64_t kPrior = 4;  // values' worth of the overall distribution that each table gets
constexpr int32_t kMaxLogFrequency = 64;
constexpr int32_t kUnseen = -1;
constexpr uint32_t kManyBelow = 32;  // from so many negative values on, bytes are laid out as those of int8

using Row = std::array<uint32_t, kClasses>;  // counts of classes
using Rows = std::vector<Row>;

// Classes of bytes 1 to 255, finer for small magnitudes, in the order of the values: each is a run of bytes.
struct ClassRange {
  uint32_t begin, end;
};

std::array<ClassRange, kClasses> make_classes(bool is_signed) {
  std::array<ClassRange, kClasses> classes{};
  const uint32_t half = is_signed ? kClasses / 2 : 0;
  uint32_t begin = 1;
  for (uint32_t k = 0, repeats = 0, width = 1; k < kClasses - half; ++k) {
    const uint32_t most = is_signed ? 127 : 255;
    const uint32_t end = std::min(begin + width, most + 1);
    classes[half + k] = {begin, end};
    if (is_signed)
      classes[half - 1 - k] = {k + 1 == half ? 128 : kFitSymbols + 1 - end, kFitSymbols + 1 - begin};
    begin = end;
    const uint32_t wanted = width == 1 ? (is_signed ? 6 : 12) : (is_signed ? 2 : 4);
    if (++repeats == wanted) {
      repeats = 0;
      width *= 2;
    }
  }
  return classes;
}

uint64_t total(const Row& row) { return std::accumulate(row.begin(), row.end(), uint64_t{0}); }

uint64_t mean_class(const Row& row) {
  uint64_t sum = 0;
  for (uint32_t k = 0; k < kClasses; ++k) sum += uint64_t{k} * row[k];
  return sum * 1024 / std::max<uint64_t>(total(row), 1);
}

// What is added to each table: a little of the distribution of all, in 1 / kPriorScale.
template <size_t N>
std::array<uint64_t, N> prior_of(const std::array<uint64_t, N>& counts) {
  std::array<uint64_t, N> prior{};
  uint64_t all = 0;
  for (const uint64_t n : counts) all += 2 * n + 1;
  for (size_t i = 0; i < N; ++i) {
    prior[i] = std::max<uint64_t>((2 * counts[i] + 1) * (kPrior * kPriorScale) / all, 1);
  }
  return prior;
}

Rows sums_of(const Rows& rows, const std::vector<uint32_t>& group, uint32_t groups) {
  Rows sums(groups);
  for (size_t i = 0; i < rows.size(); ++i) {
    for (uint32_t k = 0; k < kClasses; ++k) sums[group[i]][k] += rows[i][k];
  }
  return sums;
}

// For each row, the group that codes it in the fewest bits.
std::vector<uint32_t> nearest_groups(const Rows& rows, const Rows& sums,
                                     const std::array<uint64_t, kClasses>& prior) {
  constexpr int kCoarse = 8;  // costs in 1/256 bit, so that sums of 2^18 values fit 32 bits
  const size_t groups = sums.size();
  const size_t padded = (groups + kFitLanes - 1) / kFitLanes * kFitLanes;
  std::vector<uint32_t> costs(padded * kClasses);
  for (size_t g = 0; g < padded; ++g) {
    const Row& sum = sums[g < groups ? g : 0];  // what pads is never nearer than the first
    uint64_t all = 0;
    for (uint32_t k = 0; k < kClasses; ++k) all += sum[k] * kPriorScale + prior[k];
    const int32_t log_all = fixed_log2(all);
    uint32_t* const own = &costs[g / kFitLanes * kClasses * kFitLanes + g % kFitLanes];
    for (uint32_t k = 0; k < kClasses; ++k) {
      own[k * kFitLanes] =
          static_cast<uint32_t>(log_all - fixed_log2(sum[k] * kPriorScale + prior[k])) >> kCoarse;
    }
  }
  std::vector<uint32_t> found(rows.size());
  fit_kernels().nearest(rows[0].data(), rows.size(), costs.data(), groups, found.data());
  return found;
}

std::vector<size_t> by_mean_class(const Rows& rows) {
  std::vector<uint64_t> means(rows.size());
  std::transform(rows.begin(), rows.end(), means.begin(), mean_class);
  std::vector<size_t> order(rows.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return means[a] < means[b]; });
  return order;
}

// The group of each row (k-means by code length), numbered in ascending order of their mean class.
std::vector<uint32_t> grouped(const Rows& rows, uint32_t most) {
  std::array<uint64_t, kClasses> overall{};
  for (const auto& row : rows) {
    for (uint32_t k = 0; k < kClasses; ++k) overall[k] += row[k];
  }
  const auto prior = prior_of(overall);
  const std::vector<size_t> order = by_mean_class(rows);
  std::vector<uint64_t> weights;
  for (const size_t i : order) weights.push_back(total(rows[i]));
  const std::vector<uint32_t> start = even_levels(weights, most);
  std::vector<uint32_t> group(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) group[order[i]] = start[i];
  for (uint32_t round = 0; round < kRounds; ++round) {
    std::vector<uint32_t> moved = nearest_groups(rows, sums_of(rows, group, most), prior);
    if (moved == group) break;
    group = std::move(moved);
  }
  const Rows sums = sums_of(rows, group, most);
  std::vector<uint32_t> rank(most);
  uint32_t used = 0;
  for (const size_t g : by_mean_class(sums)) {
    if (total(sums[g]) != 0) rank[g] = used++;
  }
  for (uint32_t& g : group) g = rank[g];
  return group;
}

// Frequencies in eighths of an octave, 0 standing for one in 2^8.
void put_log_frequencies(const uint64_t* weights, int32_t* codes) {
  const int64_t all = fixed_log2(std::accumulate(weights, weights + kTokens, uint64_t{0}));
  for (uint32_t t = 0; t < kTokens; ++t) {
    const int64_t relative = fixed_log2(std::max<uint64_t>(weights[t], 1)) - all + kTokenBits * kLogOne;
    const int64_t code = (8 * relative + kLogOne / 2) >> 16;
    codes[t] = static_cast<int32_t>(std::clamp<int64_t>(code, 0, kMaxLogFrequency));
  }
}

// What the zero flag costs in each class, in 1/65536 bit: where it is set, and where it is not.
struct ZeroCosts {
  std::array<int64_t, kZeroClasses> zero{}, other{};
};

ZeroCosts make_zero_costs() {
  ZeroCosts costs;
  for (uint32_t k = 0; k < kZeroClasses; ++k) {
    const uint64_t p = kZeroProbability[k];
    costs.zero[k] = kZeroBits * kLogOne - fixed_log2(p);
    costs.other[k] = kZeroBits * kLogOne - fixed_log2((1u << kZeroBits) - p);
  }
  return costs;
}

// The class of zero probability that costs the fewest bits.
int32_t zero_class(uint64_t zeros, uint64_t others) {
  static const ZeroCosts costs = make_zero_costs();
  if (zeros + others == 0) return kUnseen;
  int64_t least = INT64_MAX;
  int32_t found = 0;
  for (uint32_t k = 0; k < kZeroClasses; ++k) {
    const int64_t cost = static_cast<int64_t>(5 * zeros + 1) * costs.zero[k] +
                         static_cast<int64_t>(5 * others + 1) * costs.other[k];
    if (cost < least) {
      least = cost;
      found = static_cast<int32_t>(k);
    }
  }
  return found;
}

void fill_unseen(std::vector<int32_t>& cells, int64_t columns) {
  if (columns == 0) {
    std::replace(cells.begin(), cells.end(), kUnseen, 0);
    return;
  }
  const std::vector<int32_t> known(cells);
  const auto count = static_cast<int64_t>(cells.size());
  for (int64_t cell = 0; cell < count; ++cell) {
    if (known[static_cast<size_t>(cell)] != kUnseen) continue;
    int64_t nearest = INT64_MAX;
    int32_t value = 0;
    for (int64_t other = 0; other < count; ++other) {
      if (known[static_cast<size_t>(other)] == kUnseen) continue;
      const int64_t rows = other / columns - cell / columns;
      const int64_t across = other % columns - cell % columns;
      if (rows * rows + across * across >= nearest) continue;
      nearest = rows * rows + across * across;
      value = known[static_cast<size_t>(other)];
    }
    cells[static_cast<size_t>(cell)] = value;
  }
}

}  // namespace

std::vector<uint32_t> even_levels(std::span<const uint64_t> counts, uint32_t levels) {
  std::vector<uint64_t> roots;
  for (const uint64_t n : counts) {
    roots.push_back(static_cast<uint64_t>(256 * std::sqrt(static_cast<double>(n))));
  }
  const uint64_t all = std::max<uint64_t>(2 * std::accumulate(roots.begin(), roots.end(), uint64_t{0}), 1);
  std::vector<uint32_t> level;
  uint64_t sum = 0;
  for (const uint64_t root : roots) {
    sum += root;
    level.push_back(std::min(static_cast<uint32_t>((2 * sum - root) * levels / all), levels - 1));
  }
  return level;
}

void fit_context_tables(std::span<const uint32_t> counts, uint32_t columns, uint32_t most,
                        ContextDraft& draft) {
  const size_t cells = counts.size() / kFitSymbols;
  const auto classes = make_classes(draft.range.below >= kManyBelow);
  draft.table_of.assign(cells, kUnseen);
  draft.zero_class_of.assign(cells, kUnseen);
  Rows rows;
  std::vector<size_t> seen;
  std::array<uint64_t, kCovered> overall{};
  for (size_t cell = 0; cell < cells; ++cell) {
    const uint32_t* row = &counts[cell * kFitSymbols];
    Row sums{};
    for (uint32_t k = 0; k < kClasses; ++k) {
      for (uint32_t byte = classes[k].begin; byte < classes[k].end; ++byte) sums[k] += row[byte];
    }
    const uint64_t others = total(sums);
    draft.zero_class_of[cell] = zero_class(row[0], others);
    if (others == 0) continue;
    seen.push_back(cell);
    rows.push_back(sums);
  }
  std::vector<RunFit::Weights> weights(1);
  if (!rows.empty()) {
    const std::vector<uint32_t> group = grouped(rows, most);
    weights.resize(1 + *std::max_element(group.begin(), group.end()));
    for (size_t i = 0; i < seen.size(); ++i) {
      draft.table_of[seen[i]] = static_cast<int32_t>(group[i]);
      const uint32_t* row = &counts[seen[i] * kFitSymbols];
      for (uint32_t k = 0; k < kCovered; ++k) weights[group[i]][k] += row[k + 1];
    }
  }
  for (const auto& table : weights) {
    for (uint32_t k = 0; k < kCovered; ++k) overall[k] += table[k];
  }
  const auto prior = prior_of(overall);
  static const RunFit runs;
  draft.raw_bits.resize(weights.size() * kTokens);
  draft.log_frequencies.resize(weights.size() * kTokens);
  for (auto& table : weights) {
    for (uint32_t k = 0; k < kCovered; ++k) table[k] = table[k] * kPriorScale + prior[k];
  }
  std::vector<uint64_t> sums(weights.size() * kTokens);
  runs.fit(weights, draft.raw_bits.data(), sums.data());
  for (size_t first = 0; first < sums.size(); first += kTokens) {
    put_log_frequencies(&sums[first], &draft.log_frequencies[first]);
  }
  fill_unseen(draft.table_of, columns);
  fill_unseen(draft.zero_class_of, columns);
}

}  // namespace fmapzip
