#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

#include "entropy/context_coder.hpp"
#include "entropy/context_kernels.hpp"
#include "fmapzip/map.hpp"
#include "fmapzip/scratch.hpp"

namespace fmapzip {

// Two companded rows with a position on either side, and the kernels' working memory.
class ContextRows {
 public:
  ContextRows(const ContextTables& tables, Shape tile, size_t contexts, size_t index_bytes, Scratch& scratch)
      : tables_(tables), row_bytes_(size_t{tile.c} * tile.w), channels_(tile.c), width_(tile.w) {
    const size_t row = padded(row_bytes_ + 2 * channels_);
    const size_t context = padded(contexts);
    const size_t longest = std::max<size_t>(channels_, tables.span);
    const size_t span = padded(longest);
    const size_t total = 2 * row + 2 * context + span + padded(2 * longest) + padded(index_bytes);
    uint8_t* p = scratch.get(kContextSlot, total);
    const auto take = [&p](size_t bytes) { return std::exchange(p, p + bytes); };
    rows_[0] = take(row);
    rows_[1] = take(row);
    work_.table = take(context);
    work_.zero_class = take(context);
    work_.packed = take(span);
    work_.entries = reinterpret_cast<uint16_t*>(take(padded(2 * longest)));
    indices_ = take(padded(index_bytes));
    std::memset(rows_[0], 0, 2 * row);
  }

  uint8_t* row(uint32_t h) const { return rows_[h % 2] + channels_; }
  const ContextWork& work() const { return work_; }
  uint8_t* indices() const { return indices_; }

  // The row h as a kernel sees it, with its and the upper row's margins set.
  ContextRow at(uint32_t h, uint32_t lanes) const {
    uint8_t* current = row(h);
    uint8_t* above = row(h + 1);
    if (h == 0) {
      std::memset(current - channels_, tables_.companded[0], channels_);
      return {channels_, width_, lanes, nullptr, current};
    }
    std::memcpy(current - channels_, above, channels_);
    std::memcpy(above - channels_, above, channels_);
    std::memcpy(above + row_bytes_, above + row_bytes_ - channels_, channels_);
    return {channels_, width_, lanes, above, current};
  }

 private:
  const ContextTables& tables_;
  size_t row_bytes_;
  uint32_t channels_;
  uint32_t width_;
  uint8_t* rows_[2];
  ContextWork work_{};
  uint8_t* indices_;
};

}  // namespace fmapzip
