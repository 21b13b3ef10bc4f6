#include "entropy/context_model.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "entropy/alphabet.hpp"

namespace fmapzip {
namespace {

size_t padded(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

struct Divisor {
  uint32_t reciprocal;
  uint32_t shift;
};

// Exact for dividends below 2^31 (Granlund and Montgomery, 1994). For 1 the quotient comes out one too small,
// which the encoder's bias makes good.
Divisor make_divisor(uint32_t f) {
  if (f == 1) return {~uint32_t{0}, 0};
  const auto bits = static_cast<uint32_t>(std::bit_width(f - 1));
  return {static_cast<uint32_t>(((uint64_t{1} << (bits + 31)) + f - 1) / f), bits - 1};
}

}  // namespace

Status ContextModel::build(std::span<const uint8_t> parameters, uint32_t channels) {
  if (const Status s = parse_context_params(parameters, channels, params_); !s.ok()) return s;
  build_lookups();
  build_channels();
  build_token_tables();
  build_prediction();
  return {};
}

void ContextModel::build_lookups() {
  std::memcpy(tables_.level1, params_.level1.data(), kContextSteps);
  std::memcpy(tables_.level2, params_.level2.data(), kContextSteps);
  for (uint32_t byte = 0; byte < 256; ++byte) {
    const uint32_t point = params_.requantizer.active ? params_.requantizer.value_of[byte] : byte;
    tables_.companded[byte] = compand(params_.range.value(point), params_.range);
  }
  for (uint32_t k = 0; k < kZeroClasses; ++k) {
    const uint32_t f = kZeroProbability[k];
    const Divisor divisor = make_divisor(f);
    tables_.zero_probability[k] = static_cast<uint16_t>(f);
    tables_.zero_reciprocal[k] = divisor.reciprocal;
    tables_.zero_divisor[k] = static_cast<uint16_t>(f | divisor.shift << kDivisorShift);
  }
  std::copy(params_.mean_weights.begin(), params_.mean_weights.end(), tables_.mean_weights);
  std::copy(params_.spread_weights.begin(), params_.spread_weights.end(), tables_.spread_weights);
}

void ContextModel::build_channels() {
  tables_.offset = params_.offset;
  if (params_.head.present) return;
  if (params_.prediction.width != 0) {
    std::memcpy(tables_.table_of, params_.table_of.data(), kCells);
    std::memcpy(tables_.zero_class_of, params_.zero_class_of.data(), kCells);
    return;
  }
  if (params_.channels != 0) tables_.span = params_.channels * std::max(1u, kRunValues / params_.channels);
  if (params_.neighbours) {
    std::memcpy(tables_.table_of, params_.table_of.data(), kCells);
    std::memcpy(tables_.zero_class_of, params_.zero_class_of.data(), kCells);
    if (params_.offsets.empty()) return;
    offsets_.assign(padded(tables_.span, 64) + kVectorPad, 0);
    for (uint32_t i = 0; i < tables_.span; ++i) offsets_[i] = params_.offsets[i % params_.channels];
    tables_.offsets = offsets_.data();
    build_of_channels();
    build_unpacked();
    return;
  }
  const size_t padded_span = padded(tables_.span, 64) + kVectorPad;
  channel_contexts_.assign(2 * padded_span, 0);
  uint8_t* const tables = channel_contexts_.data();
  uint8_t* const classes = tables + padded_span;
  for (uint32_t i = 0; i < tables_.span; ++i) {
    tables[i] = params_.table_of[i % params_.channels];
    classes[i] = params_.zero_class_of[i % params_.channels];
  }
  tables_.channel_table = tables;
  tables_.channel_zero_class = classes;
}

void ContextModel::build_of_channels() {
  if (params_.zero_bias.empty()) return;
  const size_t stride = padded(tables_.span, 64) + kVectorPad;
  of_channels_.assign(5 * stride, 0);
  spread_bias_.assign(stride, 0);
  for (size_t i = 0; i < tables_.span; ++i) {
    const size_t channel = i % params_.channels;
    for (size_t k = 0; k < 4; ++k) of_channels_[k * stride + i] = params_.channel_weights[k][channel];
    of_channels_[4 * stride + i] = params_.zero_bias[channel];
    spread_bias_[i] = params_.spread_bias[channel];
  }
  for (size_t k = 0; k < 4; ++k) tables_.of_channels.weights[k] = &of_channels_[k * stride];
  tables_.of_channels.zero_bias = &of_channels_[4 * stride];
  tables_.of_channels.spread_bias = spread_bias_.data();
}

void ContextModel::build_unpacked() {
  const size_t stride = padded(tables_.span, 64) + kVectorPad;
  const ChannelTables& own = tables_.of_channels;
  const bool has_own = own.zero_bias != nullptr;
  unpacked_.assign((has_own ? 4 : 1) * stride, 0);
  const auto pair = [&](size_t first, size_t i) {
    return static_cast<int16_t>(static_cast<uint8_t>(own.weights[first][i]) |
                                static_cast<uint8_t>(own.weights[first + 1][i]) << 8);
  };
  for (size_t i = 0; i < tables_.span; ++i) {
    const size_t place = i / 64 * 64 + (i % 16 < 8 ? 0 : 32) + i % 64 / 16 * 8 + i % 8;
    unpacked_[place] = offsets_[i];
    if (!has_own) continue;
    unpacked_[stride + place] = pair(0, i);
    unpacked_[2 * stride + place] = pair(2, i);
    unpacked_[3 * stride + place] = own.spread_bias[i];
  }
  const int16_t* const p = unpacked_.data();
  if (has_own) {
    tables_.unpacked = {p, {p + stride, p + 2 * stride}, p + 3 * stride};
  } else {
    tables_.unpacked = {p, {nullptr, nullptr}, nullptr};
  }
}

void ContextModel::build_token_tables() {
  constexpr uint32_t kTotal = uint32_t{1} << kTokenBits;
  slots_.assign(size_t{params_.tables} * kTotal + kVectorPad / sizeof(uint32_t), 0);
  coding_.assign(size_t{params_.tables} * 512, 0);
  uint32_t* slot = slots_.data();
  for (uint32_t table = 0; table < params_.tables; ++table) {
    uint32_t start = 0;
    uint32_t base = 1;
    for (uint32_t t = 0; t < kTokens; ++t) {
      const uint32_t f = params_.frequencies[size_t{table} * kTokens + t];
      const uint32_t raw_bits = params_.raw_bits[size_t{table} * kTokens + t];
      for (uint32_t i = 0; i < f; ++i)
        *slot++ = f | i << kSlotPlace | base << kSlotBase | raw_bits << kSlotRawBits;
      const Divisor divisor = make_divisor(f);
      const uint32_t bias = f == 1 ? start + kTotal - 1 : start;
      const uint32_t values = std::min(uint32_t{1} << raw_bits, 256 - base);
      for (uint32_t raw = 0; raw < values; ++raw) {
        uint32_t* entry = &coding_[2 * (size_t{table} * 256 + base + raw)];
        entry[0] = f | bias << kCodingBias | raw << kCodingRaw | divisor.shift << kCodingShift |
                   raw_bits << kCodingRawBits;
        entry[1] = divisor.reciprocal;
      }
      start += f;
      base += values;
    }
  }
  tables_.slots = slots_.data();
  tables_.coding = coding_.data();
}

void ContextModel::build_prediction() {
  if (params_.prediction.width == 0) return;
  prediction_.build(params_.prediction, params_.channels, tables_.companded[0]);
  tables_.prediction = &prediction_.tables();
  if (!params_.head.present) return;
  head_.build(params_.head, params_.channels, params_.prediction.rank);
  prediction_.set_head(params_.head, head_.tables());
  tables_.estimate_weights = params_.references.own.data();
}

}  // namespace fmapzip
