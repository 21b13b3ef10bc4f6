#include "entropy/context_statistics.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <numeric>

#include "entropy/context_kernels.hpp"
#include "entropy/context_rows.hpp"
#include "entropy/prediction_walk.hpp"
#include "layout.hpp"

namespace fmapzip {
namespace {

constexpr size_t kMapSlot = 0;
constexpr size_t kMeansSlot = 1;
constexpr size_t kSeenSlot = 2;

template <size_t kCount>
void add_products(const std::array<int32_t, kCount>& x, int64_t* products) {
  for (size_t a = 0; a < kCount; ++a) {
    for (size_t b = 0; b < kCount; ++b) products[kCount * a + b] += x[a] * x[b];
  }
}

}  // namespace

// One row of one map: indices, companded neighbours, and what was asked for besides.
struct ContextStatistics::RowView {
  uint32_t channels;
  size_t values;
  const uint8_t* indices;
  ContextRow row;
  const uint8_t* context;  // what row_contexts gave
  const int16_t* means;

  int residual(size_t i, int origin) const {
    return row.current[i] - (std::clamp(means[i] >> 6, 0, 255) - origin);
  }
  const uint8_t* west() const { return row.current - channels; }
  const uint8_t* north() const { return row.above != nullptr ? row.above : west(); }
  const uint8_t* north_west() const { return row.above != nullptr ? row.above - channels : west(); }
  const uint8_t* north_east() const { return row.above != nullptr ? row.above + channels : west(); }
};

template <class Visit>
void ContextStatistics::each_row(std::span<const ConstView> maps, With with, Visit visit) {
  const ContextKernels& kernels = context_kernels(kMaxLanes);
  const Requantizer& requantizer = model_.params().requantizer;
  for (const ConstView& map : maps) {
    const Shape shape = map.shape;
    const size_t row_bytes = size_t{shape.c} * shape.w;
    uint8_t* indices = scratch_.get(kMapSlot, shape.size() + kVectorPad);
    load_interleaved(map, indices);
    if (requantizer.active) kernels.look_up(requantizer.index_of.data(), indices, shape.size(), indices);
    const ContextRows rows(tables_, {shape.c, shape.h, shape.w}, row_bytes, 0, scratch_);
    auto* means = reinterpret_cast<int16_t*>(scratch_.get(kMeansSlot, 2 * row_bytes));
    for (uint32_t h = 0; h < shape.h; ++h) {
      kernels.look_up(tables_.companded, indices + h * row_bytes, row_bytes, rows.row(h));
      const ContextRow row = rows.at(h, kMaxLanes);
      if (with == With::contexts) kernels.row_contexts(tables_, row, rows.work());
      if (with == With::means) row_means(tables_, row, means);
      visit(RowView{shape.c, row_bytes, indices + h * row_bytes, row, rows.work().table, means});
    }
  }
}

void ContextStatistics::show(Axis axis) {
  std::iota(std::begin(tables_.table_of), std::end(tables_.table_of), uint8_t{0});
  if (axis == Axis::cell) return;
  uint8_t* shown = axis == Axis::mean ? tables_.level1 : tables_.level2;
  uint8_t* hidden = axis == Axis::mean ? tables_.level2 : tables_.level1;
  std::iota(shown, shown + kContextSteps, uint8_t{0});
  std::memset(hidden, 0, kContextSteps);
}

// Calls visit(channel, inputs) for every value.
template <class Visit>
void ContextStatistics::each_input(std::span<const ConstView> maps, Visit visit) {
  each_row(maps, With::nothing, [&](const RowView& view) {
    for (size_t i = 0, c = 0; i < view.values; ++i, c = c + 1 == view.channels ? 0 : c + 1) {
      visit(c, std::array<int32_t, kInputs>{view.west()[i], view.north()[i], view.north_west()[i],
                                            view.north_east()[i], 1, view.row.current[i]});
    }
  });
}

// Calls visit(channel, distances and residual) for every value.
template <class Visit>
void ContextStatistics::each_spread(std::span<const ConstView> maps, int32_t origin, Visit visit) {
  each_row(maps, With::means, [&](const RowView& view) {
    for (size_t i = 0, c = 0; i < view.values; ++i, c = c + 1 == view.channels ? 0 : c + 1) {
      const int w = view.west()[i], n = view.north()[i], nw = view.north_west()[i], ne = view.north_east()[i];
      visit(c, std::array<int32_t, kSpreads>{std::abs(w - n), std::abs(w - nw), std::abs(n - nw),
                                             std::abs(n - ne), 1, std::abs(view.residual(i, origin))});
    }
  });
}

void ContextStatistics::moments(std::span<const ConstView> maps, std::span<int64_t> sums,
                                std::span<int64_t> products) {
  each_input(maps, [&](size_t c, const std::array<int32_t, kInputs>& x) {
    for (size_t a = 0; a < kInputs; ++a) sums[c * kInputs + a] += x[a];
    add_products(x, products.data());
  });
}

void ContextStatistics::spread_moments(std::span<const ConstView> maps, int32_t origin,
                                       std::span<int64_t> products) {
  each_spread(maps, origin, [&](size_t, const auto& x) { add_products(x, products.data()); });
}

void ContextStatistics::channel_moments(std::span<const ConstView> maps, std::span<int64_t> products) {
  each_input(maps, [&](size_t c, const auto& x) { add_products(x, &products[c * kInputs * kInputs]); });
}

void ContextStatistics::channel_spread_moments(std::span<const ConstView> maps, int32_t origin,
                                               std::span<int64_t> products) {
  each_spread(maps, origin,
              [&](size_t c, const auto& x) { add_products(x, &products[c * kSpreads * kSpreads]); });
}

void ContextStatistics::count(std::span<const ConstView> maps, Axis axis, std::span<int64_t> counts) {
  show(axis);
  each_row(maps, With::contexts, [&](const RowView& view) {
    for (size_t i = 0; i < view.values; ++i) ++counts[view.context[i] * kSymbols + view.indices[i]];
  });
}

void ContextStatistics::count_channels(std::span<const ConstView> maps, std::span<int64_t> counts) {
  each_row(maps, With::nothing, [&](const RowView& view) {
    for (size_t i = 0, c = 0; i < view.values; ++i, c = c + 1 == view.channels ? 0 : c + 1) {
      ++counts[c * kSymbols + view.indices[i]];
    }
  });
}

void ContextStatistics::count_zeros(std::span<const ConstView> maps, std::span<int64_t> counts) {
  show(Axis::cell);
  each_row(maps, With::contexts, [&](const RowView& view) {
    for (size_t i = 0, c = 0; i < view.values; ++i, c = c + 1 == view.channels ? 0 : c + 1) {
      ++counts[(c * kCells + view.context[i]) * 2 + (view.indices[i] != 0 ? 1 : 0)];
    }
  });
}

// Calls visit(map, walk, step) for each step, whose values are predicted and whose indices are known.
template <class Visit>
Status ContextStatistics::each_step(std::span<const ConstView> maps, GivenMaps references, Visit visit) {
  const References& needed = model_.params().references;
  const ContextKernels& kernels = context_kernels(kMaxLanes);
  const Requantizer& requantizer = model_.params().requantizer;
  for (size_t m = 0; m < maps.size(); ++m) {
    const size_t n = maps[m].shape.size();
    uint8_t* indices = scratch_.get(kMapSlot, n + kVectorPad);
    load_interleaved(maps[m], indices);
    if (requantizer.active) kernels.look_up(requantizer.index_of.data(), indices, n, indices);
    Estimates estimates{};
    if (!needed.maps.empty()) {
      GivenReferences given;
      if (references.size() != maps.size()) return {Code::reference, "maps have no references"};
      if (const Status s = given.build(needed, references[m]); !s.ok()) return s;
      if (const Status s = given.fit(maps[m].shape); !s.ok()) return s;
      auto* const values = reinterpret_cast<int16_t*>(scratch_.get(kMeansSlot, 2 * n));
      uint8_t* const seen = scratch_.get(kSeenSlot, n);
      given.estimate(needed, model_.params().range, maps[m].shape, 0, values, seen);
      estimates = {values, seen};
    }
    PredictionWalk walk(tables_, needed.maps.empty() ? nullptr : &estimates, maps[m].shape, false, 0,
                        scratch_);
    for (uint32_t step = 0; step < walk.steps(); ++step) {
      walk.predict(step);
      walk.take_indices(step, indices);
      visit(m, walk, step);
      kernels.look_up(tables_.companded, walk.indices(step), walk.count(step), walk.companded(step));
      walk.gather();
    }
  }
  return {};
}

void ContextStatistics::count_predicted(std::span<const ConstView> maps, std::span<int64_t> symbols,
                                        std::span<int64_t> zeros) {
  (void)each_step(maps, {}, [&](size_t, const PredictionWalk& walk, uint32_t step) {
    const PredictionSteps found = walk.predicted(step);
    const uint32_t values = walk.count(step);
    for (uint32_t i = 0; i < values; ++i) {
      const size_t pair = size_t{found.mean[i]} * kContextSteps + found.spread[i];
      const uint8_t index = walk.indices(step)[i];
      ++symbols[pair * kSymbols + index];
      ++zeros[(pair * kZeroNumbers + found.zero[i]) * 2 + (index != 0 ? 1 : 0)];
    }
  });
}

Status ContextStatistics::count_head(std::span<const ConstView> maps, GivenMaps references,
                                     std::span<int64_t> symbols) {
  return each_step(maps, references, [&](size_t, const PredictionWalk& walk, uint32_t step) {
    const PredictionSteps found = walk.predicted(step);
    const uint32_t values = walk.count(step);
    for (uint32_t i = 0; i < values; ++i) {
      const size_t pair = size_t{found.mean[i]} * kHeadSpreadSteps + found.spread[i];
      ++symbols[pair * kSymbols + walk.indices(step)[i]];
    }
  });
}

Status ContextStatistics::hear(std::span<const ConstView> maps, GivenMaps references,
                               std::span<const int64_t> positions, std::span<uint8_t> inputs,
                               std::span<int32_t> means) {
  const PredictionTables& t = *tables_.prediction;
  std::vector<size_t> row_of;  // of a position of the map that is walked, among those that were asked for
  size_t walked = maps.size();
  size_t next = 0;
  int64_t begin = 0;
  const uint32_t heard = t.head->inputs;
  return each_step(maps, references, [&](size_t m, const PredictionWalk& walk, uint32_t step) {
    if (m != walked) {
      walked = m;
      const int64_t count = int64_t{maps[m].shape.h} * maps[m].shape.w;
      row_of.assign(static_cast<size_t>(count), SIZE_MAX);
      for (; next < positions.size() && positions[next] < begin + count; ++next) {
        row_of[static_cast<size_t>(positions[next] - begin)] = next;
      }
      begin += count;
    }
    const PredictionStep& known = walk.known();
    for (uint32_t c = known.first; c < known.end; ++c) {
      const size_t row = row_of[step - t.span_of[c / kPredictionGroup]];
      if (row == SIZE_MAX) continue;
      const HeadValue value = head_value(t, known, c);
      const size_t at = row * t.channels + c;
      std::copy_n(value.inputs, heard, &inputs[at * heard]);
      means[at] = value.mean;
    }
  });
}

}  // namespace fmapzip
