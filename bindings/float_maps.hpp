#pragma once

#include <nanobind/nanobind.h>

namespace fmapzip::python {

// Between float maps and their integers.
void bind_float_maps(nanobind::module_& m);

}  // namespace fmapzip::python
