#pragma once

// For functions that must not stand by themselves: the linker could pick another instruction set's, and what
// is kept in registers across a call stays there only if the call is gone.
#define FMAPZIP_INLINE inline __attribute__((always_inline))
