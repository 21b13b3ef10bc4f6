#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "fmapzip/map.hpp"
#include "fmapzip/status.hpp"
#include "simd/dct_cm_kernels.hpp"

namespace fmapzip {

// The positions of a plane in blocks of nearly 64, all of one length but the last.
inline uint32_t block_positions(size_t positions) {
  const size_t blocks = (positions + kBlock - 1) / kBlock;
  return static_cast<uint32_t>((positions + blocks - 1) / blocks);
}

// The parameter bytes of dct-cm, checked and made ready: docs/format/dct-cm.md, "Parameters".
struct DctCmParameters {
  bool zero_pointed = false;  // for maps of `range` alone, which is neither that of uint8 nor of int8
  ValueRange range;
  bool transform = false;
  bool zero_mask = false;
  std::vector<uint16_t> order;  // empty: natural
  ChannelGroup group{};         // of `length` channels
  ChannelGroup tail{};          // of the last channels; length 0: they use `group`
  bool has_points = false;
  std::array<uint8_t, 32> points{};  // bit v: the byte v is a reconstruction point
  bool rans = false;                 // coded by the models, which are parameters of context-rans
  std::vector<uint8_t> model;        // of coefficients, or of the values' indices
  std::vector<uint8_t> mask_model;   // of the zero mask
  size_t model_offset = 0;           // where they begin among the parameters
  size_t mask_model_offset = 0;

  // The group that starts at `channel`, of how many real channels it has.
  ChannelGroup group_at(uint32_t channel, uint32_t channels) const;
  // Planes of coefficients of a map of so many channels.
  uint32_t coefficient_planes(uint32_t channels) const;
};

Status parse_dct_cm(std::span<const uint8_t> bytes, DctCmParameters& parameters);

// Whether the parameters fit maps of so many channels, and of this range.
Status check_channels(const DctCmParameters& parameters, uint32_t channels);
Status check_map(const DctCmParameters& parameters, uint32_t channels, ValueRange range);

// Codes of byte values, and values of codes, of the mask path.
struct PointTables {
  std::array<uint8_t, 256> code_of{}, value_of{};
  unsigned count = 0;
  // The same with signed indices in place of codes: points of each sign are numbered from zero.
  std::array<uint8_t, 256> index_of{}, value_of_index{};
  std::array<bool, 256> has_point{};  // of an index
};

PointTables make_point_tables(const DctCmParameters& parameters, ValueRange range);

}  // namespace fmapzip
