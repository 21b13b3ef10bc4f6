#include "layout.hpp"

#include <cstring>

#include "simd/kernels.hpp"

namespace fmapzip {
namespace {

ptrdiff_t signed_size(size_t n) { return static_cast<ptrdiff_t>(n); }

// A map whose rows follow one another is one row a channel: fewer and longer runs to move.
template <class T>
View<T> join_rows(View<T> map) {
  const uint32_t rows = map.shape.h;
  const uint32_t width = map.shape.w;
  if (rows == 1 || map.sh != map.sw * signed_size(width)) return map;
  return {map.data, {map.shape.c, 1, rows * width}, map.sc, 0, map.sw};
}

// Moves each element between `a` (any strides) and the dense buffer at `position(c, h, w)`.
template <class T, class Move>
void each_element(View<T> map, Move move) {
  for (uint32_t c = 0; c < map.shape.c; ++c) {
    for (uint32_t h = 0; h < map.shape.h; ++h) {
      for (uint32_t w = 0; w < map.shape.w; ++w) move(c, h, w, *map.at(c, h, w));
    }
  }
}

size_t planar_index(Shape s, uint32_t c, uint32_t h, uint32_t w) { return (size_t{c} * s.h + h) * s.w + w; }

size_t interleaved_index(Shape s, uint32_t c, uint32_t h, uint32_t w) {
  return (size_t{h} * s.w + w) * s.c + c;
}

bool rows_dense(Shape s, ptrdiff_t sw) { return s.w == 1 || sw == 1; }
bool channels_dense(Shape s, ptrdiff_t sc) { return s.c == 1 || sc == 1; }

}  // namespace

void load_planar(ConstView whole, uint8_t* dst) {
  const ConstView map = join_rows(whole);
  const Shape s = map.shape;
  const ptrdiff_t plane = signed_size(size_t{s.h} * s.w);
  if (rows_dense(s, map.sw)) {
    for (uint32_t c = 0; c < s.c; ++c) {
      for (uint32_t h = 0; h < s.h; ++h, dst += s.w) std::memcpy(dst, map.at(c, h, 0), s.w);
    }
  } else if (channels_dense(s, map.sc)) {
    for (uint32_t h = 0; h < s.h; ++h) {
      kernels().transpose(map.at(0, h, 0), map.sw, s.w, s.c, dst + size_t{h} * s.w, plane);
    }
  } else {
    each_element(map, [&](uint32_t c, uint32_t h, uint32_t w, const uint8_t& value) {
      dst[planar_index(s, c, h, w)] = value;
    });
  }
}

void store_planar(const uint8_t* src, MutView whole) {
  const MutView map = join_rows(whole);
  const Shape s = map.shape;
  const ptrdiff_t plane = signed_size(size_t{s.h} * s.w);
  if (rows_dense(s, map.sw)) {
    for (uint32_t c = 0; c < s.c; ++c) {
      for (uint32_t h = 0; h < s.h; ++h, src += s.w) std::memcpy(map.at(c, h, 0), src, s.w);
    }
  } else if (channels_dense(s, map.sc)) {
    for (uint32_t h = 0; h < s.h; ++h) {
      kernels().transpose(src + size_t{h} * s.w, plane, s.c, s.w, map.at(0, h, 0), map.sw);
    }
  } else {
    each_element(map, [&](uint32_t c, uint32_t h, uint32_t w, uint8_t& value) {
      value = src[planar_index(s, c, h, w)];
    });
  }
}

void load_interleaved(ConstView whole, uint8_t* dst) {
  const ConstView map = join_rows(whole);
  const Shape s = map.shape;
  if (channels_dense(s, map.sc)) {
    for (uint32_t h = 0; h < s.h; ++h) {
      for (uint32_t w = 0; w < s.w; ++w, dst += s.c) std::memcpy(dst, map.at(0, h, w), s.c);
    }
  } else if (rows_dense(s, map.sw)) {
    for (uint32_t h = 0; h < s.h; ++h, dst += size_t{s.w} * s.c) {
      kernels().transpose(map.at(0, h, 0), map.sc, s.c, s.w, dst, signed_size(s.c));
    }
  } else {
    each_element(map, [&](uint32_t c, uint32_t h, uint32_t w, const uint8_t& value) {
      dst[interleaved_index(s, c, h, w)] = value;
    });
  }
}

void store_interleaved(const uint8_t* src, MutView whole) {
  const MutView map = join_rows(whole);
  const Shape s = map.shape;
  if (channels_dense(s, map.sc)) {
    for (uint32_t h = 0; h < s.h; ++h) {
      for (uint32_t w = 0; w < s.w; ++w, src += s.c) std::memcpy(map.at(0, h, w), src, s.c);
    }
  } else if (rows_dense(s, map.sw)) {
    for (uint32_t h = 0; h < s.h; ++h, src += size_t{s.w} * s.c) {
      kernels().transpose(src, signed_size(s.c), s.w, s.c, map.at(0, h, 0), map.sc);
    }
  } else {
    each_element(map, [&](uint32_t c, uint32_t h, uint32_t w, uint8_t& value) {
      value = src[interleaved_index(s, c, h, w)];
    });
  }
}

void add_to_all(uint8_t addend, MutView whole) {
  const MutView map = join_rows(whole);
  const Shape s = map.shape;
  const auto add = [addend](uint8_t* values, uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) values[i] = static_cast<uint8_t>(values[i] + addend);
  };
  if (rows_dense(s, map.sw)) {
    for (uint32_t c = 0; c < s.c; ++c) {
      for (uint32_t h = 0; h < s.h; ++h) add(map.at(c, h, 0), s.w);
    }
  } else if (channels_dense(s, map.sc)) {
    for (uint32_t h = 0; h < s.h; ++h) {
      for (uint32_t w = 0; w < s.w; ++w) add(map.at(0, h, w), s.c);
    }
  } else {
    each_element(map, [&](uint32_t, uint32_t, uint32_t, uint8_t& value) { add(&value, 1); });
  }
}

}  // namespace fmapzip
