#pragma once

#include "fmapzip/map.hpp"

namespace fmapzip {

// A map that whoever decodes another one has: its integers, not counted from a zero point.
struct ReferenceMap {
  ConstView map;
  Dtype dtype = Dtype::u8;
};

}  // namespace fmapzip
