#pragma once

#include <nanobind/nanobind.h>

namespace fmapzip::python {

// Float maps stored and read back in one call.
void bind_storing(nanobind::module_& m);

}  // namespace fmapzip::python
