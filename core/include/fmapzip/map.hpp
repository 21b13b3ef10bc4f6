#pragma once

#include <cstddef>
#include <cstdint>

namespace fmapzip {

// int8 maps travel as their bytes in two's complement.
enum class Dtype : uint8_t { u8 = 0, i8 = 1 };

// The values that codecs see, counted from the zero point: 256 in a row, `below` of them negative, each as
// its byte modulo 256. uint8 without a zero point has none below, int8 has 128.
struct ValueRange {
  uint8_t below = 0;

  int lowest() const { return -int{below}; }
  int highest() const { return 255 - below; }
  int value(int byte) const { return byte <= highest() ? byte : byte - 256; }
  bool operator==(const ValueRange&) const = default;
};

inline constexpr ValueRange kUnsignedRange{0};
inline constexpr ValueRange kSignedRange{128};

struct Shape {
  uint32_t c = 0, h = 0, w = 0;

  size_t size() const { return size_t{c} * h * w; }
  bool operator==(const Shape&) const = default;
};

// A [C, H, W] map of 8-bit values in any memory layout; strides are in bytes and may be negative.
template <class T>
struct View {
  T* data = nullptr;
  Shape shape;
  ptrdiff_t sc = 0, sh = 0, sw = 0;
  uint32_t top = 0;  // the row of the whole map that its first one is

  View rows(uint32_t first, uint32_t count) const {
    return {data + static_cast<ptrdiff_t>(first) * sh, {shape.c, count, shape.w}, sc, sh, sw, top + first};
  }
  T* at(uint32_t c, uint32_t h, uint32_t w) const {
    return data + static_cast<ptrdiff_t>(c) * sc + static_cast<ptrdiff_t>(h) * sh +
           static_cast<ptrdiff_t>(w) * sw;
  }
  // Rows of one channel follow one another without a gap. A stride over an axis of one element is never used.
  bool planes_contiguous() const {
    return (shape.w == 1 || sw == 1) && (shape.h == 1 || sh == static_cast<ptrdiff_t>(shape.w));
  }
  bool planar_contiguous() const {
    return planes_contiguous() && (shape.c == 1 || sc == static_cast<ptrdiff_t>(size_t{shape.h} * shape.w));
  }
};

using ConstView = View<const uint8_t>;
using MutView = View<uint8_t>;

template <class T>
View<T> planar_view(T* data, Shape s) {
  return {data, s, static_cast<ptrdiff_t>(size_t{s.h} * s.w), static_cast<ptrdiff_t>(s.w), 1};
}

inline ConstView as_const(MutView v) { return {v.data, v.shape, v.sc, v.sh, v.sw, v.top}; }

}  // namespace fmapzip
