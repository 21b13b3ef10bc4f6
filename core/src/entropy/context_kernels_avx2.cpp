#include "entropy/context_kernels.hpp"
namespace fmapzip {
const ContextKernels kAvx2ContextKernels{nullptr, nullptr, nullptr, nullptr, 1000};
}
