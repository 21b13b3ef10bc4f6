#include "entropy/context_fit.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <numeric>

#include "entropy/context_coder.hpp"
#include "entropy/context_kernels.hpp"
#include "entropy/context_model.hpp"
#include "entropy/context_params_writer.hpp"
#include "entropy/context_table_fit.hpp"
#include "layout.hpp"

namespace fmapzip {
namespace {

constexpr size_t kMostCounted = size_t{1} << 18;  // of a larger map, about so many values are looked at
constexpr size_t kSampledShare = 32;  // one value in so many settles the weights of the neighbours,
constexpr size_t kLeastSampled = size_t{1} << 12;  // but at least so many
constexpr uint32_t kPatchRows = 8;
constexpr int32_t kWeightOne = 64;
constexpr int32_t kUnsignedOrigin =
    48;                             // where a mean of zero lies: below it, zeros are told from surer zeros
constexpr int32_t kSpreadGain = 3;  // spreads are smaller than means: more of the byte's range for them
constexpr size_t kSparse =
    3;  // a map with fewer nonzero values than one in so many is fitted like a smaller one
constexpr size_t kPatchSlot = 0;
constexpr size_t kIndexSlot = 1;
constexpr size_t kContextsSlot = 2;

struct ModelSize {
  size_t least_values;
  uint32_t levels, spread_levels, tables;
};
constexpr ModelSize kSizes[] = {{1 << 17, 21, 6, 24}, {5 << 14, 16, 6, 16}, {1 << 15, 14, 5, 12},
                                {1 << 14, 12, 4, 10}, {1 << 12, 8, 3, 5},   {1 << 10, 4, 2, 2},
                                {0, 2, 1, 1}};

// A part of the map that is looked at. Its first row is only a neighbour where the map goes on above it.
struct Patch {
  ConstView view;
  bool first_is_neighbour;
};

ConstView columns(const ConstView& map, uint32_t first, uint32_t count) {
  return {map.data + static_cast<ptrdiff_t>(first) * map.sw,
          {map.shape.c, map.shape.h, count},
          map.sc,
          map.sh,
          map.sw};
}

// The `index`-th of `count` even places for `length` among `all`.
uint32_t even_place(uint32_t index, uint32_t count, uint32_t length, uint32_t all) {
  return count < 2 ? (all - length) / 2
                   : static_cast<uint32_t>(uint64_t{index} * (all - length) / (count - 1));
}

// The whole map, or patches of a few rows spread over it.
std::vector<Patch> patches_of(const ConstView& map) {
  const Shape s = map.shape;
  if (s.size() <= kMostCounted) return {{map, false}};
  const uint32_t rows = std::min(s.h, kPatchRows);
  const size_t widest = std::max<size_t>(kMostCounted / (size_t{4} * rows * s.c), 8);
  const auto width = static_cast<uint32_t>(std::min<size_t>(s.w, widest));
  const size_t values = size_t{rows} * width * s.c;
  const auto count = static_cast<uint32_t>(std::max<size_t>((kMostCounted + values / 2) / values, 1));
  std::vector<Patch> patches;
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t top = even_place(i, count, rows, s.h);
    const uint32_t across = s.h > rows ? i * 5 % count : i;  // not along a diagonal
    const uint32_t above = top > 0 ? 1 : 0;
    const uint32_t left = even_place(across, count, width, s.w);
    patches.push_back({columns(map.rows(top - above, rows + above), left, width), above != 0});
  }
  return patches;
}

// A value and its neighbours, companded.
struct Samples {
  std::vector<int16_t> w, n, nw, ne, value;
};

// Products of five inputs and a target, summed over samples.
struct Moments {
  std::array<std::array<double, 5>, 5> gram{};
  std::array<double, 5> target{};
};

using Columns = std::array<const int16_t*, 4>;

Moments moments_of(const Columns& x, const int16_t* y, size_t count) {
  const auto product = [count](const int16_t* a, const int16_t* b) {
    int64_t all = 0;
    for (size_t first = 0; first < count; first += 1024) {
      int32_t sum = 0;  // of at most 1024 products of bytes
      const size_t end = std::min(count, first + 1024);
      for (size_t i = first; i < end; ++i) sum += int32_t{a[i]} * b[i];
      all += sum;
    }
    return static_cast<double>(all);
  };
  const std::vector<int16_t> ones(count, 1);
  const std::array<const int16_t*, 5> inputs = {x[0], x[1], x[2], x[3], ones.data()};
  Moments found;
  for (size_t a = 0; a < 5; ++a) {
    for (size_t b = 0; b <= a; ++b) found.gram[a][b] = found.gram[b][a] = product(inputs[a], inputs[b]);
    found.target[a] = product(inputs[a], y);
  }
  return found;
}

// Least squares; a little ridge settles inputs that never vary.
std::array<double, 5> solve(Moments m) {
  double ridge = 1;
  for (size_t i = 0; i < 5; ++i) ridge += m.gram[i][i] / (1 << 20);
  for (size_t i = 0; i < 5; ++i) m.gram[i][i] += ridge;
  for (size_t i = 0; i < 5; ++i) {
    const double pivot = m.gram[i][i];
    for (size_t k = 0; k < 5; ++k) m.gram[i][k] /= pivot;
    m.target[i] /= pivot;
    for (size_t j = 0; j < 5; ++j) {
      if (j == i) continue;
      const double factor = m.gram[j][i];
      for (size_t k = 0; k < 5; ++k) m.gram[j][k] -= factor * m.gram[i][k];
      m.target[j] -= factor * m.target[i];
    }
  }
  return m.target;
}

// In 1/64, and small enough that a pair's products with bytes sum to 16 bits.
void put_weights(const std::array<double, 5>& weights, double gain, int8_t* out) {
  const double largest =
      kWeightOne * gain *
      std::max(std::abs(weights[0]) + std::abs(weights[1]), std::abs(weights[2]) + std::abs(weights[3]));
  const double scale = kWeightOne * gain * std::min(1.0, 126 / std::max(largest, 1.0));
  for (size_t i = 0; i < 4; ++i) out[i] = static_cast<int8_t>(std::lround(weights[i] * scale));
}

int32_t saturated(int32_t x) { return std::clamp(x, -32768, 32767); }

// The weighted sums of four columns, in 1/64.
void weigh(const Columns& x, const int8_t* weights, int16_t offset, std::vector<int16_t>& sums) {
  const int16_t a = weights[0], b = weights[1], c = weights[2], d = weights[3];
  const int16_t *const p = x[0], *const q = x[1], *const r = x[2], *const s = x[3];
  for (size_t i = 0; i < sums.size(); ++i) {
    sums[i] = static_cast<int16_t>(saturated(saturated(a * p[i] + b * q[i] + c * r[i] + d * s[i]) + offset));
  }
}

using StepCounts = std::array<uint64_t, kContextSteps>;

StepCounts steps_of(const std::vector<int16_t>& sums) {
  StepCounts counts{};
  for (const int16_t sum : sums) ++counts[static_cast<size_t>(std::clamp(sum >> 8, 0, 63))];
  return counts;
}

std::vector<uint8_t> thresholds(const StepCounts& counts, uint32_t levels) {
  const std::vector<uint32_t> level = even_levels(counts, levels);
  std::vector<uint8_t> found;
  for (uint32_t k = 1; k < levels; ++k) {
    const auto first = std::lower_bound(level.begin(), level.end(), k) - level.begin();
    found.push_back(static_cast<uint8_t>(std::min<ptrdiff_t>(first, kContextSteps - 1)));
  }
  return found;
}

void put_levels(const std::vector<uint8_t>& ascending, uint32_t scale, uint8_t* level_of) {
  for (uint32_t step = 0; step < kContextSteps; ++step) {
    const auto reached = std::upper_bound(ascending.begin(), ascending.end(), step) - ascending.begin();
    level_of[step] = static_cast<uint8_t>(reached * scale);
  }
}

class ContextFit {
 public:
  ContextFit(ConstView map, ValueRange range, uint32_t numerator, uint32_t denominator, Scratch& scratch)
      : map_(map),
        patches_(patches_of(map)),
        kernels_(context_kernels(kMaxLanes)),
        scratch_(scratch),
        draft_(draft_of(range, numerator, denominator, 1, false)) {}

  Status fit(std::vector<uint8_t>& parameters) {
    if (const Status s = model_.build(write_context_params(draft_)); !s.ok()) return s;
    tables_ = model_.tables();
    std::iota(std::begin(tables_.table_of), std::end(tables_.table_of), uint8_t{0});
    load();
    take_samples();
    const ModelSize& size = size_of_model();
    fit_weights(size);
    put_levels(draft_.mean_thresholds, size.spread_levels, tables_.level1);
    put_levels(draft_.spread_thresholds, 1, tables_.level2);
    const std::vector<uint32_t> counts = count_cells(size.levels * size.spread_levels);
    fit_context_tables(counts, size.spread_levels, size.tables, draft_);
    parameters = write_context_params(draft_);
    return {};
  }

 private:
  // Values of a row.
  size_t row_values() const { return size_t{map_.shape.c} * patches_[0].view.shape.w; }
  // Companded rows have a position more on either side.
  size_t row_stride() const { return row_values() + 2 * size_t{map_.shape.c} + kVectorPad; }

  // Indices and companded rows of all patches; patches are equally wide.
  void load() {
    size_t rows = 0;
    for (const Patch& patch : patches_) rows += patch.view.shape.h;
    indices_ = scratch_.get(kIndexSlot, rows * row_values() + kVectorPad);
    companded_ = scratch_.get(kPatchSlot, rows * row_stride() + kVectorPad);
    const Requantizer& requantizer = model_.params().requantizer;
    uint8_t* to = indices_;
    for (const Patch& patch : patches_) {
      load_interleaved(patch.view, to);
      to += patch.view.shape.size();
    }
    const size_t values = rows * row_values();
    if (requantizer.active) kernels_.look_up(requantizer.index_of.data(), indices_, values, indices_);
    for (size_t row = 0; row < rows; ++row) {
      kernels_.look_up(tables_.companded, indices_ + row * row_values(), row_values(),
                       companded_ + row * row_stride() + map_.shape.c);
    }
  }

  // Calls `visit(row, indices)` for the rows that are counted, with their margins and those above them set.
  template <class Visit>
  void each_row(Visit visit) {
    const size_t channels = map_.shape.c;
    size_t number = 0;
    for (const Patch& patch : patches_) {
      for (uint32_t h = 0; h < patch.view.shape.h; ++h, ++number) {
        uint8_t* current = companded_ + number * row_stride() + channels;
        ContextRow row{map_.shape.c, patch.view.shape.w, kMaxLanes, nullptr, current};
        if (h == 0) {
          if (patch.first_is_neighbour) continue;
          std::memset(current - channels, tables_.companded[0], channels);
        } else {
          uint8_t* above = current - row_stride();
          std::memcpy(current - channels, above, channels);
          std::memcpy(above - channels, above, channels);
          std::memcpy(above + row_values(), above + row_values() - channels, channels);
          row.above = above;
        }
        visit(row, indices_ + number * row_values());
      }
    }
  }

  void take_samples() {
    size_t counted = 0;
    for (const Patch& patch : patches_) {
      counted += (patch.view.shape.h - (patch.first_is_neighbour ? 1 : 0)) * row_values();
    }
    const size_t stride = counted / std::max(counted / kSampledShare, kLeastSampled) | 1;
    const size_t channels = map_.shape.c, values = row_values();
    for (auto* x : {&samples_.w, &samples_.n, &samples_.nw, &samples_.ne, &samples_.value}) {
      x->reserve(counted / stride + 1);
    }
    size_t next = 0;  // counted from the row's beginning
    each_row([&](const ContextRow& row, const uint8_t*) {
      for (; next < values; next += stride) {
        const uint8_t* west = row.current + next - channels;
        const uint8_t* north = row.above != nullptr ? row.above + next : west;
        const ptrdiff_t step = row.above != nullptr ? static_cast<ptrdiff_t>(channels) : 0;
        samples_.w.push_back(*west);
        samples_.n.push_back(*north);
        samples_.nw.push_back(north[-step]);
        samples_.ne.push_back(north[step]);
        samples_.value.push_back(row.current[next]);
      }
      next -= values;
    });
  }

  // A model that pays for itself in the frame of this map.
  const ModelSize& size_of_model() const {
    const auto zeros = static_cast<size_t>(
        std::count(samples_.value.begin(), samples_.value.end(), int16_t{tables_.companded[0]}));
    const size_t nonzero = map_.shape.size() / samples_.value.size() * (samples_.value.size() - zeros);
    const size_t values = std::min(map_.shape.size(), kSparse * nonzero);
    return *std::find_if(std::begin(kSizes), std::end(kSizes),
                         [&](const ModelSize& size) { return values >= size.least_values; });
  }

  // Weights and thresholds of mean and spread, by least squares of the companded value on its neighbours, and
  // of the residual's magnitude on their distances.
  void fit_weights(const ModelSize& size) {
    const Samples& s = samples_;
    const size_t count = s.value.size();
    const int32_t origin = std::max(kUnsignedOrigin - tables_.companded[0], 0);
    const auto means =
        solve(moments_of({s.w.data(), s.n.data(), s.nw.data(), s.ne.data()}, s.value.data(), count));
    put_weights(means, 1, draft_.mean_weights);
    draft_.offset =
        static_cast<int16_t>(std::clamp<long>(std::lround(kWeightOne * (means[4] + origin)), -32768, 32767));

    std::array<std::vector<int16_t>, 5> spreads;
    for (auto& x : spreads) x.resize(count);
    std::vector<int16_t> sums(count);
    weigh({s.w.data(), s.n.data(), s.nw.data(), s.ne.data()}, draft_.mean_weights, draft_.offset, sums);
    draft_.mean_thresholds = thresholds(steps_of(sums), size.levels);
    for (size_t i = 0; i < count; ++i) {
      spreads[0][i] = static_cast<int16_t>(std::abs(s.w[i] - s.n[i]));
      spreads[1][i] = static_cast<int16_t>(std::abs(s.w[i] - s.nw[i]));
      spreads[2][i] = static_cast<int16_t>(std::abs(s.n[i] - s.nw[i]));
      spreads[3][i] = static_cast<int16_t>(std::abs(s.n[i] - s.ne[i]));
      spreads[4][i] =
          static_cast<int16_t>(std::abs(s.value[i] - (std::clamp(sums[i] >> 6, 0, 255) - origin)));
    }

    const Columns distances = {spreads[0].data(), spreads[1].data(), spreads[2].data(), spreads[3].data()};
    put_weights(solve(moments_of(distances, spreads[4].data(), count)), kSpreadGain, draft_.spread_weights);
    weigh(distances, draft_.spread_weights, 0, sums);
    draft_.spread_thresholds = thresholds(steps_of(sums), size.spread_levels);
    std::copy_n(draft_.mean_weights, 4, tables_.mean_weights);
    std::copy_n(draft_.spread_weights, 4, tables_.spread_weights);
    tables_.offset = draft_.offset;
  }

  std::vector<uint32_t> count_cells(uint32_t cells) {
    const size_t row = row_values() + kVectorPad;
    ContextWork work{};
    work.table = scratch_.get(kContextsSlot, 2 * row);
    work.zero_class = work.table + row;
    // Two histograms take turns, so that equal neighbours need not wait for one another.
    const size_t size = size_t{cells} * kFitSymbols;
    std::vector<uint32_t> counts(size), others(size);
    const size_t values = row_values();
    each_row([&](const ContextRow& current, const uint8_t* indices) {
      kernels_.row_contexts(tables_, current, work);
      const uint8_t* const cell = work.table;
      size_t i = 0;
      for (; i + 2 <= values; i += 2) {
        ++counts[cell[i] * kFitSymbols + indices[i]];
        ++others[cell[i + 1] * kFitSymbols + indices[i + 1]];
      }
      if (i < values) ++counts[cell[i] * kFitSymbols + indices[i]];
    });
    for (size_t i = 0; i < size; ++i) counts[i] += others[i];
    return counts;
  }

  ConstView map_;
  std::vector<Patch> patches_;
  const ContextKernels& kernels_;
  Scratch& scratch_;
  ContextDraft draft_;
  ContextModel model_;
  ContextTables tables_{};
  uint8_t* indices_ = nullptr;
  uint8_t* companded_ = nullptr;
  Samples samples_;
};

}  // namespace

Status fit_context_params(ConstView map, ValueRange range, uint32_t numerator, uint32_t denominator,
                          Scratch& scratch, std::vector<uint8_t>& parameters) {
  return ContextFit(map, range, numerator, denominator, scratch).fit(parameters);
}

}  // namespace fmapzip
