#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

#include "entropy/context_coder.hpp"
#include "entropy/context_kernels.hpp"
#include "entropy/prediction.hpp"
#include "fmapzip/map.hpp"
#include "fmapzip/scratch.hpp"

namespace fmapzip {

// The steps of a tile whose channels predict channels. In step d, span s is at position d - s: what it is
// predicted from (earlier positions of its channels, earlier spans of its position) lies in earlier steps.
class PredictionWalk {
 public:
  // `contexts`: for so many values there are tables and zero classes; `indices`: bytes for the caller's use.
  PredictionWalk(const ContextTables& tables, Shape tile, size_t contexts, size_t indices, Scratch& scratch)
      : t_(*tables.prediction),
        kernels_(prediction_kernels()),
        channels_(tile.c),
        width_(tile.w),
        positions_(tile.h * tile.w) {
    const size_t values = padded(tile.size()), step = padded(channels_), order = padded(contexts);
    const size_t means = padded(2 * size_t{t_.width});
    const size_t places = padded(t_.spans * sizeof(PredictionPlace));
    const size_t total = values + 6 * step + padded(2 * size_t{channels_}) + 2 * order + padded(indices) +
                         t_.spans * means + places;
    uint8_t* p = scratch.get(kContextSlot, total + kVectorPad);
    p += (kVectorPad - reinterpret_cast<uintptr_t>(p) % kVectorPad) % kVectorPad;
    const auto take = [&p](size_t bytes) { return std::exchange(p, p + bytes); };
    places_ = reinterpret_cast<PredictionPlace*>(take(places));
    std::memset(places_, 0, places);
    for (uint32_t s = 0; s < t_.spans; ++s) places_[s].means = reinterpret_cast<int16_t*>(take(means));
    companded_ = take(values);
    start_ = take(step);
    std::memset(start_, t_.zero, step);
    steps_ = {take(step), take(step), take(step)};
    packed_ = take(step);
    work_.packed = packed_;
    work_.entries = reinterpret_cast<uint16_t*>(take(padded(2 * size_t{channels_})));
    work_.table = take(order);
    work_.zero_class = take(order);
    indices_ = take(padded(indices));
  }

  uint32_t steps() const { return positions_ + t_.spans - 1; }
  uint8_t* companded() const { return companded_; }
  const ContextWork& work() const { return work_; }
  const PredictionSteps& predicted() const { return steps_; }
  uint8_t* indices() const { return indices_; }

  uint32_t values(uint32_t step) const {
    const uint32_t first = first_span(step), end = end_span(step);
    return std::min(end * t_.width, channels_) - first * t_.width;
  }

  // Predicts the values of a step.
  void predict(uint32_t step) {
    if (step < positions_) open(step);
    uint8_t *mean = steps_.mean, *spread = steps_.spread, *zero = steps_.zero;
    for (uint32_t s = first_span(step); s < end_span(step); ++s) {
      kernels_.predict(t_, place(step - s), s, {mean, spread, zero});
      mean += t_.width;
      spread += t_.width;
      zero += t_.width;
    }
  }

  // Calls work(where the span is in a tile [position][channel], where it is in its step, how many values).
  template <class Work>
  void each_span(uint32_t step, Work work) const {
    const uint32_t first = first_span(step), end = end_span(step);
    for (uint32_t s = first; s < end; ++s) {
      const uint32_t c = s * t_.width;
      work(size_t{step - s} * channels_ + c, size_t{s - first} * t_.width, std::min(t_.width, channels_ - c));
    }
  }

  // Takes in the companded values of a step.
  void gather(uint32_t step) {
    const uint32_t end = std::min(end_span(step), t_.spans - 1);  // after the last span nothing follows
    for (uint32_t s = first_span(step); s < end; ++s) kernels_.gather(t_, place(step - s), s);
  }

 private:
  static size_t padded(size_t n) { return (n + kVectorPad - 1) / kVectorPad * kVectorPad + kVectorPad; }

  uint32_t first_span(uint32_t step) const { return step < positions_ ? 0 : step - positions_ + 1; }
  uint32_t end_span(uint32_t step) const { return std::min(step + 1, t_.spans); }
  PredictionPlace& place(uint32_t position) { return places_[position % t_.spans]; }

  void open(uint32_t position) {
    PredictionPlace& at = place(position);
    const uint32_t row = position / width_, column = position % width_;
    uint8_t* const here = companded_ + size_t{position} * channels_;
    const uint8_t* const above = row == 0 ? nullptr : here - size_t{width_} * channels_;
    const uint8_t* w = column != 0 ? here - channels_ : row != 0 ? above : start_;
    const uint8_t* ww = column > 1 ? here - 2 * size_t{channels_} : w;
    if (row == 0) {
      const uint8_t* const found[7] = {w, w, w, w, ww, w, w};
      std::copy(found, found + 7, at.neighbours);
    } else {
      const uint32_t right = width_ - 1 - column;
      const uint8_t* const found[7] = {w,
                                       above,
                                       column != 0 ? above - channels_ : above,
                                       above + std::min(right, 1u) * size_t{channels_},
                                       ww,
                                       row > 1 ? above - size_t{width_} * channels_ : above,
                                       above + std::min(right, 2u) * size_t{channels_}};
      std::copy(found, found + 7, at.neighbours);
    }
    at.current = here;
    at.residuals = 0;
    at.activity = t_.first_activity;
    std::memset(at.sums, 0, sizeof(at.sums));
  }

  const PredictionTables& t_;
  const PredictionKernels& kernels_;
  uint32_t channels_;
  uint32_t width_;
  uint32_t positions_;
  PredictionPlace* places_;
  uint8_t* companded_;
  uint8_t* start_;
  uint8_t* packed_;
  PredictionSteps steps_{};
  ContextWork work_{};
  uint8_t* indices_;
};

}  // namespace fmapzip
