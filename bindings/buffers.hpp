#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <array>
#include <span>
#include <string>
#include <vector>

#include "fmapzip/frame.hpp"
#include "fmapzip/map.hpp"
#include "fmapzip/status.hpp"

// What crosses the border, without a copy.
namespace fmapzip::python {

namespace nb = nanobind;
using AnyArray = nb::ndarray<nb::ro>;
using OutArray = nb::ndarray<>;

// Raises fmapzip.errors.<name>(message).
[[noreturn]] void raise_error(const char* name, const std::string& message);
// Raises the typed error of a status that is not ok; `of` follows the position: in what, if not in the frame.
void require(const Status& status, const std::string& of = "");

// Contiguous bytes of any object with the buffer protocol, held until destroyed.
class Bytes {
 public:
  explicit Bytes(nb::handle object);
  Bytes(Bytes&& other) noexcept : view_(other.view_) { other.view_.obj = nullptr; }
  Bytes(const Bytes&) = delete;
  Bytes& operator=(const Bytes&) = delete;
  Bytes& operator=(Bytes&&) = delete;
  ~Bytes() { PyBuffer_Release(&view_); }

  std::span<const uint8_t> span() const {
    return {static_cast<const uint8_t*>(view_.buf), static_cast<size_t>(view_.len)};
  }

 private:
  Py_buffer view_{};
};

struct MapArgument {
  Dtype dtype = Dtype::u8;
  uint8_t ndim = 0;
  std::array<uint32_t, kMaxDims> dims{};
  std::vector<ConstView> samples;   // one, or one for each index of a leading batch axis
  std::span<const uint8_t> memory;  // from the first value to the last, in the order of memory
};

// Raises InvalidInput where a frame's bytes lie among a map's, of which one is read and the other written.
void require_apart(std::span<const uint8_t> bytes, const MapArgument& map);

// Whether rows of all depths follow one another at one distance.
bool depth_joins_rows(uint8_t ndim, const std::array<uint32_t, kMaxDims>& dims, const int64_t* strides);

// A sample as the core works on it; strides in values.
template <class T>
View<T> worked_view(T* data, uint8_t ndim, const std::array<uint32_t, kMaxDims>& dims,
                    const int64_t* strides) {
  const auto stride = [&](size_t axis) { return static_cast<ptrdiff_t>(strides[axis]); };
  const Shape shape = worked_shape(ndim, dims);
  switch (ndim) {
    case 1:
      return {data, shape, stride(0), 0, 0};
    case 2:
      return {data, shape, stride(0), 0, stride(1)};
    case 3:
      return {data, shape, stride(0), stride(1), stride(2)};
    default:
      return {data, shape, stride(0), stride(dims[2] == 1 ? 1 : 2), stride(3)};
  }
}

// A uint8 or int8 array on the CPU of 1 to 4 dimensions, after a batch axis if `batched`.
MapArgument read_maps(const AnyArray& array, bool batched);

nb::bytes to_bytes(std::span<const uint8_t> data);

}  // namespace fmapzip::python
