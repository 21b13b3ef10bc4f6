#include "float_maps.hpp"

#include <nanobind/stl/tuple.h>

#include <tuple>

#include "buffers.hpp"

namespace fmapzip::python {
namespace {

// Batches in memory order: a sample is `channels` x `inner` values, `outer` times.
template <class T>
using Dense = nb::ndarray<T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Floats = Dense<const float>;
using Integers = nb::ndarray<nb::ndim<1>, nb::c_contig, nb::device::cpu>;

struct Batch {
  FloatMaps maps;
  std::span<const float> scales;
  IntegerGrid grid;

  Batch(const Floats& x, const Floats& scale, const std::tuple<int, int, int>& limits, size_t channels,
        size_t inner, const nb::dlpack::dtype& integers, size_t count)
      : grid(grid_of(integers == nb::dtype<int8_t>() ? Dtype::i8 : Dtype::u8, limits)) {
    if (integers != nb::dtype<int8_t>() && integers != nb::dtype<uint8_t>()) {
      raise_error("InvalidType", "integers of maps are uint8 or int8");
    }
    const size_t run = channels * inner;
    if (run == 0 || x.size() % run != 0 || count != x.size()) {
      raise_error("InvalidInput", "floats and integers differ in size, or do not fill whole channels");
    }
    if (scale.size() != 1 && scale.size() != channels) {
      raise_error("InvalidInput", "one scale is needed, or one for each channel");
    }
    maps = {x.data(), x.size() / run, channels, inner};
    scales = {scale.data(), scale.size()};
  }
};

nb::tuple quantize(const Floats& x, const Floats& scale, const std::tuple<int, int, int>& limits,
                   size_t channels, size_t inner, const Integers& q) {
  const Batch batch(x, scale, limits, channels, inner, q.dtype(), q.size());
  Quantized found;
  {
    const nb::gil_scoped_release release;
    found = quantize_maps(batch.maps, batch.scales, batch.grid, static_cast<uint8_t*>(q.data()));
  }
  return nb::make_tuple(found.finite, found.nonzeros);
}

nb::list dequantize(const Integers& q, const Floats& x, const Floats& scale,
                    const std::tuple<int, int, int>& limits, size_t channels, size_t inner, size_t samples,
                    const Dense<float>& out) {
  const Batch batch(x, scale, limits, channels, inner, q.dtype(), q.size());
  if (out.size() != x.size() || samples == 0 || batch.maps.outer % samples != 0) {
    raise_error("InvalidInput", "the output differs in size, or the batch does not hold so many samples");
  }
  std::vector<Energy> energies(samples);
  {
    const nb::gil_scoped_release release;
    FloatMaps sample = batch.maps;
    sample.outer /= samples;
    for (size_t i = 0; i < samples; ++i, sample.values += sample.size()) {
      const size_t first = i * sample.size();
      energies[i] = dequantize_maps(static_cast<const uint8_t*>(q.data()) + first, sample, batch.scales,
                                    batch.grid, out.data() + first);
    }
  }
  nb::list found;
  for (const Energy& energy : energies) found.append(nb::make_tuple(energy.signal, energy.noise));
  return found;
}

}  // namespace

IntegerGrid grid_of(Dtype dtype, const std::tuple<int, int, int>& limits) {
  const auto [low, high, zero_point] = limits;
  const int lowest = dtype == Dtype::i8 ? INT8_MIN : 0;
  if (low < lowest || low > zero_point || zero_point > high || high > lowest + UINT8_MAX) {
    raise_error("InvalidInput",
                "the limits of a quantizer are not integers of its type around its zero point");
  }
  return {dtype, low, high, zero_point};
}

void bind_float_maps(nb::module_& m) {
  m.def("quantize", &quantize, nb::arg("x").noconvert(), nb::arg("scales").noconvert(), nb::arg("limits"),
        nb::arg("channels"), nb::arg("inner"), nb::arg("q").noconvert());
  m.def("dequantize", &dequantize, nb::arg("q").noconvert(), nb::arg("x").noconvert(),
        nb::arg("scales").noconvert(), nb::arg("limits"), nb::arg("channels"), nb::arg("inner"),
        nb::arg("samples"), nb::arg("out").noconvert());
}

}  // namespace fmapzip::python
