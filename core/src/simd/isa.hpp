#pragma once

#include <cstdint>

namespace fmapzip {

enum class Isa : uint8_t { scalar = 0, avx2 = 1, avx512 = 2 };

// The best instruction set of this machine that fmapzip has code for.
Isa detected_isa();

// The one in use: FMAPZIP_SIMD=scalar|avx2|avx512 lowers it, and asking for one that the machine lacks gives
// the best that it has. Read once.
Isa active_isa();

const char* isa_name(Isa isa);

}  // namespace fmapzip
