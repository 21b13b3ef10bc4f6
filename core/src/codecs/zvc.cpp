#include "codecs/zvc.hpp"

#include "layout.hpp"
#include "simd/kernels.hpp"

namespace fmapzip {
namespace {

constexpr size_t kVectorSlack = 64;  // compress_nonzero stores full vectors

size_t bitmap_bytes(size_t values) { return (values + 7) / 8; }

}  // namespace

size_t ZvcCodec::tile_bound(Shape tile) const {
  return bitmap_bytes(tile.size()) + tile.size() + kVectorSlack;
}

size_t ZvcCodec::encode_tile(ConstView tile, ValueRange, uint8_t* out, Scratch& scratch) const {
  const size_t n = tile.shape.size();
  const uint8_t* values = tile.data;
  if (!tile.planar_contiguous()) {
    uint8_t* planar = scratch.get(0, n);
    load_planar(tile, planar);
    values = planar;
  }
  const size_t bitmap = bitmap_bytes(n);
  return bitmap + kernels().compress_nonzero(values, n, out, out + bitmap);
}

Status ZvcCodec::decode_tile(std::span<const uint8_t> body, MutView tile, ValueRange,
                             Scratch& scratch) const {
  const size_t n = tile.shape.size();
  const size_t bitmap = bitmap_bytes(n);
  if (body.size() < bitmap) return truncated("zvc: the tile ends inside its bitmap", body.size());
  if (n % 8 != 0 && body[bitmap - 1] >> (n % 8) != 0) {
    return corrupt("zvc: spare bits of the bitmap are set", bitmap - 1);
  }
  const size_t nonzero = kernels().popcount(body.data(), bitmap);
  if (body.size() - bitmap != nonzero) {
    return corrupt("zvc: the bitmap and the number of nonzero values disagree", bitmap);
  }
  const bool direct = tile.planar_contiguous();
  uint8_t* values = direct ? tile.data : scratch.get(0, n);
  kernels().expand_nonzero(body.data(), n, body.data() + bitmap, nonzero, values);
  if (!direct) store_planar(values, tile);
  return {};
}

}  // namespace fmapzip
