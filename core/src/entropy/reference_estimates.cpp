#include "entropy/reference_estimates.hpp"

#include <algorithm>
#include <array>

#include "bits/crc32c.hpp"
#include "layout.hpp"

namespace fmapzip {
namespace {

constexpr size_t kPatches = 8;   // positions that share a channel's weights
constexpr size_t kDotUnit = 32;  // inputs are padded to a multiple of it
constexpr uint8_t kSignBit = 0x80;

Status other(const char* what) { return {Code::reference, what}; }

size_t padded(size_t inputs) { return (inputs + kDotUnit - 1) / kDotUnit * kDotUnit; }

int32_t dot(const int16_t* a, const int16_t* b, size_t count) {
  int32_t sum = 0;
  for (size_t i = 0; i < count; ++i) sum += a[i] * b[i];
  return sum;
}

// Where the weights of all channels of a reference begin among a channel's, and how many they are.
size_t full_inputs(const References& references) {
  size_t inputs = 0;
  for (const Reference& r : references.maps) inputs += r.same_channel ? 0 : r.inputs();
  return inputs;
}

}  // namespace

Status GivenReferences::build(const References& references, std::span<const ReferenceMap> maps) {
  if (maps.size() != references.maps.size()) {
    return other("context-rans: these parameters refer to another number of maps");
  }
  for (size_t i = 0; i < maps.size(); ++i) {
    const Reference& of = references.maps[i];
    const ConstView& map = maps[i].map;
    if (map.shape.c != of.channels || (maps[i].dtype == Dtype::i8) != of.is_signed) {
      return other("context-rans: a reference map has other channels, or is of another type");
    }
    const uint8_t sign = of.is_signed ? kSignBit : uint8_t{0};
    Map made{of, map.shape, static_cast<uint8_t>(of.outside ^ sign), {}};
    made.bytes.resize(map.shape.size());
    load_planar(map, made.bytes.data());
    checksum_ = crc32c(made.bytes, checksum_);
    load_interleaved(map, made.bytes.data());
    for (uint8_t& byte : made.bytes) byte ^= sign;
    maps_.push_back(std::move(made));
  }
  return {};
}

Status GivenReferences::fit(Shape map) const {
  for (const Map& reference : maps_) {
    const auto reduced = [&](uint32_t size) {
      return (size + reference.of.stride - 1) / reference.of.stride;
    };
    if (reduced(reference.shape.h) != map.h || reduced(reference.shape.w) != map.w) {
      return other("context-rans: a reference map is of another height or width");
    }
  }
  return {};
}

const uint8_t* GivenReferences::at(const Map& map, int64_t row, int64_t column) {
  if (row < 0 || column < 0 || row >= map.shape.h || column >= map.shape.w) return nullptr;
  return &map.bytes[(static_cast<size_t>(row) * map.shape.w + static_cast<size_t>(column)) * map.shape.c];
}

void GivenReferences::load_patch(uint32_t row, uint32_t column, int16_t* patch) const {
  for (const Map& map : maps_) {
    if (map.of.same_channel) continue;
    const int reach = map.of.wide ? 1 : 0;
    for (int dy = -reach; dy <= reach; ++dy) {
      for (int dx = -reach; dx <= reach; ++dx, patch += map.shape.c) {
        const uint8_t* const from =
            at(map, int64_t{row} * map.of.stride + dy, int64_t{column} * map.of.stride + dx);
        if (from == nullptr) {
          std::fill_n(patch, map.shape.c, map.outside);
        } else {
          std::copy_n(from, map.shape.c, patch);
        }
      }
    }
  }
}

void GivenReferences::add_same_channel(const References& references, uint32_t channels, uint32_t row,
                                       uint32_t column, int32_t* sums, uint8_t* seen) const {
  size_t first = 0;
  for (const Map& map : maps_) {
    const size_t begin = first;
    first += map.of.inputs();
    if (!map.of.same_channel) continue;
    const int reach = map.of.wide ? 1 : 0;
    size_t input = begin;
    for (int dy = -reach; dy <= reach; ++dy) {
      for (int dx = -reach; dx <= reach; ++dx, ++input) {
        const uint8_t* const from =
            at(map, int64_t{row} * map.of.stride + dy, int64_t{column} * map.of.stride + dx);
        for (size_t c = 0; c < channels; ++c) {
          const uint8_t byte = from == nullptr ? map.outside : from[c];
          sums[c] += references.weights[c * references.inputs + input] * byte;
          if (dy == 0 && dx == 0) seen[c] = seen_magnitude(byte - map.outside);
        }
      }
    }
  }
}

void GivenReferences::estimate(const References& references, ValueRange range, Shape tile, uint32_t top,
                               int16_t* values, uint8_t* seen) const {
  std::array<int16_t, kHighestEstimate - kLowestEstimate + 1> companded;
  for (int e = kLowestEstimate; e <= kHighestEstimate; ++e) {
    companded[static_cast<size_t>(e - kLowestEstimate)] = compand_estimate(e, range);
  }
  const size_t channels = tile.c, inputs = full_inputs(references), stride = padded(inputs);
  std::vector<int16_t> weights(channels * stride), patches(kPatches * stride);
  for (size_t c = 0; c < channels; ++c) {
    int16_t* to = &weights[c * stride];
    const int8_t* from = &references.weights[c * references.inputs];
    for (const Reference& r : references.maps) {
      if (!r.same_channel) to = std::copy_n(from, r.inputs(), to);
      from += r.inputs();
    }
  }
  std::vector<int32_t> sums(kPatches * channels);
  std::fill_n(seen, tile.size(), uint8_t{0});
  const size_t positions = size_t{tile.h} * tile.w;
  for (size_t first = 0; first < positions; first += kPatches) {
    const size_t count = std::min(kPatches, positions - first);
    for (size_t p = 0; p < count; ++p) {
      const auto row = static_cast<uint32_t>((first + p) / tile.w);
      load_patch(top + row, static_cast<uint32_t>((first + p) % tile.w), &patches[p * stride]);
    }
    for (size_t c = 0; c < channels; ++c) {
      for (size_t p = 0; p < count; ++p) {
        sums[p * channels + c] = dot(&weights[c * stride], &patches[p * stride], stride);
      }
    }
    for (size_t p = 0; p < count; ++p) {
      const size_t at = (first + p) * channels;
      const auto row = static_cast<uint32_t>((first + p) / tile.w);
      add_same_channel(references, tile.c, top + row, static_cast<uint32_t>((first + p) % tile.w),
                       &sums[p * channels], seen + at);
      for (size_t c = 0; c < channels; ++c) {
        const int32_t sum = (sums[p * channels + c] >> references.shifts[c]) + references.biases[c];
        values[at + c] = companded[static_cast<size_t>(std::clamp(sum, kLowestEstimate, kHighestEstimate) -
                                                       kLowestEstimate)];
      }
    }
  }
}

}  // namespace fmapzip
