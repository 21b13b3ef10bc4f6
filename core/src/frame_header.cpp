#include "frame_header.hpp"

#include <algorithm>

#include "bits/endian.hpp"
#include "bits/varint.hpp"

namespace fmapzip {
namespace {

// Reads the parts of a header one after another; the first failure stays.
class Reader {
 public:
  Reader(std::span<const uint8_t> data) : data_(data) {}

  uint8_t byte() {
    const auto s = bytes(1);
    return s.empty() ? uint8_t{0} : s[0];
  }

  std::span<const uint8_t> bytes(size_t n) {
    if (!status_.ok()) return {};
    if (data_.size() - position_ < n) {
      fail(truncated("the data end inside the frame's header", data_.size()));
      return {};
    }
    position_ += n;
    return data_.subspan(position_ - n, n);
  }

  uint32_t varint() {
    uint32_t value = 0;
    if (!status_.ok()) return 0;
    switch (get_varint(data_, position_, value)) {
      case VarintError::truncated:
        fail(truncated("the data end inside the frame's header", data_.size()));
        break;
      case VarintError::malformed:
        fail(corrupt("malformed number in the frame's header", position_));
        break;
      case VarintError::none:
        break;
    }
    return value;
  }

  void fail(Status status) {
    if (status_.ok()) status_ = status;
  }
  void require(bool holds, const char* what) {
    if (!holds) fail(corrupt(what, position_));
  }

  bool ok() const { return status_.ok(); }
  Status status() const { return status_; }
  size_t position() const { return position_; }

 private:
  std::span<const uint8_t> data_;
  size_t position_ = 0;
  Status status_;
};

bool printable(std::span<const uint8_t> text) {
  return std::all_of(text.begin(), text.end(), [](uint8_t c) { return c > 0x20 && c < 0x7F; });
}

bool scales_valid(std::span<const uint8_t> scales) {
  for (size_t i = 0; i < scales.size(); i += kScaleBytes) {
    const float scale = load_le<float>(scales.data() + i);
    if (!(scale >= kLeastScale && scale <= kLargestScale)) return false;
  }
  return true;
}

void read_magic(Reader& in) {
  for (const uint8_t expected : kMagic) {
    const uint8_t byte = in.byte();
    if (in.ok()) in.require(byte == expected, "not an fmapzip frame (wrong magic)");
  }
  const uint8_t version = in.byte();
  if (in.ok() && version != kFormatVersion) {
    in.fail({Code::unsupported_version, "frame", kMagic.size(), version});
  }
}

void read_dims(Reader& in, const Limits& limits, FrameInfo& info) {
  uint64_t values = 1;
  for (uint8_t axis = 0; axis < info.ndim; ++axis) {
    info.dims[axis] = in.varint();
    if (!in.ok()) return;
    in.require(info.dims[axis] != 0, "a dimension of the map is zero");
    // One factor stays below 2^32 and the product so far below the limit, so this does not overflow 64 bits
    // unless the caller's limit is beyond 2^32; the division guards that case as well.
    if (in.ok() && values > limits.max_values / info.dims[axis]) {
      in.fail({Code::limit_exceeded, "the map holds more values than the limit allows", in.position()});
    }
    values *= info.dims[axis];
  }
  if (in.ok()) in.require(values <= UINT32_MAX, "the map holds 2^32 values or more");
}

void read_parameters(Reader& in, const Limits& limits, FrameInfo& info) {
  if (info.has_plan) {
    const auto hash = in.bytes(info.plan.hash.size());
    std::copy(hash.begin(), hash.end(), info.plan.hash.begin());
    info.plan.tap = in.varint();
    return;
  }
  const uint32_t size = in.varint();
  if (in.ok() && size > limits.max_parameter_bytes) {
    in.fail({Code::limit_exceeded, "the parameters are larger than the limit allows", in.position()});
  }
  info.parameters = in.bytes(size);
}

}  // namespace

Shape worked_shape(uint8_t ndim, const std::array<uint32_t, kMaxDims>& dims) {
  switch (ndim) {
    case 1:
      return {dims[0], 1, 1};
    case 2:
      return {dims[0], 1, dims[1]};
    case 3:
      return {dims[0], dims[1], dims[2]};
    default:
      return {dims[0], dims[1] * dims[2], dims[3]};
  }
}

uint32_t FrameInfo::tiles() const {
  const uint32_t h = shape().h;
  return tile_rows == 0 ? 0 : (h - 1) / tile_rows + 1;
}

Shape FrameInfo::tile_shape(uint32_t tile) const {
  const Shape map = shape();
  return {map.c, std::min(tile_rows, map.h - first_row(tile)), map.w};
}

void write_header(const FrameInfo& info, std::vector<uint8_t>& out) {
  out.insert(out.end(), kMagic.begin(), kMagic.end());
  out.push_back(kFormatVersion);
  out.push_back(info.number);
  uint8_t flags = static_cast<uint8_t>((info.ndim << flag::kNdimShift) & flag::kNdim);
  if (info.dtype == Dtype::i8) flags |= flag::kSigned;
  if (info.has_quantizer) flags |= flag::kQuantizer;
  if (info.has_quantizer && info.per_channel) flags |= flag::kPerChannel;
  if (info.has_plan) flags |= flag::kPlan;
  if (info.zero_point != 0) flags |= flag::kZeroPoint;
  out.push_back(flags);
  if (info.number == static_cast<uint8_t>(CodecNumber::external)) {
    out.push_back(static_cast<uint8_t>(info.external_id.size()));
    out.insert(out.end(), info.external_id.begin(), info.external_id.end());
  }
  for (uint8_t axis = 0; axis < info.ndim; ++axis) put_varint(out, info.dims[axis]);
  if (info.zero_point != 0) out.push_back(static_cast<uint8_t>(info.zero_point));
  if (info.has_quantizer) out.insert(out.end(), info.scales.begin(), info.scales.end());
  if (info.has_plan) {
    out.insert(out.end(), info.plan.hash.begin(), info.plan.hash.end());
    put_varint(out, info.plan.tap);
  } else {
    put_varint(out, static_cast<uint32_t>(info.parameters.size()));
    out.insert(out.end(), info.parameters.begin(), info.parameters.end());
  }
  put_varint(out, info.tile_rows);
}

Status read_header(std::span<const uint8_t> data, const Limits& limits, FrameInfo& info, size_t& position) {
  Reader in(data);
  read_magic(in);
  info.number = in.byte();
  const uint8_t flags = in.byte();
  if (!in.ok()) return in.status();
  if (flags & flag::kLater) {
    return {Code::unsupported_feature, "the frame has a feature of a later release", in.position() - 1};
  }
  info.dtype = flags & flag::kSigned ? Dtype::i8 : Dtype::u8;
  info.has_quantizer = flags & flag::kQuantizer;
  info.per_channel = flags & flag::kPerChannel;
  info.has_plan = flags & flag::kPlan;
  info.ndim = (flags & flag::kNdim) >> flag::kNdimShift;
  if (info.ndim == 0) info.ndim = kMaxDims;
  in.require(info.has_quantizer || !info.per_channel, "a per-channel flag without a quantizer");
  if (info.number == static_cast<uint8_t>(CodecNumber::external)) {
    const size_t length = in.byte();
    if (in.ok()) in.require(length >= 1 && length <= kMaxExternalId, "codec id of a forbidden length");
    info.external_id = in.bytes(length);
    if (in.ok()) in.require(printable(info.external_id), "codec id that is not printable ASCII");
  }
  if (!in.ok()) return in.status();
  read_dims(in, limits, info);
  if (!in.ok()) return in.status();
  if (flags & flag::kZeroPoint) {
    const uint8_t zero_point = in.byte();
    info.zero_point = info.dtype == Dtype::i8 ? static_cast<int8_t>(zero_point) : zero_point;
    in.require(zero_point != 0, "a zero point of 0 is not written down");
  }
  if (info.has_quantizer) {
    info.scales = in.bytes(kScaleBytes * (info.per_channel ? size_t{info.dims[0]} : 1));
    if (in.ok()) in.require(scales_valid(info.scales), "a scale is not from 2^-126 to 2^120");
  }
  read_parameters(in, limits, info);
  info.tile_rows = in.varint();
  if (in.ok()) {
    in.require(info.tile_rows >= 1 && info.tile_rows <= info.shape().h, "rows per tile out of range");
  }
  position = in.position();
  return in.status();
}

Status check_header(const FrameInfo& info) {
  std::vector<uint8_t> bytes;
  write_header(info, bytes);
  FrameInfo read;
  size_t position = 0;
  const Limits none{UINT64_MAX, UINT32_MAX};
  const Status status = read_header(bytes, none, read, position);
  return status.ok() ? status : invalid(status.what);
}

}  // namespace fmapzip
