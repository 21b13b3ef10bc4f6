#pragma once

// GCC 12 warns of its own _mm512_undefined (bug 105593), where the intrinsics are inlined: to the end of the
// file.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>
