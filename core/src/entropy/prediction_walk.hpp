#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

#include "entropy/context_coder.hpp"
#include "entropy/context_kernels.hpp"
#include "entropy/prediction.hpp"
#include "entropy/prediction_head.hpp"
#include "entropy/prediction_order.hpp"
#include "entropy/reference_estimates.hpp"
#include "fmapzip/map.hpp"
#include "fmapzip/scratch.hpp"

namespace fmapzip {

// The steps of a tile whose channels predict channels. In step d, span s is at position d - s: what it is
// predicted from (earlier positions of its channels, earlier spans of its position) lies in earlier steps.
// Numbers are kept as [step][channel], where a neighbour of all channels of a step is one step's row.
class PredictionWalk {
 public:
  // `keeps`: whether contexts and indices of all steps are kept, or only a step's; `extra`: bytes for the
  // caller's use. `estimates` are there if, and only if, parameters refer to other maps.
  PredictionWalk(const ContextTables& tables, const Estimates* estimates, Shape tile, bool keeps,
                 size_t extra, Scratch& scratch)
      : t_(*tables.prediction),
        order_(t_, tile),
        estimates_(estimates),
        estimate_weights_(tables.estimate_weights),
        kernels_(prediction_kernels()),
        head_kernels_(head_kernels()),
        channels_(tile.c),
        width_(tile.w),
        positions_(tile.h * tile.w),
        slots_(t_.head == nullptr ? t_.spans : t_.spans + tile.w),
        stride_(keeps ? tile.c : 0) {
    const size_t all = padded(size_t{steps()} * channels_ + channels_), one = padded(channels_);
    const size_t kept = keeps ? all : one;
    // With a head, places stay until those below them are coded; one more stands for those outside.
    const size_t places = padded((size_t{slots_} + 1) * sizeof(PredictionPlace));
    const size_t errors = t_.head == nullptr ? 0 : all;
    const size_t sources = padded(t_.spans * sizeof(Sources));
    const size_t given = estimates == nullptr ? 0 : padded(4 * one);
    const size_t total = places + sources + padded(4 * one) + 2 * given + 3 * padded(2 * one) +
                         (kNeighbourRows + 5) * one + 3 * kept + all + errors + padded(extra);
    uint8_t* p = scratch.get(kContextSlot, total + kVectorPad);
    p += (kVectorPad - reinterpret_cast<uintptr_t>(p) % kVectorPad) % kVectorPad;
    const auto take = [&p](size_t bytes) { return std::exchange(p, p + bytes); };
    places_ = reinterpret_cast<PredictionPlace*>(take(places));
    std::memset(places_, 0, places);
    PredictionPlace* const outside = places_ + slots_;
    std::memset(outside->factors, kSignedSeven, sizeof(outside->factors));
    for (uint32_t i = 0; i < 2 * t_.spans; ++i) ring_[i] = &places_[(2 * t_.spans - i) % t_.spans];
    std::fill_n(here_, kMaxPredictionSpans, outside);
    std::fill_n(west_, kMaxPredictionSpans, outside);
    std::fill_n(north_, kMaxPredictionSpans, outside);
    sources_ = reinterpret_cast<Sources*>(take(sources));
    step_.projected = reinterpret_cast<int32_t*>(take(padded(4 * one)));
    step_.means = reinterpret_cast<int16_t*>(take(padded(2 * one)));
    step_.finals = reinterpret_cast<int16_t*>(take(padded(2 * one)));
    work_.entries = reinterpret_cast<uint16_t*>(take(padded(2 * one)));
    for (uint8_t*& around : around_) around = take(one);
    step_.offsets = t_.offsets;
    if (given != 0) {
      step_.offsets = given_offsets_ = reinterpret_cast<int32_t*>(take(given));
      step_.heard = heard_ = reinterpret_cast<uint32_t*>(take(given));
    }
    step_.residuals = take(one);
    step_.context = {take(one), take(one), take(one)};
    work_.packed = take(one);
    work_.table = take(kept);
    work_.zero_class = take(kept);
    indices_ = take(kept);
    companded_ = take(all) + channels_;  // a row before the first one
    if (errors != 0) errors_ = take(errors) + channels_;
    extra_ = take(padded(extra));
  }

  uint32_t steps() const { return order_.steps(); }
  // A step's channels.
  uint32_t first(uint32_t step) const { return order_.first(step); }
  uint32_t count(uint32_t step) const { return order_.count(step); }
  // Of a step's channels, from the first on.
  uint8_t* companded(uint32_t step) const { return row(step) + first(step); }
  uint8_t* indices(uint32_t step) const { return indices_ + kept(step); }
  PredictionSteps predicted(uint32_t step) const {
    const PredictionSteps& of = step_.context;
    return {of.mean + first(step), of.spread + first(step), of.zero + first(step)};
  }
  ContextWork work(uint32_t step) const {
    return {work_.table + kept(step), work_.zero_class + kept(step), work_.packed, work_.entries};
  }
  uint8_t* extra() const { return extra_; }

  // Predicts the values of a step.
  void predict(uint32_t step) {
    step_.places = ring_ + (t_.spans - step % t_.spans) % t_.spans;
    if (step < t_.spans) start(step);
    if (step < positions_) open(step);
    if (t_.head != nullptr) find_places(step);
    step_.first = first(step);
    step_.end = step_.first + count(step);
    step_.current = row(step);
    find_neighbours(step);
    if (estimates_ != nullptr) hear_references(step);
    if (t_.head == nullptr) {
      kernels_.predict(t_, step_);
    } else {
      head_kernels_.predict(t_, step_);
    }
  }

  // Takes in the companded values of a step.
  void gather() {
    kernels_.gather(t_, step_);
    if (t_.head != nullptr) head_kernels_.find_errors(t_, step_);
  }

  // What is known of a step, for training.
  const PredictionStep& known() const { return step_; }

  // Copies the indices of a step from a tile [position][channel].
  void take_indices(uint32_t step, const uint8_t* tile) { order_.take(step, tile, indices(step)); }
  // The same into a tile.
  void give_indices(uint32_t step, uint8_t* tile) const { order_.give(step, indices(step), tile); }

 private:
  // How many steps ago neighbours of a position were coded.
  struct Sources {
    size_t ago[kOwnNeighbours];
    PredictionPlace *place, *west, *north;
    bool edge;  // whether some are not where they mostly are
  };

  uint8_t* row(uint32_t step) const { return companded_ + size_t{step} * channels_; }
  size_t kept(uint32_t step) const { return step * stride_ + first(step); }

  // What is to the left of the first position.
  void start(uint32_t span) {
    const uint32_t c = span * t_.width;
    std::memset(companded_ + size_t{span} * channels_ + c - channels_, t_.zero,
                std::min(t_.width, channels_ - c));
    if (errors_ == nullptr) return;
    std::memset(errors_ + size_t{span} * channels_ + c - channels_, 0, std::min(t_.width, channels_ - c));
  }

  // Of each span of a step, its place and those to the left and above.
  void find_places(uint32_t step) {
    const uint32_t last = order_.end_span(step);
    for (uint32_t s = order_.first_span(step); s < last; ++s) {
      const Sources& from = sources_[(step - s) % t_.spans];
      here_[s] = from.place;
      west_[s] = from.west;
      north_[s] = from.north;
    }
    step_.places = here_;
    step_.west = west_;
    step_.north = north_;
    step_.errors = errors_ + size_t{step} * channels_;
  }

  void open(uint32_t position) {
    PredictionPlace& place = places_[position % slots_];
    place.residuals = 0;
    place.activity = t_.first_activity;
    std::memset(place.sums, 0, sizeof(int32_t) * t_.rank);
    const size_t row = row_, column = column_, right = width_ - 1 - column;
    if (++column_ == width_) {
      column_ = 0;
      ++row_;
    }
    Sources& from = sources_[position % t_.spans];
    PredictionPlace* const outside = places_ + slots_;
    PredictionPlace* const west = column == 0 ? outside : &places_[(position - 1) % slots_];
    if (row == 0) {
      from = {{1, 1, 1, 1, column > 1 ? size_t{2} : size_t{1}, 1, 1}, &place, west, outside, true};
    } else {
      const size_t n = width_, w = column != 0 ? 1 : n;
      from = {{w, n, column != 0 ? n + 1 : n, n - std::min<size_t>(right, 1), column > 1 ? 2 : w,
               row > 1 ? 2 * n : n, n - std::min<size_t>(right, 2)},
              &place,
              west,
              &places_[(position - width_) % slots_],
              true};
    }
    from.edge = row < 2 || column < 2 || right < 2;
    if (from.edge) last_edge_ = position;
  }

  void hear_references(uint32_t step) {
    order_.each_span(step, [&](size_t position, size_t channel, size_t, size_t n) {
      for (size_t c = channel; c < channel + n; ++c) {
        const size_t at = position * channels_ + c;
        const int32_t estimate = estimates_->values[at];
        given_offsets_[c] = t_.offsets[c] + ((estimate_weights_[c] * estimate) >> 6);
        heard_[c] = static_cast<uint16_t>((estimate + 32) >> 6) | uint32_t{estimates_->seen[at]} << 16;
      }
    });
  }

  // A neighbour of most channels is in one row; where it is elsewhere for some, that row is copied and
  // mended.
  void find_neighbours(uint32_t step) {
    const uint32_t last = order_.end_span(step);
    const bool top = step < 2 * width_ + t_.spans || width_ < 4;  // or there are no such rows
    const size_t inside[kOwnNeighbours] = {1, width_, width_ + 1, width_ - 1, 2, 2 * width_, width_ - 2};
    const size_t rows = errors_ == nullptr ? size_t{kOwnNeighbours} : size_t{kNeighbourRows};
    const auto neighbour = [](size_t k) { return k < kOwnNeighbours ? k : k - kOwnNeighbours; };
    const auto here = [&](size_t k) {
      return k < kOwnNeighbours ? row(step) : errors_ + size_t{step} * channels_;
    };
    for (size_t k = 0; k < rows; ++k) {
      step_.neighbours[k] = top ? around_[k] : here(k) - inside[neighbour(k)] * channels_;
    }
    if (!top && step >= last + last_edge_) return;
    for (uint32_t s = order_.first_span(step); s < last; ++s) {
      const Sources& from = sources_[(step - s) % t_.spans];
      if (!from.edge && !top) continue;
      const size_t c = size_t{s} * t_.width;
      for (size_t k = 0; k < rows; ++k) {
        const size_t ago = from.ago[neighbour(k)];
        if (ago == inside[neighbour(k)] && !top) continue;
        if (step_.neighbours[k] != around_[k]) {
          std::memcpy(around_[k], step_.neighbours[k], channels_);
          step_.neighbours[k] = around_[k];
        }
        PredictionOrder::copy(here(k) + c - ago * channels_, std::min<size_t>(t_.width, channels_ - c),
                              around_[k] + c);
      }
    }
  }

  const PredictionTables& t_;
  PredictionOrder order_;
  const Estimates* estimates_;
  const int8_t* estimate_weights_;  // [channel]
  int32_t* given_offsets_ = nullptr;
  uint32_t* heard_ = nullptr;
  const PredictionKernels& kernels_;
  const HeadKernels& head_kernels_;
  uint32_t channels_;
  uint32_t width_;
  uint32_t positions_;
  uint32_t slots_;  // of places
  size_t stride_;
  uint32_t last_edge_ = 0;         // the last position whose neighbours are not those of others
  uint32_t row_ = 0, column_ = 0;  // of the next position
  PredictionPlace* places_;
  PredictionPlace* ring_[2 * kMaxPredictionSpans];  // so that places of spans follow one another
  Sources* sources_;
  uint8_t* companded_;
  PredictionPlace *here_[kMaxPredictionSpans], *west_[kMaxPredictionSpans], *north_[kMaxPredictionSpans];
  uint8_t* errors_ = nullptr;  // as companded_, with a head
  uint8_t* around_[kNeighbourRows];
  uint8_t* indices_;
  uint8_t* extra_;
  PredictionStep step_{};
  ContextWork work_{};
};

}  // namespace fmapzip
