#include "entropy/fit_kernels.hpp"

namespace fmapzip {
namespace {

constexpr size_t kWidth = 4;

#include "entropy/fit_kernels.inc"

}  // namespace

const FitKernels kNeonFitKernels{add_run, nearest};

}  // namespace fmapzip
