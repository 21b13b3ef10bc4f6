#pragma once

#include <nanobind/nanobind.h>

namespace fmapzip::python {

// Counting for the training of `context-rans`.
void bind_context_training(nanobind::module_& m);

}  // namespace fmapzip::python
