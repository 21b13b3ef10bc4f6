#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "entropy/context_model.hpp"
#include "fmapzip/map.hpp"
#include "fmapzip/reference.hpp"
#include "fmapzip/scratch.hpp"

// What training counts on calibration maps. Deterministic: integers, in the order of the maps.
namespace fmapzip {

class ContextStatistics {
 public:
  static constexpr size_t kInputs = 6;     // W, N, NW, NE, 1, value
  static constexpr size_t kSpreads = 6;    // |W-N|, |W-NW|, |N-NW|, |N-NE|, 1, |residual|
  static constexpr size_t kSymbols = 256;  // indices, as bytes

  // What row_contexts is made to give instead of a cell.
  enum class Axis : uint8_t { mean, spread, cell };

  // Of each map those that its values are told by: as many lists as there are maps, or none at all.
  using GivenMaps = std::span<const std::vector<ReferenceMap>>;

  // The model's own tables and classes are not looked at.
  explicit ContextStatistics(const ContextModel& model) : model_(model), tables_(model.tables()) {}

  // For every channel, sums of the companded neighbours and value: [c][kInputs]; and over all channels their
  // products, [kInputs][kInputs].
  void moments(std::span<const ConstView> maps, std::span<int64_t> sums, std::span<int64_t> products);

  // Products of the neighbours' distances and the residual's magnitude, [kSpreads][kSpreads].
  void spread_moments(std::span<const ConstView> maps, int32_t origin, std::span<int64_t> products);

  // The same products for every channel: [c][kInputs][kInputs] and [c][kSpreads][kSpreads].
  void channel_moments(std::span<const ConstView> maps, std::span<int64_t> products);
  void channel_spread_moments(std::span<const ConstView> maps, int32_t origin, std::span<int64_t> products);

  // How often each index occurs at each step of the mean or spread, or in each cell: [kCells][kSymbols].
  void count(std::span<const ConstView> maps, Axis axis, std::span<int64_t> counts);

  // How often each index occurs in each channel: [c][kSymbols].
  void count_channels(std::span<const ConstView> maps, std::span<int64_t> counts);

  // How often each cell meets a zero and another value in each channel: [c][kCells][2].
  void count_zeros(std::span<const ConstView> maps, std::span<int64_t> counts);

  // Where channels predict channels: how often each index, and how often each predicted zero number with zero
  // and with another value, occurs at each pair of steps of mean and spread: [pair][kSymbols] and
  // [pair][kZeroNumbers][2].
  static constexpr size_t kPairs = size_t{kContextSteps} * kContextSteps;
  void count_predicted(std::span<const ConstView> maps, std::span<int64_t> symbols, std::span<int64_t> zeros);

  // Where they do so with a head: how often each index occurs at each pair of its steps, [pair][kSymbols].
  Status count_head(std::span<const ConstView> maps, GivenMaps references, std::span<int64_t> symbols);
  // What a head hears of the values of some positions, which are numbered through all maps and ascend: its
  // inputs, [position][c][of the head], and means, [position][c].
  Status hear(std::span<const ConstView> maps, GivenMaps references, std::span<const int64_t> positions,
              std::span<uint8_t> inputs, std::span<int32_t> means);

 private:
  template <class Visit>
  Status each_step(std::span<const ConstView> maps, GivenMaps references, Visit visit);
  struct RowView;
  enum class With : uint8_t { nothing, contexts, means };
  template <class Visit>
  void each_row(std::span<const ConstView> maps, With with, Visit visit);
  template <class Visit>
  void each_input(std::span<const ConstView> maps, Visit visit);
  template <class Visit>
  void each_spread(std::span<const ConstView> maps, int32_t origin, Visit visit);
  void show(Axis axis);

  const ContextModel& model_;
  ContextTables tables_;
  Scratch scratch_;
};

}  // namespace fmapzip
