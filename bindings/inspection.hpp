#pragma once

#include <nanobind/nanobind.h>

namespace fmapzip::python {

// Where the bytes of tile bodies went.
void bind_inspection(nanobind::module_& m);

}  // namespace fmapzip::python
