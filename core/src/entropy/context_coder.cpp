#include "entropy/context_coder.hpp"

#include <algorithm>
#include <cstring>

#include "bits/endian.hpp"
#include "entropy/alphabet.hpp"
#include "entropy/context_kernels.hpp"
#include "entropy/context_rows.hpp"
#include "entropy/known_positions.hpp"
#include "entropy/prediction_walk.hpp"

namespace fmapzip {
namespace {

constexpr size_t kValuesPerLane = 1024;
constexpr size_t kStateBytes = 4;
constexpr size_t kMaxBytesPerValue = 4;          // a word for the zero flag and one for the token
constexpr size_t kSinkBytes = size_t{64} << 10;  // rows are handed on in blocks of about this size

Status open_words(std::span<const uint8_t> body, uint32_t lanes, WordReader& in) {
  if (body.size() < kStateBytes * lanes) return truncated("context-rans: the tile ends inside its states");
  std::fill_n(in.state, kMaxLanes, kStateFloor);  // kernels load whole registers
  for (uint32_t i = 0; i < lanes; ++i) {
    in.state[i] = load_le<uint32_t>(body.data() + kStateBytes * i);
    if (in.state[i] < kStateFloor || in.state[i] >= kStateFloor << 16) {
      return corrupt("context-rans: a coder state is out of range", kStateBytes * i);
    }
  }
  const auto words = body.subspan(kStateBytes * lanes);
  if (words.size() % 2 != 0) return corrupt("context-rans: a tile ends in half a word", body.size());
  const size_t copied = std::min(words.size(), kWordMargin);
  uint8_t* tail = in.tail + kWordMargin - copied;
  std::memset(in.tail, 0, sizeof(in.tail));
  if (copied != 0) std::memcpy(tail, words.data() + words.size() - copied, copied);
  in.in_tail = words.size() <= kWordMargin;
  in.at = in.in_tail ? tail : words.data();
  in.end = in.in_tail ? in.tail + kWordMargin : words.data() + words.size();
  in.safe = in.in_tail ? in.end : in.end - kWordMargin;
  return {};
}

Status ends_early(size_t body_bytes) {
  return truncated("context-rans: the tile ends before its last value", body_bytes);
}

// Kernels look for the end of the words at moments of their own; that they went beyond it is said here alike.
Status close_words(const WordReader& in, uint32_t lanes, size_t body_bytes) {
  if (in.at > in.end) return ends_early(body_bytes);
  if (in.at < in.end) return corrupt("context-rans: a tile is longer than its symbols", body_bytes);
  for (uint32_t i = 0; i < lanes; ++i) {
    if (in.state[i] != kStateFloor) return corrupt("context-rans: a coder state ends wrong", body_bytes);
  }
  return {};
}

// The body of a tile whose last word was written at `words.at`.
size_t close_body(const WordWriter& words, const uint8_t* end, uint32_t lanes, size_t raw, uint8_t* out) {
  const size_t length = kStateBytes * lanes + static_cast<size_t>(end - words.at);
  if (length >= raw) return raw;
  std::memmove(out + kStateBytes * lanes, words.at, static_cast<size_t>(end - words.at));
  for (uint32_t i = 0; i < lanes; ++i) store_le(out + kStateBytes * i, words.state[i]);
  return length;
}

// Tables and zero classes of predicted values.
void find_contexts(const ContextTables& tables, const ContextKernels& kernels, const PredictionSteps& steps,
                   uint32_t count, const ContextWork& work) {
  const HeadTables* const head = tables.prediction->head;
  if (head == nullptr) {
    kernels.predicted_contexts(tables, steps, count, work.table, work.zero_class);
    return;
  }
  for (uint32_t i = 0; i < count; ++i) {
    work.table[i] = head->table_of[kHeadSpreadSteps * steps.mean[i] + steps.spread[i]];
  }
  std::memcpy(work.zero_class, steps.zero, count);
}

// Writes the steps of a tile, the last one first; `of(step, encode)` calls encode(work, indices).
template <class Order, class Of>
size_t encode_steps(const ContextTables& tables, const Order& order, Of of, Shape tile, uint32_t lanes,
                    uint8_t* out) {
  const ContextKernels& kernels = context_kernels(lanes);
  uint8_t* const end = out + context_bound(tile) - kVectorPad;
  WordWriter words;
  words.at = end;
  std::fill_n(words.state, kMaxLanes, kStateFloor);
  for (uint32_t step = order.steps(); step-- > 0;) {
    of(step, [&](const ContextWork& work, const uint8_t* indices) {
      kernels.encode_span(tables, work, work.table, work.zero_class, indices, order.count(step), lanes,
                          words);
    });
    if (static_cast<size_t>(end - words.at) >= tile.size()) return tile.size();
  }
  return close_body(words, end, lanes, tile.size(), out);
}

// Several positions at once.
size_t encode_known(const ContextTables& tables, const KnownKernels& known, const uint8_t* indices,
                    Shape tile, uint32_t lanes, uint8_t* out, Scratch& scratch) {
  KnownPositions positions(tables, context_kernels(lanes), known, indices, tile, scratch);
  const auto of = [&](uint32_t step, auto encode) {
    const KnownPositions::Step taken = positions.take(step);
    encode(taken.work, taken.indices);
  };
  return encode_steps(tables, positions.order(), of, tile, lanes, out);
}

size_t encode_predicted(const ContextTables& tables, const Estimates* estimates, const uint8_t* indices,
                        Shape tile, uint32_t lanes, uint8_t* out, Scratch& scratch) {
  const KnownKernels* const known = prediction_kernels().known;
  if (known != nullptr && tables.prediction->head == nullptr) {
    return encode_known(tables, *known, indices, tile, lanes, out, scratch);
  }
  const ContextKernels& kernels = context_kernels(lanes);
  PredictionWalk walk(tables, estimates, tile, true, 0, scratch);
  for (uint32_t step = 0; step < walk.steps(); ++step) {
    const uint32_t count = walk.count(step);
    const ContextWork work = walk.work(step);
    walk.predict(step);
    find_contexts(tables, kernels, walk.predicted(step), count, work);
    walk.take_indices(step, indices);
    kernels.look_up(tables.companded, walk.indices(step), count, walk.companded(step));
    walk.gather();
  }
  const auto of = [&](uint32_t step, auto encode) { encode(walk.work(step), walk.indices(step)); };
  return encode_steps(tables, walk, of, tile, lanes, out);
}

bool decode_predicted(const ContextTables& tables, const Estimates* estimates, Shape tile, uint32_t lanes,
                      WordReader& words, const RowSink& rows, Scratch& scratch) {
  const ContextKernels& kernels = context_kernels(lanes);
  PredictionWalk walk(tables, estimates, tile, false, tile.size(), scratch);
  for (uint32_t step = 0; step < walk.steps(); ++step) {
    const uint32_t count = walk.count(step);
    const ContextWork work = walk.work(step);
    walk.predict(step);
    find_contexts(tables, kernels, walk.predicted(step), count, work);
    if (!kernels.decode_span(tables, work, count, lanes, walk.indices(step), walk.companded(step), words)) {
      return false;
    }
    walk.gather();
    walk.give_indices(step, walk.extra());
  }
  rows(0, tile.h, walk.extra());
  return true;
}

}  // namespace

uint32_t context_lanes(const ContextModel& model, Shape tile) {
  const ContextTables& t = model.tables();
  const uint32_t most = t.channel_table != nullptr ? std::min(t.span, tile.c * tile.w) : tile.c;
  uint32_t lanes = 1;
  while (lanes < kMaxLanes && lanes < most && 2 * lanes * kValuesPerLane <= tile.size()) lanes *= 2;
  return lanes;
}

size_t context_bound(Shape tile) {
  const size_t row = size_t{tile.c} * tile.w;
  return kStateBytes * kMaxLanes + tile.size() + kMaxBytesPerValue * row + 2 * kVectorPad;
}

size_t encode_contexts(const ContextModel& model, const Estimates* estimates, const uint8_t* indices,
                       Shape tile, uint8_t* out, Scratch& scratch) {
  const ContextTables& tables = model.tables();
  const uint32_t lanes = context_lanes(model, tile);
  if (tables.prediction != nullptr) {
    return encode_predicted(tables, estimates, indices, tile, lanes, out, scratch);
  }
  const ContextKernels& kernels = context_kernels(lanes);
  const size_t row_bytes = size_t{tile.c} * tile.w;
  const ContextRows rows(tables, tile, row_bytes, 0, scratch);
  uint8_t* const end = out + context_bound(tile) - kVectorPad;
  WordWriter words;
  words.at = end;
  std::fill_n(words.state, kMaxLanes, kStateFloor);
  const auto compand = [&](uint32_t h) {
    kernels.look_up(tables.companded, indices + h * row_bytes, row_bytes, rows.row(h));
  };
  if (tables.channel_table == nullptr) compand(tile.h - 1);
  for (uint32_t h = tile.h; h-- > 0;) {
    if (tables.channel_table == nullptr && h > 0) compand(h - 1);
    const ContextRow row = rows.at(h, lanes);
    if (tables.channel_table == nullptr) kernels.row_contexts(tables, row, rows.work());
    kernels.encode_row(tables, row, rows.work(), indices + h * row_bytes, words);
    if (static_cast<size_t>(end - words.at) >= tile.size()) return tile.size();
  }
  return close_body(words, end, lanes, tile.size(), out);
}

Status decode_contexts(const ContextModel& model, const Estimates* estimates, std::span<const uint8_t> body,
                       Shape tile, const RowSink& rows_sink, Scratch& scratch) {
  const ContextTables& tables = model.tables();
  const uint32_t lanes = context_lanes(model, tile);
  const ContextKernels& kernels = context_kernels(lanes);
  const size_t row_bytes = size_t{tile.c} * tile.w;
  const auto block = static_cast<uint32_t>(std::clamp<size_t>(kSinkBytes / row_bytes, 1, tile.h));
  WordReader words;
  if (const Status s = open_words(body, lanes, words); !s.ok()) return s;
  if (tables.prediction != nullptr) {
    if (!decode_predicted(tables, estimates, tile, lanes, words, rows_sink, scratch)) {
      return ends_early(body.size());
    }
    return close_words(words, lanes, body.size());
  }
  const ContextRows rows(tables, tile, tile.c, block * row_bytes, scratch);
  for (uint32_t first = 0; first < tile.h; first += block) {
    const uint32_t count = std::min(block, tile.h - first);
    for (uint32_t i = 0; i < count; ++i) {
      uint8_t* indices = rows.indices() + i * row_bytes;
      if (!kernels.decode_row(tables, rows.at(first + i, lanes), rows.work(), indices, words)) {
        return ends_early(body.size());
      }
    }
    rows_sink(first, count, rows.indices());
  }
  return close_words(words, lanes, body.size());
}

}  // namespace fmapzip
