#include "buffers.hpp"

#include <functional>

namespace fmapzip::python {
bool depth_joins_rows(uint8_t ndim, const std::array<uint32_t, kMaxDims>& dims, const int64_t* strides) {
  return ndim != 4 || dims[1] == 1 || dims[2] == 1 || strides[1] == strides[2] * int64_t{dims[2]};
}

void raise_error(const char* name, const std::string& message) {
  const nb::object type = nb::module_::import_("fmapzip.errors").attr(name);
  PyErr_SetString(type.ptr(), message.c_str());
  throw nb::python_error();
}

void require(const Status& status, const std::string& of) {
  const std::string where =
      std::string(status.what) + " (at byte " + std::to_string(status.offset) + of + ")";
  switch (status.code) {
    case Code::ok:
      return;
    case Code::corrupt:
      raise_error("CorruptFrame", where);
    case Code::truncated:
      raise_error("TruncatedFrame", where);
    case Code::unsupported_version:
      raise_error("UnsupportedVersion", "frame version " + std::to_string(status.version) +
                                            "; this release reads version " + std::to_string(kFormatVersion) +
                                            of);
    case Code::unsupported_feature:
      raise_error("UnsupportedVersion", where);
    case Code::limit_exceeded:
      raise_error("LimitExceeded", where);
    case Code::invalid_argument:
      raise_error("InvalidInput", status.what);
    case Code::reference:
      raise_error("ReferenceMismatch", status.what);
  }
}

Bytes::Bytes(nb::handle object) {
  if (PyObject_GetBuffer(object.ptr(), &view_, PyBUF_SIMPLE) != 0) {
    PyErr_Clear();
    raise_error("InvalidType", "expected contiguous bytes (bytes, bytearray, memoryview, mmap, uint8 array)");
  }
}

MapArgument read_maps(const AnyArray& array, bool batched) {
  MapArgument map;
  if (array.device_type() != nb::device::cpu::value) {
    raise_error("InvalidInput", "the map is not in CPU memory; copy it to the CPU first");
  }
  if (array.dtype() == nb::dtype<int8_t>()) {
    map.dtype = Dtype::i8;
  } else if (array.dtype() != nb::dtype<uint8_t>()) {
    raise_error("InvalidType", "a map holds uint8 or int8 values; quantize floats first");
  }
  const size_t batch_axes = batched ? 1 : 0;
  if (array.ndim() < batch_axes + 1 || array.ndim() > batch_axes + kMaxDims) {
    raise_error("InvalidInput",
                std::string("a map has 1 to 4 dimensions ([C, D, H, W], [C, H, W], [C, L] or [F])") +
                    (batched ? ", after the batch axis" : "") + "; this array has " +
                    std::to_string(array.ndim()));
  }
  map.ndim = static_cast<uint8_t>(array.ndim() - batch_axes);
  for (size_t axis = 0; axis < map.ndim; ++axis) {
    const size_t length = array.shape(batch_axes + axis);
    if (length == 0) raise_error("InvalidInput", "a dimension of the map is zero");
    if (length > UINT32_MAX) raise_error("InvalidInput", "a dimension of the map is 2^32 or more");
    map.dims[axis] = static_cast<uint32_t>(length);
  }
  if (map.ndim == 4 && uint64_t{map.dims[1]} * map.dims[2] > UINT32_MAX) {
    raise_error("InvalidInput", "a map has fewer than 2^32 values");
  }
  const auto* data = static_cast<const uint8_t*>(array.data());
  const int64_t* strides = array.stride_ptr();  // in values, which are bytes here
  if (!depth_joins_rows(map.ndim, map.dims, strides + batch_axes)) {
    raise_error("InvalidInput",
                "the rows of a [C, D, H, W] map are not evenly spaced in memory; copy it first");
  }
  const auto* low = data;
  const auto* high = data;
  for (size_t axis = 0; axis < array.ndim() && array.size() != 0; ++axis) {
    const int64_t reach = strides[axis] * (static_cast<int64_t>(array.shape(axis)) - 1);
    (reach < 0 ? low : high) += reach;
  }
  map.memory = {low, array.size() == 0 ? 0 : static_cast<size_t>(high - low) + 1};
  const size_t count = batched ? array.shape(0) : 1;
  map.samples.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    const int64_t offset = batched ? strides[0] * static_cast<int64_t>(i) : 0;
    map.samples.push_back(worked_view(data + offset, map.ndim, map.dims, strides + batch_axes));
  }
  return map;
}

void require_apart(std::span<const uint8_t> bytes, const MapArgument& map) {
  const std::less<const uint8_t*> before;
  if (before(bytes.data(), map.memory.data() + map.memory.size()) &&
      before(map.memory.data(), bytes.data() + bytes.size())) {
    raise_error("InvalidInput", "the output shares memory with the input");
  }
}

nb::bytes to_bytes(std::span<const uint8_t> data) { return nb::bytes(data.data(), data.size()); }

}  // namespace fmapzip::python
