#include "float_store.hpp"

#include <chrono>
#include <cstring>

namespace fmapzip {
namespace {

constexpr size_t kIntegers = 0;
constexpr size_t kRestored = 1;

MutView laid_out(uint8_t* data, const View<const float>& as) { return {data, as.shape, as.sc, as.sh, as.sw}; }

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Reads a frame that was just written as any reader would.
Status read_back(std::span<const uint8_t> frame, const TileCodec& codec, MutView map, Scratch& scratch,
                 ParsedFrame& parsed) {
  if (const Status s = parse_frame(frame, Limits{}, parsed); !s.ok()) return s;
  if (const Status s = verify_checksum(frame, parsed); !s.ok()) return s;
  return decode_frame(frame, parsed, &codec, map, 1, scratch);
}

}  // namespace

StoredMap FloatStore::encode(const StoreSettings& settings, const FloatMaps& sample, uint8_t* q) {
  StoredMap found;
  const Quantized quantized = quantize_maps(sample, settings.scales, settings.grid, q);
  found.finite = quantized.finite;
  found.nonzeros = quantized.nonzeros;
  found.energy = quantized.energy;
  if (!found.finite) return found;
  const auto start = std::chrono::steady_clock::now();
  found.status =
      encode_frame(as_const(laid_out(q, settings.layout)), settings.info, *settings.codec, 1, codec_, frame_);
  found.encode_seconds = seconds_since(start);
  return found;
}

StoredMap FloatStore::store(const StoreSettings& settings, const FloatMaps& sample, float* out) {
  const size_t n = sample.size();
  uint8_t* const q = maps_.get(kIntegers, n);
  StoredMap found = encode(settings, sample, q);
  if (!found.finite || !found.status.ok()) return found;
  const auto start = std::chrono::steady_clock::now();
  uint8_t* const restored = maps_.get(kRestored, n);
  ParsedFrame parsed;
  found.status =
      read_back(frame_.bytes(), *settings.codec, laid_out(restored, settings.layout), codec_, parsed);
  found.decode_seconds = seconds_since(start);
  if (!found.status.ok()) return found;
  found.frame_bytes = parsed.frame_bytes;
  found.payload_bytes = parsed.payload_bytes;
  if (std::memcmp(restored, q, n) == 0) {  // what is read back differs by the rounding alone, which is known
    restore_maps(restored, sample, settings.scales, settings.grid, out);
  } else {
    found.energy = dequantize_maps(restored, sample, settings.scales, settings.grid, out);
  }
  return found;
}

StoredMap FloatStore::keep(const StoreSettings& settings, const FloatMaps& sample, float* out) {
  uint8_t* const q = maps_.get(kIntegers, sample.size());
  StoredMap found = encode(settings, sample, q);
  if (!found.finite || !found.status.ok()) return found;
  ParsedFrame parsed;
  found.status = parse_frame(frame_.bytes(), Limits{}, parsed);
  if (!found.status.ok()) return found;
  found.frame_bytes = parsed.frame_bytes;
  found.payload_bytes = parsed.payload_bytes;
  restore_maps(q, sample, settings.scales, settings.grid, out);
  return found;
}

}  // namespace fmapzip
