#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "entropy/prediction.hpp"
#include "fmapzip/map.hpp"

namespace fmapzip {

// The order of a tile whose channels predict channels: step d has span s of position d - s.
class PredictionOrder {
 public:
  PredictionOrder(const PredictionTables& t, Shape tile)
      : width_(t.width), spans_(t.spans), channels_(tile.c), positions_(tile.h * tile.w) {}

  uint32_t steps() const { return positions_ + spans_ - 1; }
  // A step's spans and channels.
  uint32_t first_span(uint32_t step) const { return step < positions_ ? 0 : step - positions_ + 1; }
  uint32_t end_span(uint32_t step) const { return std::min(step + 1, spans_); }
  uint32_t first(uint32_t step) const { return first_span(step) * width_; }
  uint32_t count(uint32_t step) const { return std::min(end_span(step) * width_, channels_) - first(step); }

  // Copies what is of a step from a tile [position][channel].
  void take(uint32_t step, const uint8_t* tile, uint8_t* to) const {
    each_span(step, [&](size_t position, size_t channel, size_t in_step, size_t n) {
      copy(tile + position * channels_ + channel, n, to + in_step);
    });
  }
  // The same into a tile.
  void give(uint32_t step, const uint8_t* from, uint8_t* tile) const {
    each_span(step, [&](size_t position, size_t channel, size_t in_step, size_t n) {
      copy(from + in_step, n, tile + position * channels_ + channel);
    });
  }

  // A span's values; most are few.
  static void copy(const uint8_t* from, size_t n, uint8_t* to) {
    size_t i = 0;
    for (; i + 16 <= n; i += 16) std::memcpy(to + i, from + i, 16);
    for (; i + 4 <= n; i += 4) std::memcpy(to + i, from + i, 4);
    for (; i < n; ++i) to[i] = from[i];
  }

  // The same where what follows is padding, or copied next.
  static void copy_on(const uint8_t* from, size_t n, uint8_t* to) {
    for (size_t i = 0; i < n; i += 16) std::memcpy(to + i, from + i, 16);
  }

  // Calls work(a span's position, its first channel, where it is in its step, how many values).
  template <class Work>
  void each_span(uint32_t step, Work work) const {
    const uint32_t last = end_span(step), from = first(step);
    for (uint32_t s = first_span(step); s < last; ++s) {
      const uint32_t c = s * width_;
      work(size_t{step - s}, size_t{c}, size_t{c - from}, size_t{std::min(width_, channels_ - c)});
    }
  }

 private:
  uint32_t width_;
  uint32_t spans_;
  uint32_t channels_;
  uint32_t positions_;
};

}  // namespace fmapzip
