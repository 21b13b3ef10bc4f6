#pragma once

#include <nanobind/nanobind.h>

#include <tuple>

#include "float_map.hpp"

namespace fmapzip::python {

// From the lowest and the highest integer of a quantizer, and the one that stands for 0.
IntegerGrid grid_of(Dtype dtype, const std::tuple<int, int, int>& limits);

// Between float maps and their integers.
void bind_float_maps(nanobind::module_& m);

}  // namespace fmapzip::python
