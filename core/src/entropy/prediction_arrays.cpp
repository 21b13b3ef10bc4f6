#include "entropy/prediction_arrays.hpp"

#include <algorithm>
#include <array>

#include "entropy/context_kernels.hpp"

namespace fmapzip {
namespace {

constexpr int32_t kBiasUnit = 8;
constexpr size_t kOwn = 7;

// floor(32 log2(i + 1))
constexpr std::array<uint8_t, kLogSteps> kLog = {
    0,   32,  50,  64,  74,  82,  89,  96,  101, 106, 110, 114, 118, 121, 125, 128, 130, 133, 135,
    138, 140, 142, 144, 146, 148, 150, 152, 153, 155, 157, 158, 160, 161, 162, 164, 165, 166, 167,
    169, 170, 171, 172, 173, 174, 175, 176, 177, 178, 179, 180, 181, 182, 183, 184, 185, 185, 186,
    187, 188, 189, 189, 190, 191, 192, 192, 193, 194, 194, 195, 196, 196, 197, 198, 198, 199, 199,
    200, 201, 201, 202, 202, 203, 204, 204, 205, 205, 206, 206, 207, 207, 208, 208, 209, 209, 210,
    210, 211, 211, 212, 212, 213, 213, 213, 214, 214, 215, 215, 216, 216, 217, 217, 217, 218, 218,
    219, 219, 219, 220, 220, 221, 221, 221, 222, 222, 222, 223, 223, 224};

AlignedArray<int32_t> biases(const std::vector<int16_t>& numbers) {
  AlignedArray<int32_t> made;
  made.assign(numbers.size() + kVectorPad);
  std::transform(numbers.begin(), numbers.end(), made.data(), [](int16_t n) { return kBiasUnit * n; });
  return made;
}

}  // namespace

void spread_loadings(const std::vector<int8_t>& loadings, uint32_t channels, uint32_t rank, uint32_t first,
                     AlignedArray<int8_t>& laid) {
  const size_t chunks = (channels + kPredictionChunk - 1) / kPredictionChunk;
  laid.assign(chunks * rank * kPredictionChunk + kVectorPad);
  for (size_t c = first; c < channels; ++c) {
    const size_t chunk = c / kPredictionChunk, lane = c % kPredictionChunk;
    for (size_t k = 0; k < rank; ++k) {
      const size_t group = k / kPredictionGroup;
      laid[((chunk * rank / kPredictionGroup + group) * kPredictionChunk + lane) * kPredictionGroup +
           k % kPredictionGroup] = loadings[c * rank + k];
    }
  }
}

void PredictionArrays::build(const Prediction& p, uint32_t channels, uint8_t zero) {
  PredictionTables& t = tables_;
  t.channels = channels;
  t.width = p.width;
  t.spans = (channels + p.width - 1) / p.width;
  t.rank = p.rank;
  t.gathered = (t.spans - 1) * t.width;  // nothing follows the last span
  t.gather_shift = p.gather_shift;
  t.spread_shift = p.spread_shift;
  t.origin = static_cast<int32_t>(64 * p.origin);
  t.zero = zero;
  std::copy(p.distance_weights.begin(), p.distance_weights.end(), t.distance_weights);
  t.distance_offset = p.distance_offset;
  t.spread_of_log = p.spread_of_log;
  t.spread_of_mean = p.spread_of_mean;
  t.spread_of_activity = p.spread_of_activity;
  t.zero_of_activity = p.zero_of_activity;
  t.zero_of_fold = static_cast<int16_t>(kBiasUnit * p.zero_of_fold);
  t.fold_origin = p.fold_origin;
  std::copy(p.zero_of_present.begin(), p.zero_of_present.end(), t.zero_of_present);
  t.first_activity = static_cast<uint8_t>(p.first_activity);
  std::copy(kLog.begin(), kLog.end(), t.log);
  build_channels(p);
  build_loadings(p);
}

void PredictionArrays::build_channels(const Prediction& p) {
  PredictionTables& t = tables_;
  span_of_.assign(t.channels / kPredictionGroup + size_t{kVectorPad});
  for (size_t group = 0; group < t.channels / kPredictionGroup + kVectorPad; ++group) {
    span_of_[group] = static_cast<uint8_t>(std::min<size_t>(kPredictionGroup * group / t.width, t.spans - 1));
  }
  channels_until_.assign(t.spans);
  for (uint64_t span = 0; span < t.spans; ++span) {
    channels_until_[span] = (uint64_t{1} << kReciprocalBits) / ((span + 1) * t.width) + 1;
  }
  near_.assign(4 * (t.channels + size_t{kVectorPad}));
  far_.assign(4 * (t.channels + size_t{kVectorPad}));
  for (size_t c = 0; c < t.channels; ++c) {
    std::copy_n(&p.own[kOwn * c], 4, &near_[4 * c]);
    std::copy_n(&p.own[kOwn * c + 4], 3, &far_[4 * c]);
  }
  offsets_ = biases(p.offsets);
  shifts_ = biases(p.shifts);
  spread_bias_ = biases(p.spread_bias);
  zero_bias_ = biases(p.zero_bias);
  zero_slopes_.assign(t.channels + kVectorPad);
  for (size_t c = 0; c < t.channels; ++c) {
    const uint32_t of_mean = static_cast<uint16_t>(p.zero_of_mean[c]);
    zero_slopes_[c] = static_cast<int32_t>(static_cast<uint16_t>(p.zero_of_log) | of_mean << 16);
  }
  t.span_of = span_of_.data();
  t.channels_until = channels_until_.data();
  t.near = near_.data();
  t.far = far_.data();
  t.offsets = offsets_.data();
  t.shifts = shifts_.data();
  t.spread_bias = spread_bias_.data();
  t.zero_bias = zero_bias_.data();
  t.zero_slopes = zero_slopes_.data();
}

void PredictionArrays::set_head(const PredictionHead& head, const HeadTables& tables) {
  tables_.head = &tables;
  tables_.gathered = tables_.channels;  // places to the right and below follow the last span
  for (size_t i = 0; i < head.west.size(); ++i) {
    spread_corrections_[i / tables_.rank] -= kSignedSeven * (head.west[i] + head.north[i]);
  }
}

void PredictionArrays::build_loadings(const Prediction& p) {
  PredictionTables& t = tables_;
  const size_t rank = t.rank;
  gather_.assign((t.channels + size_t{kVectorPad}) * rank + kVectorPad);
  gather_corrections_.assign(t.spans * rank + kVectorPad);
  spread_corrections_.assign(t.channels + size_t{kVectorPad});
  for (size_t c = 0; c < t.channels; ++c) {
    const size_t span = c / t.width;
    for (size_t k = 0; k < rank; ++k) {
      const int8_t g = p.gather[c * rank + k];
      gather_[(c / kPredictionGroup * rank + k) * kPredictionGroup + c % kPredictionGroup] = g;
      gather_corrections_[span * rank + k] -= kSignedSeven * g;
      if (span == 0) continue;  // it has no factors
      spread_corrections_[c] -= kSignedSeven * p.spread[c * rank + k];
    }
  }
  spread_loadings(p.spread, t.channels, t.rank, t.width, spread_);
  t.gather = gather_.data();
  t.gather_corrections = gather_corrections_.data();
  t.spread = spread_.data();
  t.spread_corrections = spread_corrections_.data();
}

}  // namespace fmapzip
