#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

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

// A uint8 or int8 array on the CPU of 1 to 4 dimensions, after a batch axis if `batched`.
MapArgument read_maps(const AnyArray& array, bool batched);

nb::bytes to_bytes(std::span<const uint8_t> data);

}  // namespace fmapzip::python
