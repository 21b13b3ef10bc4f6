#include <immintrin.h>

#include "entropy/context_kernels.hpp"
#include "simd/inline.hpp"

namespace fmapzip {
namespace {

#include "entropy/context_common.inc"
#include "entropy/context_fetch_x86.inc"
#include "entropy/context_means_avx2.inc"
#include "entropy/context_spans.inc"
#include "entropy/context_states_avx2.inc"
#include "entropy/context_steps_of_eight.inc"

void predicted_contexts(const ContextTables& t, const PredictionSteps& steps, uint32_t count, uint8_t* table,
                        uint8_t* zero_class) {
  const ByteTable<kContextSteps> level1(t.level1), level2(t.level2);
  const ByteTable<kCells> table_of(t.table_of), zero_class_of(t.zero_class_of);
  for (uint32_t i = 0; i < count; i += kBytes) {
    const __m256i cell = _mm256_add_epi8(look_up_one(level1, load(steps.mean + i)),
                                         look_up_one(level2, load(steps.spread + i)));
    const __m256i sum = _mm256_add_epi8(load(steps.zero + i), look_up_one(zero_class_of, cell));
    const __m256i moved = _mm256_subs_epu8(sum, _mm256_set1_epi8(64));
    store(table + i, look_up_one(table_of, cell));
    store(zero_class + i, _mm256_min_epu8(moved, _mm256_set1_epi8(63)));
  }
}

}  // namespace

const ContextKernels kAvx2ContextKernels{
    look_up, row_contexts, encode_row, decode_row, predicted_contexts, encode_span, decode_span, kFewLanes};

}  // namespace fmapzip
