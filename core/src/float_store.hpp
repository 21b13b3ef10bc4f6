#pragma once

#include <span>

#include "float_map.hpp"
#include "fmapzip/byte_buffer.hpp"
#include "fmapzip/frame.hpp"
#include "fmapzip/scratch.hpp"

namespace fmapzip {

// What the samples of a tap have in common: how floats become integers, and these a frame.
struct StoreSettings {
  FrameInfo info;
  const TileCodec* codec;
  std::span<const float> scales;
  IntegerGrid grid;
  View<const float> layout;  // where the values of a sample lie, from its first one; strides in values
};

struct StoredMap {
  Status status;
  bool finite = true;
  size_t nonzeros = 0;
  size_t frame_bytes = 0;
  size_t payload_bytes = 0;
  Energy energy;  // of the floats, and of what storing changed
  double encode_seconds = 0;
  double decode_seconds = 0;
};

// Stores floats and reads them back, a sample at a time, so that each stays in the cache from the first step
// to the last. Its buffers stay from sample to sample: one a thread.
class FloatStore {
 public:
  // Writes into `out` what is read back; it may not be `sample`'s memory.
  StoredMap store(const StoreSettings& settings, const FloatMaps& sample, float* out);

  // The same for a codec that loses nothing, without decoding.
  StoredMap keep(const StoreSettings& settings, const FloatMaps& sample, float* out);

  // Of the sample stored last.
  std::span<const uint8_t> frame() const { return frame_.bytes(); }

 private:
  // Quantizes and encodes; the integers stay where `maps_` has them.
  StoredMap encode(const StoreSettings& settings, const FloatMaps& sample, uint8_t* q);

  Scratch codec_;
  Scratch maps_;
  ByteBuffer frame_;
};

}  // namespace fmapzip
