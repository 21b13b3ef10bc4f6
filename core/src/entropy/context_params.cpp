#include "entropy/context_params.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "bits/varint.hpp"
#include "entropy/bit_reader.hpp"
#include "entropy/prediction.hpp"

namespace fmapzip {
namespace {

enum Flag : uint8_t {
  kNeighbours = 1,
  kSigned = 2,
  kOffsets = 4,
  kPredicted = 8,
  kRequantized = 16,
  kPoints = 32,
  kZeroPoint = 64,
  kMore = 128  // with offsets weights of channels, with a prediction a head
  // With a prediction and a head, kOffsets stands for reference maps.
};
constexpr uint32_t kMaxStepTerm = 65535;
constexpr uint32_t kMaxLogFrequency = 64;  // in eighths of an octave
constexpr int32_t kOffsetUnit = 32;
constexpr uint32_t kSpanGroup = 4;  // channels; with prediction across channels, a span's width is in these
constexpr uint32_t kRankUnit = 16;
constexpr uint32_t kMaxShift = 24;
constexpr size_t kOwn = 7;  // weights of a channel's own neighbours
constexpr uint32_t kMeanLimit = (uint32_t{1} << 20) - 1;
constexpr uint32_t kMaxPredictedChannels = 65535;  // sums of residuals fit 32 bits

class ByteReader {
 public:
  explicit ByteReader(std::span<const uint8_t> data) : data_(data) {}

  uint8_t u8() { return position_ < data_.size() ? data_[position_++] : fail(); }
  uint32_t varint() {
    uint32_t value = 0;
    if (get_varint(data_, position_, value) != VarintError::none) return fail();
    return value;
  }
  void copy(void* dst, size_t count) {
    if (count > data_.size() - position_) {
      fail();
      return;
    }
    std::memcpy(dst, data_.data() + position_, count);
    position_ += count;
  }
  std::span<const uint8_t> rest() const { return data_.subspan(position_); }
  bool ok() const { return ok_; }
  size_t position() const { return position_; }

 private:
  uint8_t fail() {
    ok_ = false;
    return 0;
  }

  std::span<const uint8_t> data_;
  size_t position_ = 0;
  bool ok_ = true;
};

// Magnitude over step, rounded half to even: the intervals of an even step are then centred on integers.
uint32_t step_index(uint32_t magnitude, uint32_t numerator, uint32_t denominator) {
  const uint32_t doubled = 2 * magnitude * denominator + numerator;
  const uint32_t index = doubled / (2 * numerator);
  return index % 2 != 0 && doubled % (2 * numerator) == 0 ? index - 1 : index;
}

// Indices and reconstruction points of one sign; `most` is the largest magnitude. Points that are not stored
// are the middles of their intervals.
bool read_points(ByteReader& in, uint32_t numerator, uint32_t denominator, uint32_t most, bool negative,
                 bool stored, Requantizer& requantizer) {
  const auto byte = [&](uint32_t magnitude) {
    return static_cast<uint8_t>(negative ? 0u - magnitude : magnitude);
  };
  uint32_t first = 0;
  for (uint32_t magnitude = 0; magnitude <= most; ++magnitude) {
    const uint32_t index = step_index(magnitude, numerator, denominator);
    requantizer.index_of[byte(magnitude)] = byte(index);
    if (magnitude < most && step_index(magnitude + 1, numerator, denominator) == index) continue;
    const uint32_t begin = std::exchange(first, magnitude + 1);
    if (index == 0) continue;
    const uint32_t point = stored ? in.u8() : (begin + magnitude) / 2;
    if (point < begin || point > magnitude) return false;
    requantizer.value_of[byte(index)] = byte(point);
  }
  return true;
}

Status read_requantizer(ByteReader& in, bool stored, ContextParams& params) {
  const uint32_t numerator = in.varint();
  const uint32_t denominator = in.varint();
  if (!in.ok() || denominator == 0 || numerator <= denominator || numerator > kMaxStepTerm) {
    return corrupt("context-rans: the step is not a fraction above 1");
  }
  params.requantizer.active = true;
  const auto points = [&](uint32_t most, bool negative) {
    return read_points(in, numerator, denominator, most, negative, stored, params.requantizer);
  };
  const bool fits = points(255u - params.range.below, false) && points(params.range.below, true);
  if (!fits) return corrupt("context-rans: a reconstruction point lies outside its interval");
  return {};
}

// `levels` - 1 ascending thresholds: the level of a value is how many of them it reaches.
bool read_levels(ByteReader& in, uint32_t levels, uint32_t scale,
                 std::array<uint8_t, kContextSteps>& level_of) {
  uint32_t value = 0;
  for (uint32_t level = 0; level + 1 < levels; ++level) {
    const uint32_t threshold = in.u8();
    if (threshold < value || threshold >= kContextSteps) return false;
    for (; value < threshold; ++value) level_of[value] = static_cast<uint8_t>(level * scale);
  }
  for (; value < kContextSteps; ++value) level_of[value] = static_cast<uint8_t>((levels - 1) * scale);
  return true;
}

// The sum of two products of a byte and a weight must fit 16 bits.
bool pair_fits(int a, int b) { return (a < 0 ? -a : a) + (b < 0 ? -b : b) <= 128; }

bool weights_fit(std::span<const int8_t> w) {
  for (size_t i = 0; i + 1 < w.size(); i += 2) {
    if (!pair_fits(w[i], w[i + 1])) return false;
  }
  return true;
}

int16_t read_i16(ByteReader& in) {
  const uint32_t low = in.u8();
  return static_cast<int16_t>(low | uint32_t{in.u8()} << 8);
}

void read_neighbours(ByteReader& in, ContextParams& params) {
  in.copy(params.mean_weights.data(), params.mean_weights.size());
  in.copy(params.spread_weights.data(), params.spread_weights.size());
  params.offset = read_i16(in);
}

// Levels of means and spreads, once the weights before them are read.
Status read_grid(ByteReader& in, ContextParams& params, uint32_t& levels1, uint32_t& levels2) {
  levels1 = in.u8();
  levels2 = in.u8();
  if (!in.ok() || levels1 == 0 || levels2 == 0 || levels1 * levels2 > kCells) {
    return corrupt("context-rans: there are 1 to 128 context cells");
  }
  if (!weights_fit(params.mean_weights) || !weights_fit(params.spread_weights) ||
      !weights_fit(params.prediction.distance_weights)) {
    return corrupt("context-rans: a pair of weights is too large");
  }
  if (!read_levels(in, levels1, levels2, params.level1) || !read_levels(in, levels2, 1, params.level2)) {
    return corrupt("context-rans: thresholds do not ascend below 64");
  }
  return {};
}

bool prediction_fits(const Prediction& p, uint32_t channels) {
  return p.width != 0 && p.rank <= kMaxPredictionRank && p.gather_shift <= kMaxShift &&
         p.spread_shift <= kMaxShift && channels <= kMaxPredictedChannels &&
         (channels - 1) / p.width < kMaxPredictionSpans;
}

// What every prediction across channels begins with.
void read_shape(ByteReader& in, Prediction& p) {
  p.width = kSpanGroup * in.u8();
  p.rank = kRankUnit * in.u8();
  p.gather_shift = in.u8();
  p.spread_shift = in.u8();
  p.origin = in.u8();
  p.first_activity = in.u8();
  in.copy(p.distance_weights.data(), p.distance_weights.size());
}

Status read_prediction(ByteReader& in, uint32_t channels, Prediction& p) {
  read_shape(in, p);
  in.copy(p.zero_of_present.data(), p.zero_of_present.size());
  in.copy(&p.zero_of_fold, 1);
  for (int16_t* number : {&p.distance_offset, &p.spread_of_log, &p.spread_of_mean, &p.spread_of_activity,
                          &p.zero_of_log, &p.zero_of_activity, &p.fold_origin}) {
    *number = read_i16(in);
  }
  if (in.ok() && !prediction_fits(p, channels))
    return corrupt("context-rans: prediction across channels is out of range");
  return {};
}

// The fields of a prediction that has a head.
Status read_head(ByteReader& in, uint32_t channels, Prediction& p, PredictionHead& head) {
  head.present = true;
  read_shape(in, p);
  p.distance_offset = read_i16(in);
  head.unit_shift = in.u8();
  in.copy(head.output_shift.data(), head.output_shift.size());
  const bool valid = prediction_fits(p, channels) && weights_fit(p.distance_weights) &&
                     head.unit_shift <= kMaxShift &&
                     std::all_of(head.output_shift.begin(), head.output_shift.end(),
                                 [](uint8_t s) { return s <= kMaxShift; });
  if (in.ok() && !valid) return corrupt("context-rans: a head is out of range");
  return {};
}

// What is heard of each reference map.
Status read_references(ByteReader& in, uint32_t channels, References& references) {
  enum : uint8_t { kSameChannel = 1, kWide = 2, kHalved = 4, kSigned8 = 8 };
  const uint32_t count = in.u8();
  bool valid = count >= 1 && count <= kMaxReferences;
  uint64_t inputs = 0;
  for (uint32_t i = 0; valid && i < count; ++i) {
    const uint8_t kind = in.u8(), outside = in.u8();
    const uint32_t of = in.varint();
    const Reference r{(kind & kSameChannel) != 0,
                      (kind & kWide) != 0,
                      kind & kHalved ? 2u : 1u,
                      (kind & kSigned8) != 0,
                      outside,
                      of};
    valid = kind < 16 && of >= 1 && of <= kMaxReferenceInputs && (!r.same_channel || of == channels);
    inputs += r.inputs();
    references.maps.push_back(r);
  }
  references.inputs = static_cast<uint32_t>(inputs);
  if (in.ok() && (!valid || inputs > kMaxReferenceInputs)) {
    return corrupt("context-rans: reference maps are out of range");
  }
  return {};
}

// Frequencies are stored as logarithms: weights 2^(code / 8), scaled to sum to 2^8, none below 1; the rest
// goes to the most frequent token.
void normalise(const uint8_t* codes, uint8_t* frequencies) {
  constexpr uint32_t kOctave[8] = {64, 70, 76, 83, 91, 99, 108, 117};  // 64 * 2^(i / 8)
  constexpr uint32_t kTotal = uint32_t{1} << kTokenBits;
  uint32_t weights[kTokens];
  uint32_t sum = 0;
  for (uint32_t t = 0; t < kTokens; ++t) {
    weights[t] = kOctave[codes[t] % 8] << (codes[t] / 8);
    sum += weights[t];
  }
  uint32_t used = 0;
  uint32_t largest = 0;
  for (uint32_t t = 0; t < kTokens; ++t) {
    const auto f = static_cast<uint32_t>(uint64_t{weights[t]} * kTotal / sum);
    frequencies[t] = static_cast<uint8_t>(std::max<uint32_t>(1, f));
    used += frequencies[t];
    if (frequencies[t] > frequencies[largest]) largest = t;
  }
  frequencies[largest] = static_cast<uint8_t>(frequencies[largest] + kTotal - used);
}

// Numbers up to `most` for each token of each table, against those of the table above.
bool read_table_numbers(BitReader& in, uint32_t tables, uint32_t most, std::vector<uint8_t>& numbers) {
  const uint32_t k = in.bits(4);
  numbers.resize(size_t{tables} * kTokens);
  for (size_t i = 0; i < numbers.size(); ++i) {
    const int32_t above = i < kTokens ? 0 : numbers[i - kTokens];
    const int32_t number = above + in.signed_rice(k);
    if (number < 0 || number > static_cast<int32_t>(most)) return false;
    numbers[i] = static_cast<uint8_t>(number);
  }
  return in.ok();
}

// Every run of a table begins among the bytes 1 to 255, and together they cover them.
bool runs_fit(const uint8_t* raw_bits) {
  uint32_t next = 1;
  for (uint32_t t = 0; t < kTokens; ++t) {
    if (next > 255) return false;
    next += uint32_t{1} << raw_bits[t];
  }
  return next > 255;
}

bool read_tables(BitReader& in, ContextParams& params) {
  std::vector<uint8_t> codes;
  if (!read_table_numbers(in, params.tables, kMaxRawBits, params.raw_bits) ||
      !read_table_numbers(in, params.tables, kMaxLogFrequency, codes)) {
    return false;
  }
  params.frequencies.resize(codes.size());
  for (size_t table = 0; table < codes.size(); table += kTokens) {
    if (!runs_fit(&params.raw_bits[table])) return false;
    normalise(&codes[table], &params.frequencies[table]);
  }
  return true;
}

// One value below `limit` for each cell, coded against the cell before it (the one above for the first of a
// row).
bool read_cells(BitReader& in, uint32_t levels1, uint32_t levels2, uint32_t limit,
                std::vector<uint8_t>& cells) {
  const uint32_t k = in.bits(4);
  cells.assign(std::max(kCells, levels1 * levels2), 0);
  for (uint32_t i = 0; i < levels1 * levels2; ++i) {
    const int32_t predicted = i % levels2 != 0 ? cells[i - 1] : i != 0 ? cells[i - levels2] : 0;
    const int32_t value = predicted + in.signed_rice(k);
    if (value < 0 || value >= static_cast<int32_t>(limit)) return false;
    cells[i] = static_cast<uint8_t>(value);
  }
  return in.ok();
}

bool read_channel_contexts(BitReader& in, ContextParams& params) {
  if (!in.holds(params.channels, 12)) return false;
  params.table_of.resize(params.channels);
  params.zero_class_of.resize(params.channels);
  for (uint32_t c = 0; c < params.channels; ++c) {
    params.table_of[c] = static_cast<uint8_t>(in.bits(6));
    params.zero_class_of[c] = static_cast<uint8_t>(in.bits(6));
    if (params.table_of[c] >= params.tables) return false;
  }
  return in.ok();
}

bool read_offsets(BitReader& in, ContextParams& params) {
  const uint32_t k = in.bits(4);
  if (!in.holds(params.channels, 1 + k)) return false;
  params.offsets.resize(params.channels);
  for (int16_t& offset : params.offsets) {
    const int32_t value = params.offset + kOffsetUnit * in.signed_rice(k);
    if (value != static_cast<int16_t>(value)) return false;
    offset = static_cast<int16_t>(value);
  }
  return in.ok();
}

template <class Number>
bool read_numbers(BitReader& in, size_t count, std::vector<Number>& numbers) {
  const uint32_t k = in.bits(4);
  if (!in.holds(count, 1 + k)) return false;
  numbers.resize(count);
  for (Number& number : numbers) {
    const int32_t value = in.signed_rice(k);
    if (value != static_cast<Number>(value)) return false;
    number = static_cast<Number>(value);
  }
  return in.ok();
}

// Channels' own weights, as differences to those of all, and biases.
bool read_of_channels(BitReader& in, ContextParams& params) {
  std::vector<int16_t> changes, biases;
  if (!read_numbers(in, size_t{4} * params.channels, changes) || !read_numbers(in, params.channels, biases) ||
      !read_numbers(in, params.channels, params.zero_bias)) {
    return false;
  }
  for (size_t k = 0; k < 4; ++k) {
    params.channel_weights[k].resize(params.channels);
    for (size_t c = 0; c < params.channels; ++c) {
      const int32_t weight = params.mean_weights[k] + changes[4 * c + k];
      if (weight != static_cast<int8_t>(weight)) return false;
      params.channel_weights[k][c] = static_cast<int8_t>(weight);
    }
  }
  params.spread_bias.resize(params.channels);
  for (size_t c = 0; c < params.channels; ++c) {
    const auto& w = params.channel_weights;
    const int32_t bias = kOffsetUnit * biases[c];
    if (bias != static_cast<int16_t>(bias) || params.zero_bias[c] < -64 || params.zero_bias[c] > 63 ||
        !pair_fits(w[0][c], w[1][c]) || !pair_fits(w[2][c], w[3][c])) {
      return false;
    }
    params.spread_bias[c] = static_cast<int16_t>(bias);
  }
  return true;
}

// Kernels take means in 1/2, to 16 bits, as a factor.
bool means_fit(const Prediction& p, const PredictionHead& head, const References& references,
               size_t channel) {
  const auto magnitude = [](int32_t x) { return static_cast<uint32_t>(x < 0 ? -x : x); };
  const auto total = [&](const std::vector<int8_t>& of_channels, size_t count) {
    uint32_t sum = 0;
    for (size_t i = channel * count; i < (channel + 1) * count; ++i) sum += magnitude(of_channels[i]);
    return sum;
  };
  uint32_t loadings = total(p.spread, p.rank);
  if (head.present) loadings += total(head.west, p.rank) + total(head.north, p.rank);
  const uint32_t most = 8 * (magnitude(p.offsets[channel]) + magnitude(p.shifts[channel])) +
                        255 * total(p.own, kOwn) + (kSignedSeven * loadings >> p.spread_shift) +
                        (references.own.empty() ? 0 : kEstimateLimit * total(references.own, 1));
  return most < kMeanLimit;
}

bool read_prediction_arrays(BitReader& in, uint32_t channels, Prediction& p) {
  const size_t loadings = size_t{channels} * p.rank;
  if (!read_numbers(in, size_t{channels} * kOwn, p.own) || !read_numbers(in, channels, p.offsets) ||
      !read_numbers(in, channels, p.shifts) || !read_numbers(in, channels, p.spread_bias) ||
      !read_numbers(in, channels, p.zero_bias) || !read_numbers(in, channels, p.zero_of_mean) ||
      !read_numbers(in, loadings, p.gather) || !read_numbers(in, loadings, p.spread)) {
    return false;
  }
  return true;
}

bool read_head_arrays(BitReader& in, uint32_t channels, uint32_t rank, uint32_t tables, PredictionHead& h) {
  const size_t loadings = size_t{channels} * rank;
  return read_numbers(in, loadings, h.west) && read_numbers(in, loadings, h.north) &&
         read_numbers(in, size_t{channels} * kHeadTraits, h.traits) &&
         read_numbers(in, size_t{kHeadUnits} * h.inputs, h.units) &&
         read_numbers(in, kHeadUnits, h.unit_bias) &&
         read_numbers(in, size_t{kHeadOutputs} * kHeadUnits, h.of_units) &&
         read_numbers(in, size_t{kHeadOutputs} * h.inputs, h.of_inputs) &&
         read_numbers(in, kHeadOutputs, h.output_bias) &&
         read_cells(in, kHeadMeanSteps, kHeadSpreadSteps, tables, h.table_of) &&
         std::all_of(h.traits.begin(), h.traits.end(), [](int8_t trait) { return trait >= 0; });
}

bool read_reference_arrays(BitReader& in, uint32_t channels, References& r) {
  return read_numbers(in, size_t{channels} * r.inputs, r.weights) && read_numbers(in, channels, r.shifts) &&
         read_numbers(in, channels, r.biases) && read_numbers(in, channels, r.own) &&
         std::all_of(r.shifts.begin(), r.shifts.end(),
                     [](int8_t shift) { return shift >= 0 && shift <= int8_t{kMaxReferenceShift}; });
}

bool weights_in_range(const Prediction& p, const PredictionHead& head, const References& references) {
  for (size_t i = 0; i < p.own.size(); i += kOwn) {
    if (!weights_fit({&p.own[i], kOwn}) || !means_fit(p, head, references, i / kOwn)) return false;
  }
  return true;
}

Status read_arrays(BitReader& in, uint8_t flags, uint32_t levels1, uint32_t levels2, ContextParams& params) {
  if (!read_tables(in, params)) return corrupt("context-rans: a token table is malformed");
  const bool contexts =
      params.head.present || (params.neighbours || (flags & kPredicted)
                                  ? read_cells(in, levels1, levels2, params.tables, params.table_of) &&
                                        read_cells(in, levels1, levels2, kZeroClasses, params.zero_class_of)
                                  : read_channel_contexts(in, params));
  if (!contexts) return corrupt("context-rans: the contexts are malformed");
  const bool has_references = !params.references.maps.empty();
  if ((flags & kOffsets) && !has_references && !read_offsets(in, params)) {
    return corrupt("context-rans: the channels' offsets are malformed");
  }
  if ((flags & kMore) && (flags & kOffsets) && !has_references && !read_of_channels(in, params)) {
    return corrupt("context-rans: the channels' weights are malformed");
  }
  if ((flags & kPredicted) && !read_prediction_arrays(in, params.channels, params.prediction)) {
    return corrupt("context-rans: prediction across channels is malformed");
  }
  if (params.head.present &&
      !read_head_arrays(in, params.channels, params.prediction.rank, params.tables, params.head)) {
    return corrupt("context-rans: a head is malformed");
  }
  if (has_references && !read_reference_arrays(in, params.channels, params.references)) {
    return corrupt("context-rans: estimates from reference maps are malformed");
  }
  if ((flags & kPredicted) && !weights_in_range(params.prediction, params.head, params.references)) {
    return corrupt("context-rans: prediction across channels is malformed");
  }
  if (!in.at_end()) return corrupt("context-rans: the parameters do not end where they should");
  return {};
}

Status parse_fields(ByteReader& in, uint32_t channels, ContextParams& params) {
  const uint8_t flags = in.u8();
  params.tables = in.u8() + 1u;
  if (!in.ok()) return truncated("context-rans: there are no parameters");
  params.neighbours = flags & kNeighbours;
  params.range = flags & kSigned ? kSignedRange : kUnsignedRange;
  const bool head = (flags & kMore) && (flags & kPredicted);
  if (((flags & kMore) && !(flags & (kOffsets | kPredicted))) ||
      (!params.neighbours && (flags & kOffsets) && !head) || (params.neighbours && (flags & kPredicted)) ||
      ((flags & kPoints) && !(flags & kRequantized)) || ((flags & kSigned) && (flags & kZeroPoint)) ||
      params.tables > (head ? kMaxHeadTables : kMaxTables)) {
    return corrupt("context-rans: forbidden flags or number of tables");
  }
  if (!params.neighbours || (flags & kOffsets)) {
    params.channels = in.varint();
    if (params.channels == 0) return corrupt("context-rans: the number of channels is missing");
  }
  if (flags & kZeroPoint) {
    params.range = {in.u8()};
    if (in.ok() && (params.range == kUnsignedRange || params.range == kSignedRange)) {
      return corrupt("context-rans: the range of values is that of a type");
    }
  }
  if (flags & kRequantized) {
    if (const Status s = read_requantizer(in, flags & kPoints, params); !s.ok()) return s;
  }
  uint32_t levels1 = 0;
  uint32_t levels2 = 0;
  if (params.neighbours) read_neighbours(in, params);
  if (head) {
    if (const Status s = read_head(in, params.channels, params.prediction, params.head); !s.ok()) return s;
    if (flags & kOffsets) {
      params.head.inputs = kGivenInputs;
      if (const Status s = read_references(in, params.channels, params.references); !s.ok()) return s;
    }
  } else if (flags & kPredicted) {
    if (const Status s = read_prediction(in, params.channels, params.prediction); !s.ok()) return s;
  }
  if (params.neighbours || ((flags & kPredicted) && !head)) {
    if (const Status s = read_grid(in, params, levels1, levels2); !s.ok()) return s;
  }
  if (!in.ok()) return truncated("context-rans: the parameters end early");
  // Each entry of an array takes at least a bit.
  const uint32_t of_channel = (head ? 4u : 2u) * params.prediction.rank;
  const size_t entries = size_t{params.channels} * std::max(1u, of_channel + params.references.inputs);
  if (entries > 8 * in.rest().size()) return truncated("context-rans: the parameters end early");
  if (channels != 0 && params.channels != 0 && params.channels != channels) {
    return corrupt("context-rans: the parameters are for another number of channels");
  }
  BitReader bits(in.rest());
  const Status status = read_arrays(bits, flags, levels1, levels2, params);
  return moved(status, bits.byte());
}

}  // namespace

Status parse_context_params(std::span<const uint8_t> data, uint32_t channels, ContextParams& params) {
  ByteReader in(data);
  const Status status = parse_fields(in, channels, params);
  return moved(status, in.position());
}

}  // namespace fmapzip
