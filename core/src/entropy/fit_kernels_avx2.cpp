#include "entropy/fit_kernels.hpp"

namespace fmapzip {
namespace {

constexpr size_t kWidth = 8;

#include "entropy/fit_kernels.inc"

}  // namespace

const FitKernels kAvx2FitKernels{add_run, nearest};

}  // namespace fmapzip
