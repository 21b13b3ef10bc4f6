#include "entropy/context_table_fit.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <numeric>

namespace fmapzip {
namespace {

constexpr int64_t kLogOne = 1 << 16;
constexpr uint32_t kMantissaBits = 12;
constexpr uint32_t kClasses = 32;
constexpr uint32_t kRounds = 6;
constexpr uint64_t kPriorScale =
    1 << 12;                    // counts are scaled by this, so that a prior can be a fraction of one
constexpr uint64_t kPrior = 4;  // values' worth of the overall distribution that each table gets
constexpr int32_t kMaxLogFrequency = 64;
constexpr uint32_t kCovered = 255;  // bytes that runs cover: all but zero
constexpr int32_t kUnseen = -1;
constexpr uint32_t kManyBelow = 32;  // from so many negative values on, bytes are laid out as those of int8

using Rows = std::vector<std::array<uint64_t, kClasses>>;

// Binary digits of a logarithm, by squaring: no library function that may differ from machine to machine.
std::array<int32_t, 1 << kMantissaBits> make_logs() {
  std::array<int32_t, 1 << kMantissaBits> logs{};
  for (uint32_t n = 1; n < logs.size(); ++n) {
    const auto whole = static_cast<uint32_t>(std::bit_width(n)) - 1;
    uint64_t x = uint64_t{n} << (31 - whole);  // 1 to 2, in 2^-31
    int32_t log = static_cast<int32_t>(whole);
    for (int digit = 0; digit < 17; ++digit) {
      x = x * x >> 31;
      log = 2 * log + static_cast<int32_t>(x >> 32);
      x >>= x >> 32;
    }
    logs[n] = (log + 1) / 2;
  }
  return logs;
}

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

uint64_t total(const std::array<uint64_t, kClasses>& row) {
  return std::accumulate(row.begin(), row.end(), uint64_t{0});
}

uint64_t mean_class(const std::array<uint64_t, kClasses>& row) {
  uint64_t sum = 0;
  for (uint32_t k = 0; k < kClasses; ++k) sum += k * row[k];
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
  std::vector<uint32_t> costs(kClasses * groups);
  for (size_t g = 0; g < groups; ++g) {
    uint64_t all = 0;
    for (uint32_t k = 0; k < kClasses; ++k) all += sums[g][k] * kPriorScale + prior[k];
    const int32_t log_all = fixed_log2(all);
    for (uint32_t k = 0; k < kClasses; ++k) {
      costs[k * groups + g] =
          static_cast<uint32_t>(log_all - fixed_log2(sums[g][k] * kPriorScale + prior[k])) >> kCoarse;
    }
  }
  std::vector<uint32_t> found(rows.size());
  std::vector<uint32_t> bits(groups);
  for (size_t i = 0; i < rows.size(); ++i) {
    std::fill(bits.begin(), bits.end(), 0);
    for (uint32_t k = 0; k < kClasses; ++k) {
      const auto n = static_cast<uint32_t>(rows[i][k]);
      if (n == 0) continue;
      for (size_t g = 0; g < groups; ++g) bits[g] += n * costs[k * groups + g];
    }
    found[i] = static_cast<uint32_t>(std::min_element(bits.begin(), bits.end()) - bits.begin());
  }
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

// Splits the bytes 1 to 255 into 16 runs of powers of two so that their code is shortest: dynamic programming
// over (bytes covered, runs used), where a run of weight n and 2^r bytes costs n (log2(all / n) + r). A run
// may begin behind a multiple of its length: few enough to try them all, and a peak anywhere (flat areas:
// many values alike) can be a run of its own.
class RunFit {
 public:
  RunFit() {
    for (uint32_t begin = 0; begin < kCovered; ++begin) {
      if (begin < kTokens) first_step_[begin] = steps_.size();
      for (uint32_t r = 0; r <= kMaxRawBits && begin % (1u << r) == 0; ++r) {
        steps_.push_back({begin, std::min(begin + (1u << r), kCovered), r});
      }
    }
  }

  // Raw bits and weights of the runs of each table [table][token], from its weights of the bytes from 1 on.
  // All tables take each step together, so that compilers make vectors of them.
  void fit(const std::vector<std::array<uint64_t, kCovered>>& weights, int32_t* raw_bits,
           uint64_t* sums) const {
    const size_t tables = weights.size();
    std::vector<std::array<uint64_t, kCovered + 1>> below(tables);
    for (size_t k = 0; k < tables; ++k) {
      below[k][0] = 0;
      std::partial_sum(weights[k].begin(), weights[k].end(), below[k].begin() + 1);
    }
    const std::vector<int32_t> costs = step_costs(below);
    constexpr size_t ends = kCovered + 1;
    std::vector<int32_t> least(ends * tables, kFar);
    std::vector<int32_t> next(ends * tables);
    std::vector<int32_t> origin((kTokens + 1) * ends * tables);
    std::fill_n(least.begin(), tables, 0);
    for (uint32_t t = 0; t < kTokens; ++t) {
      std::fill(next.begin(), next.end(), kFar);
      int32_t* const origins = &origin[(t + 1) * ends * tables];
      for (size_t i = first_step_[t]; i < steps_.size(); ++i) {
        take(&least[steps_[i].from * tables], &costs[i * tables], static_cast<int32_t>(i),
             &next[steps_[i].to * tables], &origins[steps_[i].to * tables], tables);
      }
      least.swap(next);
    }
    for (size_t k = 0; k < tables; ++k) {
      size_t end = kCovered;
      for (uint32_t t = kTokens; t-- > 0;) {
        const Step& step = steps_[static_cast<size_t>(origin[((t + 1) * ends + end) * tables + k])];
        raw_bits[k * kTokens + t] = static_cast<int32_t>(step.raw_bits);
        sums[k * kTokens + t] = weight(below[k], step);
        end = step.from;
      }
    }
  }

 private:
  struct Step {
    uint32_t from, to, raw_bits;  // bytes covered before and after
  };
  using Below = std::array<uint64_t, kCovered + 1>;
  static constexpr int32_t kFar = INT32_MAX / 2;
  static constexpr uint32_t kWeightBits = 16;  // of a table: costs in 1/256 bit then sum to 28 bits
  static constexpr int kCoarse = 8;

  static void take(const int32_t* from, const int32_t* cost, int32_t step, int32_t* to, int32_t* via,
                   size_t tables) {
    for (size_t k = 0; k < tables; ++k) {
      const int32_t found = from[k] + cost[k];
      const bool better = found < to[k];
      to[k] = better ? found : to[k];
      via[k] = better ? step : via[k];
    }
  }

  uint64_t weight(const Below& below, const Step& step) const { return below[step.to] - below[step.from]; }

  // [step][table]
  std::vector<int32_t> step_costs(const std::vector<Below>& below) const {
    std::vector<int32_t> costs(steps_.size() * below.size());
    for (size_t k = 0; k < below.size(); ++k) {
      const uint64_t all = below[k][kCovered];
      const auto width = static_cast<uint32_t>(std::bit_width(all));
      const uint32_t excess = width > kWeightBits ? width - kWeightBits : 0;
      const uint64_t rarest = std::max<uint64_t>(all >> kTokenBits, 1);  // no frequency is below that
      const int32_t log_all = fixed_log2(all);
      for (size_t i = 0; i < steps_.size(); ++i) {
        const uint64_t n = weight(below[k], steps_[i]);
        const auto raw = static_cast<int32_t>(steps_[i].raw_bits);
        const int32_t bits = (log_all - fixed_log2(std::max(n, rarest)) + raw * (1 << 16)) >> kCoarse;
        costs[i * below.size() + k] = static_cast<int32_t>(n >> excess) * bits;
      }
    }
    return costs;
  }

  std::vector<Step> steps_;
  std::array<size_t, kTokens>
      first_step_{};  // a token's run begins behind as many bytes as there are tokens before
};

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

int32_t fixed_log2(uint64_t n) {
  static const auto logs = make_logs();
  const auto width = static_cast<uint32_t>(std::bit_width(n));
  const uint32_t shift = width > kMantissaBits ? width - kMantissaBits : 0;
  return logs[n >> shift] + static_cast<int32_t>(shift * kLogOne);
}

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

FittedTables fit_context_tables(std::span<const uint32_t> counts, uint32_t columns, uint32_t most,
                                ValueRange range) {
  const bool is_signed = range.below >= kManyBelow;
  const size_t cells = counts.size() / kFitSymbols;
  const auto classes = make_classes(is_signed);
  FittedTables found;
  found.table_of.assign(cells, kUnseen);
  found.zero_class_of.assign(cells, kUnseen);
  Rows rows;
  std::vector<size_t> seen;
  std::array<uint64_t, kCovered> overall{};
  for (size_t cell = 0; cell < cells; ++cell) {
    const uint32_t* row = &counts[cell * kFitSymbols];
    std::array<uint64_t, kClasses> sums{};
    for (uint32_t k = 0; k < kClasses; ++k) {
      for (uint32_t byte = classes[k].begin; byte < classes[k].end; ++byte) sums[k] += row[byte];
    }
    for (uint32_t k = 0; k < kCovered; ++k) overall[k] += row[k + 1];
    const uint64_t others = total(sums);
    found.zero_class_of[cell] = zero_class(row[0], others);
    if (others == 0) continue;
    seen.push_back(cell);
    rows.push_back(sums);
  }
  std::vector<std::array<uint64_t, kCovered>> weights(1);
  if (!rows.empty()) {
    const std::vector<uint32_t> group = grouped(rows, most);
    weights.resize(1 + *std::max_element(group.begin(), group.end()));
    for (size_t i = 0; i < seen.size(); ++i) {
      found.table_of[seen[i]] = static_cast<int32_t>(group[i]);
      const uint32_t* row = &counts[seen[i] * kFitSymbols];
      for (uint32_t k = 0; k < kCovered; ++k) weights[group[i]][k] += row[k + 1];
    }
  }
  const auto prior = prior_of(overall);
  static const RunFit runs;
  found.raw_bits.resize(weights.size() * kTokens);
  found.log_frequencies.resize(weights.size() * kTokens);
  for (auto& table : weights) {
    for (uint32_t k = 0; k < kCovered; ++k) table[k] = table[k] * kPriorScale + prior[k];
  }
  std::vector<uint64_t> sums(weights.size() * kTokens);
  runs.fit(weights, found.raw_bits.data(), sums.data());
  for (size_t first = 0; first < sums.size(); first += kTokens) {
    put_log_frequencies(&sums[first], &found.log_frequencies[first]);
  }
  fill_unseen(found.table_of, columns);
  fill_unseen(found.zero_class_of, columns);
  return found;
}

}  // namespace fmapzip
