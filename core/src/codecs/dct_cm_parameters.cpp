#include "codecs/dct_cm_parameters.hpp"

#include <algorithm>
#include <cstdlib>

#include "bits/varint.hpp"

namespace fmapzip {
namespace {

enum : unsigned { kTransform = 1, kZeroMask = 2, kOrder = 4, kPoints = 8, kRans = 16, kZeroPoint = 32 };

constexpr uint32_t kMinStep = 4;
constexpr uint32_t kMaxStep = 4096;
constexpr uint32_t kLargestCoefficient = 32640;  // 255 * N * (128 / N)

uint32_t load_u16(const uint8_t* p) { return p[0] | (uint32_t{p[1]} << 8); }

// n / step == (n * reciprocal) >> shift for n <= kLargestCoefficient + step / 2, in 32 bits. With e =
// reciprocal * step - 2^shift <= step, this holds if n * e < 2^shift (Granlund and Montgomery, 1994); the
// largest shift that keeps the product below 2^32 fulfils it for every allowed step, which a test checks for
// each.
FrequencyStep make_step(uint32_t index, uint32_t step) {
  const uint64_t most = kLargestCoefficient + step / 2;
  uint32_t shift = 31;
  while (((uint64_t{1} << shift) / step + 1) * most > UINT32_MAX) --shift;
  return {index, step, step / 2, static_cast<uint32_t>((uint64_t{1} << shift) / step + 1), shift};
}

Status parse_steps(const uint8_t* bytes, unsigned length, ChannelGroup& group) {
  group.length = group.channels = length;
  group.kept = 0;
  for (unsigned k = 0; k < length; ++k) {
    const uint32_t step = load_u16(bytes + 2 * k);
    if (step == 0) continue;
    if (step < kMinStep || step > kMaxStep) return corrupt("dct-cm: a step is out of range", 2 * k);
    group.steps[group.kept++] = make_step(k, step);
  }
  return group.kept > 0 ? Status{} : corrupt("dct-cm: no frequency is kept");
}

Status parse_order(std::span<const uint8_t> bytes, std::vector<uint16_t>& order) {
  if (bytes.size() % 2 != 0) return corrupt("dct-cm: the channel order is cut");
  const size_t channels = bytes.size() / 2;
  std::vector<bool> seen(channels);
  for (size_t i = 0; i < channels; ++i) {
    const uint32_t channel = load_u16(bytes.data() + 2 * i);
    if (channel >= channels || seen[channel])
      return corrupt("dct-cm: the channel order is not a permutation", 2 * i);
    seen[channel] = true;
    order.push_back(static_cast<uint16_t>(channel));
  }
  return channels > 0 ? Status{} : corrupt("dct-cm: the channel order is empty");
}

// A model and its length, taken from `position` on.
Status parse_model(std::span<const uint8_t> bytes, size_t& position, std::vector<uint8_t>& model,
                   size_t& offset) {
  uint32_t length = 0;
  if (get_varint(bytes, position, length) != VarintError::none || length > bytes.size() - position) {
    return corrupt("dct-cm: a model is cut", position);
  }
  const auto found = bytes.subspan(position, length);
  model.assign(found.begin(), found.end());
  offset = position;
  position += length;
  return {};
}

Status parse_transform(std::span<const uint8_t> bytes, unsigned flags, DctCmParameters& p) {
  if (bytes.size() < 2 || bytes[1] >> 5 != 0)
    return corrupt("dct-cm: the group length is cut or reserved", 1);
  const unsigned length = 4u << (bytes[1] & 3);
  const unsigned tail = bytes[1] >> 2 != 0 ? 2u << (bytes[1] >> 2) : 0;
  const size_t steps = 2 * size_t{length + tail};
  if (tail >= length || bytes.size() < 2 + steps) return corrupt("dct-cm: the steps are cut or too many", 2);
  if (const Status s = parse_steps(bytes.data() + 2, length, p.group); !s.ok()) return moved(s, 2);
  if (tail != 0) {
    const size_t at = 2 + 2 * length;
    if (const Status s = parse_steps(bytes.data() + at, tail, p.tail); !s.ok()) return moved(s, at);
  }
  size_t at = 2 + steps;
  if (p.rans) {
    if (const Status s = parse_model(bytes, at, p.model, p.model_offset); !s.ok()) return s;
    if (p.zero_mask) {
      if (const Status s = parse_model(bytes, at, p.mask_model, p.mask_model_offset); !s.ok()) return s;
    }
  }
  if ((flags & kOrder) != 0) return moved(parse_order(bytes.subspan(at), p.order), at);
  return at == bytes.size() ? Status{} : corrupt("dct-cm: bytes follow the parameters", at);
}

// What follows the flags, which `bytes` holds in place of its first byte.
Status parse_paths(std::span<const uint8_t> bytes, unsigned flags, DctCmParameters& p) {
  p.transform = (flags & kTransform) != 0;
  p.zero_mask = (flags & kZeroMask) != 0;
  p.has_points = (flags & kPoints) != 0;
  p.rans = (flags & kRans) != 0;
  if (p.transform) {
    return p.has_points ? corrupt("dct-cm: the transform path has no reconstruction points")
                        : parse_transform(bytes, flags, p);
  }
  if ((flags & (kZeroMask | kOrder)) != 0)
    return corrupt("dct-cm: the mask path has a flag of the transform path");
  size_t at = 1;
  if (p.has_points) {
    if (bytes.size() - at < p.points.size()) return corrupt("dct-cm: the reconstruction points are cut", 1);
    std::copy_n(bytes.begin() + at, p.points.size(), p.points.begin());
    if ((p.points[0] & 1) == 0) return corrupt("dct-cm: zero is not a reconstruction point", 1);
    at += p.points.size();
  }
  if (p.rans) {
    if (const Status s = parse_model(bytes, at, p.model, p.model_offset); !s.ok()) return s;
  }
  return at == bytes.size() ? Status{} : corrupt("dct-cm: bytes follow the parameters", at);
}

unsigned shortest_length(uint32_t channels) {
  unsigned length = 4;
  while (length < channels) length *= 2;
  return length;
}

}  // namespace

Status parse_dct_cm(std::span<const uint8_t> bytes, DctCmParameters& p) {
  if (bytes.empty() || bytes[0] >> 6 != 0) return corrupt("dct-cm: the parameters are empty or reserved");
  if ((bytes[0] & kZeroPoint) == 0) return parse_paths(bytes, bytes[0], p);
  if (bytes.size() < 2) return corrupt("dct-cm: the range of values is cut", 1);
  p.zero_pointed = true;
  p.range = {bytes[1]};
  if (p.range == kUnsignedRange || p.range == kSignedRange) {
    return corrupt("dct-cm: the range of values is that of a type", 1);
  }
  const Status status = parse_paths(bytes.subspan(1), bytes[0], p);
  ++p.model_offset;
  ++p.mask_model_offset;
  return moved(status, 1);
}

Status check_map(const DctCmParameters& p, uint32_t channels, ValueRange range) {
  const bool fits = p.zero_pointed ? range == p.range : range == kUnsignedRange || range == kSignedRange;
  if (!fits) return invalid("dct-cm: the parameters are for another zero point");
  return check_channels(p, channels);
}

Status check_channels(const DctCmParameters& p, uint32_t channels) {
  if (!p.transform) return {};
  if (!p.order.empty() && p.order.size() != channels) {
    return invalid("dct-cm: the parameters order another number of channels");
  }
  const uint32_t rest = channels % p.group.length;
  const unsigned last = rest != 0 ? shortest_length(rest) : p.group.length;
  if ((p.tail.length != 0 ? p.tail.length : p.group.length) != last) {
    return invalid("dct-cm: the parameters are for another number of channels");
  }
  return {};
}

ChannelGroup DctCmParameters::group_at(uint32_t channel, uint32_t channels) const {
  const uint32_t left = channels - channel;
  ChannelGroup at = left < group.length && tail.length != 0 ? tail : group;
  at.channels = std::min(left, at.length);
  return at;
}

uint32_t DctCmParameters::coefficient_planes(uint32_t channels) const {
  const uint32_t rest = channels % group.length;
  const uint32_t last = rest == 0 ? 0 : group_at(channels - rest, channels).kept;
  return channels / group.length * group.kept + last;
}

PointTables make_point_tables(const DctCmParameters& p, ValueRange range) {
  const auto value = [&](int byte) { return range.value(byte); };
  PointTables t;
  std::array<int, 256> bytes{};
  for (int byte = 0; byte < 256; ++byte) {
    if (!p.has_points || ((p.points[byte / 8] >> (byte % 8)) & 1) != 0) bytes[t.count++] = byte;
  }
  // By ascending magnitude, the positive value first.
  std::sort(bytes.begin(), bytes.begin() + t.count, [&](int a, int b) {
    const int x = value(a), y = value(b);
    return std::abs(x) != std::abs(y) ? std::abs(x) < std::abs(y) : x > y;
  });
  for (unsigned code = 0; code < t.count; ++code) t.value_of[code] = static_cast<uint8_t>(bytes[code]);
  // Points of each sign are numbered from zero: of two equally near ones the even one is taken.
  std::array<int, 256> index{};
  int positive = 0, negative = 0;
  for (unsigned code = 1; code < t.count; ++code) {
    index[code] = value(bytes[code]) > 0 ? ++positive : ++negative;
  }
  for (unsigned code = 0; code < t.count; ++code) {
    const int sign = value(bytes[code]) < 0 ? -1 : 1;
    t.value_of_index[static_cast<uint8_t>(sign * index[code])] = static_cast<uint8_t>(bytes[code]);
    t.has_point[static_cast<uint8_t>(sign * index[code])] = true;
  }
  for (int byte = 0; byte < 256; ++byte) {
    const auto rank = [&](unsigned code) {
      return 2 * std::abs(value(bytes[code]) - value(byte)) + index[code] % 2;
    };
    unsigned best = 0;
    for (unsigned code = 1; code < t.count; ++code) {
      if (rank(code) < rank(best)) best = code;
    }
    t.code_of[byte] = static_cast<uint8_t>(best);
    t.index_of[byte] = static_cast<uint8_t>(value(bytes[best]) < 0 ? -index[best] : index[best]);
  }
  return t;
}

}  // namespace fmapzip
