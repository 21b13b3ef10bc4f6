#include "context_training.hpp"

#include "buffers.hpp"
#include "entropy/context_fit.hpp"
#include "entropy/context_statistics.hpp"

namespace fmapzip::python {
namespace {

template <class T>
nb::bytes bytes_of(const std::vector<T>& values) {
  return to_bytes({reinterpret_cast<const uint8_t*>(values.data()), values.size() * sizeof(T)});
}

// Statistics of maps in the contexts of draft parameters; arrays come back as the bytes of int64 or int8.
class Statistics {
 public:
  explicit Statistics(nb::handle parameters) {
    const Bytes bytes(parameters);
    require(model_.build(bytes.span()));
  }

  nb::tuple moments(const AnyArray& array) const {
    constexpr size_t k = ContextStatistics::kInputs;
    const MapArgument maps = checked(array);
    std::vector<int64_t> sums(maps.dims[0] * k);
    std::vector<int64_t> products(k * k);
    {
      const nb::gil_scoped_release release;
      ContextStatistics(model_).moments(maps.samples, sums, products);
    }
    return nb::make_tuple(bytes_of(sums), bytes_of(products));
  }

  nb::bytes spread_moments(const AnyArray& array, int32_t origin) const {
    constexpr size_t k = ContextStatistics::kSpreads;
    const MapArgument maps = checked(array);
    std::vector<int64_t> products(k * k);
    {
      const nb::gil_scoped_release release;
      ContextStatistics(model_).spread_moments(maps.samples, origin, products);
    }
    return bytes_of(products);
  }

  nb::bytes count(const AnyArray& array, int axis) const {
    const MapArgument maps = checked(array);
    std::vector<int64_t> counts(kCells * ContextStatistics::kSymbols);
    {
      const nb::gil_scoped_release release;
      ContextStatistics(model_).count(maps.samples, static_cast<ContextStatistics::Axis>(axis), counts);
    }
    return bytes_of(counts);
  }

  nb::bytes count_channels(const AnyArray& array) const {
    const MapArgument maps = checked(array);
    std::vector<int64_t> counts(maps.dims[0] * ContextStatistics::kSymbols);
    {
      const nb::gil_scoped_release release;
      ContextStatistics(model_).count_channels(maps.samples, counts);
    }
    return bytes_of(counts);
  }

  nb::tuple count_predicted(const AnyArray& array) const {
    const MapArgument maps = checked(array);
    if (model_.tables().prediction == nullptr)
      raise_error("InvalidInput", "these parameters predict nothing");
    constexpr size_t pairs = ContextStatistics::kPairs;
    std::vector<int64_t> symbols(pairs * ContextStatistics::kSymbols), zeros(pairs * kZeroNumbers * 2);
    {
      const nb::gil_scoped_release release;
      ContextStatistics(model_).count_predicted(maps.samples, symbols, zeros);
    }
    return nb::make_tuple(bytes_of(symbols), bytes_of(zeros));
  }

 private:
  MapArgument checked(const AnyArray& array) const {
    MapArgument maps = read_maps(array, true);
    const ContextParams& params = model_.params();
    if ((params.range == kSignedRange) != (maps.dtype == Dtype::i8) ||
        (params.channels != 0 && params.channels != maps.dims[0])) {
      raise_error("InvalidInput", "the draft parameters are for other maps");
    }
    return maps;
  }

  ContextModel model_;
};

// Parameters for the frame of one map of values that are counted from their zero point.
nb::bytes fit_one(const AnyArray& array, uint8_t below, uint32_t numerator, uint32_t denominator,
                  bool neighbours) {
  static thread_local Scratch scratch;
  const MapArgument map = read_maps(array, false);
  std::vector<uint8_t> parameters;
  Status status;
  {
    const nb::gil_scoped_release release;
    const auto fit = neighbours ? fit_context_params : fit_channel_params;
    status = fit(map.samples[0], {below}, numerator, denominator, scratch, parameters);
  }
  require(status);
  return to_bytes(parameters);
}

}  // namespace

void bind_context_training(nb::module_& m) {
  m.def("fit_context_rans", &fit_one, nb::arg("values").noconvert(), nb::arg("below"), nb::arg("numerator"),
        nb::arg("denominator"), nb::arg("neighbours"));
  nb::class_<Statistics>(m, "ContextStatistics")
      .def(nb::init<nb::handle>(), nb::arg("parameters"))
      .def("moments", &Statistics::moments, nb::arg("maps").noconvert())
      .def("spread_moments", &Statistics::spread_moments, nb::arg("maps").noconvert(), nb::arg("origin"))
      .def("count", &Statistics::count, nb::arg("maps").noconvert(), nb::arg("axis"))
      .def("count_channels", &Statistics::count_channels, nb::arg("maps").noconvert())
      .def("count_predicted", &Statistics::count_predicted, nb::arg("maps").noconvert());
}

}  // namespace fmapzip::python
