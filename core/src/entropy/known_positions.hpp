#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

#include "entropy/context_coder.hpp"
#include "entropy/context_kernels.hpp"
#include "entropy/prediction.hpp"
#include "entropy/prediction_order.hpp"
#include "fmapzip/map.hpp"
#include "fmapzip/scratch.hpp"

namespace fmapzip {

// The contexts of a tile whose channels predict channels, for an encoder: all values are known, so that
// several positions are predicted at once, from the last one on, as the steps that have them are asked for.
class KnownPositions {
 public:
  // `indices`: [position][channel].
  KnownPositions(const ContextTables& tables, const ContextKernels& kernels, const KnownKernels& known,
                 const uint8_t* indices, Shape tile, Scratch& scratch)
      : tables_(tables),
        t_(*tables.prediction),
        order_(t_, tile),
        kernels_(kernels),
        known_(known),
        indices_(indices),
        channels_(tile.c),
        width_(tile.w),
        positions_(tile.h * tile.w),
        stride_((tile.c + kVectorPad - 1) / kVectorPad * kVectorPad),
        first_((positions_ + kKnownPositions - 1) / kKnownPositions * kKnownPositions) {
    while (slots_ < t_.spans + kKnownPositions) slots_ *= 2;
    const size_t all = padded(tile.size()), one = padded(channels_), kept = padded(size_t{slots_} * stride_);
    const size_t places = padded(kKnownPositions * t_.spans * sizeof(PredictionPlace));
    const size_t of_a_position = padded(4 * one) + padded(2 * one) + 4 * one;
    uint8_t* p =
        scratch.get(kContextSlot, places + all + 2 * kept + 5 * one + kKnownPositions * of_a_position +
                                      padded(2 * one) + kVectorPad);
    p += (kVectorPad - reinterpret_cast<uintptr_t>(p) % kVectorPad) % kVectorPad;
    const auto take = [&p](size_t bytes) { return std::exchange(p, p + bytes); };
    auto* place = reinterpret_cast<PredictionPlace*>(take(places));
    std::memset(place, 0, places);
    for (uint32_t b = 0; b < kKnownPositions; ++b) {
      for (uint32_t s = 0; s < t_.spans; ++s) places_[b][s] = place++;
      PredictionStep& step = steps_[b];
      step.first = 0;
      step.end = channels_;
      step.places = places_[b];
      step.projected = reinterpret_cast<int32_t*>(take(padded(4 * one)));
      step.means = reinterpret_cast<int16_t*>(take(padded(2 * one)));
      step.residuals = take(one);
      step.context = {take(one), take(one), take(one)};
    }
    outside_ = take(one);
    std::memset(outside_, t_.zero, one);
    companded_ = take(all);
    table_ = take(kept);
    zero_class_ = take(kept);
    work_ = {take(one), take(one), take(one), reinterpret_cast<uint16_t*>(take(padded(2 * one)))};
    of_step_ = take(one);
    kernels_.look_up(tables.companded, indices, tile.size(), companded_);
  }

  const PredictionOrder& order() const { return order_; }

  // A step's contexts and indices, valid until the next one is taken.
  struct Step {
    const ContextWork& work;
    const uint8_t* indices;
  };
  // To be called for the last step, the one before it, ...
  Step take(uint32_t step) {
    while (first_ > step + 1 - order_.end_span(step)) {
      first_ -= kKnownPositions;
      find_contexts(first_);
    }
    order_.each_span(step, [&](size_t position, size_t channel, size_t in_step, size_t n) {
      const size_t kept = (position & (slots_ - 1)) * stride_ + channel;
      PredictionOrder::copy_on(table_ + kept, n, work_.table + in_step);
      PredictionOrder::copy_on(zero_class_ + kept, n, work_.zero_class + in_step);
      PredictionOrder::copy_on(indices_ + position * channels_ + channel, n, of_step_ + in_step);
    });
    return {work_, of_step_};
  }

 private:
  // Of kKnownPositions positions; what is said of those behind the last means nothing.
  void find_contexts(uint32_t first) {
    for (uint32_t b = 0; b < kKnownPositions; ++b) open(std::min(first + b, positions_ - 1), steps_[b]);
    known_.find_residuals(t_, steps_);
    known_.gather(t_, steps_);
    known_.project(t_, steps_);
    known_.predict(t_, steps_);
    for (uint32_t b = 0; b < std::min(kKnownPositions, positions_ - first); ++b) {
      const size_t kept = ((first + b) & (slots_ - 1)) * stride_;
      kernels_.predicted_contexts(tables_, steps_[b].context, channels_, table_ + kept, zero_class_ + kept);
    }
  }

  // A position's neighbours.
  void open(uint32_t position, PredictionStep& step) const {
    const uint32_t row = position / width_, column = position % width_, right = width_ - 1 - column;
    const auto at = [&](size_t ago) { return companded_ + (position - ago) * channels_; };
    const size_t n = width_;
    const uint8_t* const above = row == 0 ? nullptr : at(n);
    const uint8_t* const w = column != 0 ? at(1) : row == 0 ? outside_ : above;
    const uint8_t** to = step.neighbours;
    *to++ = w;
    *to++ = row == 0 ? w : above;
    *to++ = row == 0 ? w : column != 0 ? at(n + 1) : above;
    *to++ = row == 0 ? w : at(n - std::min<size_t>(right, 1));
    *to++ = column > 1 ? at(2) : w;
    *to++ = row == 0 ? w : row > 1 ? at(2 * n) : above;
    *to++ = row == 0 ? w : at(n - std::min<size_t>(right, 2));
    step.current = at(0);
  }

  const ContextTables& tables_;
  const PredictionTables& t_;
  PredictionOrder order_;
  const ContextKernels& kernels_;
  const KnownKernels& known_;
  const uint8_t* indices_;
  uint32_t channels_;
  uint32_t width_;
  uint32_t positions_;
  size_t stride_;       // of contexts of a position: kernels write whole vectors
  uint32_t first_;      // of the positions whose contexts are known
  uint32_t slots_ = 1;  // of positions whose contexts are kept
  PredictionPlace* places_[kKnownPositions][kMaxPredictionSpans];
  PredictionStep steps_[kKnownPositions]{};
  uint8_t *outside_, *companded_, *table_, *zero_class_, *of_step_;
  ContextWork work_{};
};

}  // namespace fmapzip
