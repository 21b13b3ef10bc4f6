#include <arm_neon.h>

#include "entropy/context_kernels.hpp"
#include "simd/inline.hpp"

namespace fmapzip {
namespace {

#include "entropy/context_common.inc"
#include "entropy/context_means_neon.inc"
#include "entropy/context_spans.inc"
#include "entropy/context_states_neon.inc"
#include "entropy/context_steps_of_eight.inc"

void predicted_contexts(const ContextTables& t, const PredictionSteps& steps, uint32_t count, uint8_t* table,
                        uint8_t* zero_class) {
  const ByteTable<kContextSteps> level1(t.level1), level2(t.level2);
  const ByteTable<kCells> table_of(t.table_of), zero_class_of(t.zero_class_of);
  for (uint32_t i = 0; i < count; i += 16) {
    const uint8x16_t cell = vaddq_u8(level1[vld1q_u8(steps.mean + i)], level2[vld1q_u8(steps.spread + i)]);
    const uint8x16_t sum = vaddq_u8(vld1q_u8(steps.zero + i), zero_class_of[cell]);
    vst1q_u8(table + i, table_of[cell]);
    vst1q_u8(zero_class + i, vminq_u8(vqsubq_u8(sum, vdupq_n_u8(64)), vdupq_n_u8(63)));
  }
}

}  // namespace

const ContextKernels kNeonContextKernels{
    look_up, row_contexts, encode_row, decode_row, predicted_contexts, encode_span, decode_span, kFewLanes};

}  // namespace fmapzip
