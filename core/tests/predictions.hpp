#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "entropy/context_kernels.hpp"
#include "entropy/prediction.hpp"
#include "entropy/prediction_head.hpp"
#include "simd/instruction_set.hpp"

// What tests and fuzz targets share: a writer of parameters' bits, and predictions by a given instruction
// set.
namespace fmapzip::test {

// Bits, least significant first.
struct Bits {
  std::vector<uint8_t>& out;
  unsigned used = 8;

  void put(uint32_t value, unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
      if (used == 8) {
        out.push_back(0);
        used = 0;
      }
      out.back() = static_cast<uint8_t>(out.back() | ((value >> i) & 1) << used++);
    }
  }
  void rice(int32_t value, unsigned k) {
    const uint32_t u = value < 0 ? static_cast<uint32_t>(-2 * value - 1) : static_cast<uint32_t>(2 * value);
    for (uint32_t i = 0; i < u >> k; ++i) put(1, 1);
    put(0, 1);
    put(u & ((1u << k) - 1), k);
  }
};

// What a position's spans are predicted to be, in steps of one span and of several, and the contexts of it.
inline std::vector<uint8_t> predictions_with(const InstructionSet& set, const ContextTables& tables,
                                             const std::vector<uint8_t>& bytes) {
  const PredictionTables& t = *tables.prediction;
  const PredictionKernels& kernels = *set.prediction;
  const size_t padded = t.channels + size_t{kVectorPad};
  std::vector<int32_t> projected(padded);
  std::vector<int16_t> means(padded);
  std::vector<uint8_t> mean(padded), spread(padded), zero(padded), residuals(padded);
  std::vector<PredictionPlace> places(t.spans);
  std::vector<PredictionPlace*> of_spans(t.spans);
  PredictionStep step{};
  step.offsets = t.offsets;
  for (size_t k = 0; k < 7; ++k) step.neighbours[k] = bytes.data() + (k + 1) * padded;
  step.current = bytes.data();
  step.projected = projected.data();
  step.means = means.data();
  step.residuals = residuals.data();
  step.places = of_spans.data();
  step.context = {mean.data(), spread.data(), zero.data()};
  std::vector<uint8_t> all;
  for (uint32_t span = 0; span < t.spans; ++span) {
    for (uint32_t s = 0; s < t.spans; ++s) of_spans[s] = &places[(s + span) % t.spans];
    for (uint32_t first = 0; first <= span; first += 1 + span / 2) {
      step.first = first * t.width;
      step.end = std::min((span + 1) * t.width, t.channels);
      kernels.predict(t, step);
      kernels.gather(t, step);
      for (const auto* part : {&mean, &spread, &zero}) {
        all.insert(all.end(), part->begin() + step.first, part->begin() + step.end);
      }
      for (const PredictionPlace& place : places) {
        all.push_back(static_cast<uint8_t>(place.activity));
        all.insert(all.end(), place.factors, place.factors + t.rank);
      }
    }
  }
  // Steps have written beside their channels; contexts are of all.
  step.first = 0;
  step.end = t.channels;
  kernels.predict(t, step);
  std::vector<uint8_t> table(padded), zero_class(padded);
  set.context->predicted_contexts(tables, {mean.data(), spread.data(), zero.data()}, t.channels, table.data(),
                                  zero_class.data());
  for (const auto* part : {&table, &zero_class}) {
    all.insert(all.end(), part->begin(), part->begin() + t.channels);
  }
  return all;
}

// What a head tells of all spans of a position, in steps of several, and the errors that it then finds.
inline std::vector<uint8_t> heads_with(const InstructionSet& set, const ContextTables& tables,
                                       const std::vector<uint8_t>& bytes) {
  const PredictionTables& t = *tables.prediction;
  const size_t padded = t.channels + size_t{kVectorPad};
  std::vector<int32_t> projected(padded);
  std::vector<int16_t> means(padded), finals(padded);
  std::vector<uint8_t> mean(padded), spread(padded), zero(padded), residuals(padded), errors(padded);
  std::vector<uint8_t> errors_before(bytes);
  for (uint8_t& error : errors_before) error = std::min<uint8_t>(error / 2, 112);
  std::vector<PredictionPlace> places(3 * t.spans);
  std::vector<PredictionPlace*> here, west, north;
  for (uint32_t s = 0; s < t.spans; ++s) {
    here.push_back(&places[3 * s]);
    west.push_back(&places[3 * s + 1]);
    north.push_back(&places[3 * s + 2]);
  }
  for (size_t i = 0; i < places.size(); ++i) {
    for (size_t k = 0; k < kMaxPredictionRank; ++k) {
      places[i].factors[k] = bytes[(7 * i + k) % bytes.size()] / 2;
    }
  }
  PredictionStep step{};
  std::vector<int32_t> offsets(padded);
  std::vector<uint32_t> heard(padded);
  for (size_t c = 0; c < t.channels; ++c) {
    const auto byte = [&](size_t i) { return bytes[(5 * c + i) % bytes.size()]; };
    offsets[c] = t.offsets[c] + 100 * (byte(0) - 128);
    heard[c] = static_cast<uint16_t>(2 * byte(1) - 128) | uint32_t{byte(2)} / 2 << 16;
  }
  step.offsets = offsets.data();
  step.heard = heard.data();
  for (size_t k = 0; k < kNeighbourRows; ++k) {
    step.neighbours[k] = (k < kOwnNeighbours ? bytes : errors_before).data() + (k + 1) * padded;
  }
  step.current = bytes.data();
  step.projected = projected.data();
  step.means = means.data();
  step.finals = finals.data();
  step.residuals = residuals.data();
  step.errors = errors.data();
  step.places = here.data();
  step.west = west.data();
  step.north = north.data();
  step.context = {mean.data(), spread.data(), zero.data()};
  std::vector<uint8_t> all;
  for (uint32_t first = 0; first < t.channels; first += 2 * t.width) {
    step.first = first;
    step.end = std::min(first + 2 * t.width, t.channels);
    set.head->predict(t, step);
    set.prediction->gather(t, step);
    set.head->find_errors(t, step);
    for (const auto* part : {&mean, &spread, &zero, &errors}) {
      all.insert(all.end(), part->begin() + step.first, part->begin() + step.end);
    }
    for (const PredictionPlace* place : here) {
      all.insert(all.end(), place->factors, place->factors + t.rank);
    }
  }
  return all;
}

}  // namespace fmapzip::test
