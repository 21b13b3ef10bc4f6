#include "context_training.hpp"

#include <nanobind/stl/vector.h>

#include <cstring>

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

  nb::bytes channel_moments(const AnyArray& array) const {
    constexpr size_t products = ContextStatistics::kInputs * ContextStatistics::kInputs;
    return of_channels(array, products, [](ContextStatistics statistics, auto maps, auto& found) {
      statistics.channel_moments(maps, found);
    });
  }

  nb::bytes channel_spread_moments(const AnyArray& array, int32_t origin) const {
    constexpr size_t products = ContextStatistics::kSpreads * ContextStatistics::kSpreads;
    return of_channels(array, products, [origin](ContextStatistics statistics, auto maps, auto& found) {
      statistics.channel_spread_moments(maps, origin, found);
    });
  }

  nb::bytes count_zeros(const AnyArray& array) const {
    return of_channels(array, size_t{kCells} * 2, [](ContextStatistics statistics, auto maps, auto& found) {
      statistics.count_zeros(maps, found);
    });
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
    constexpr size_t symbols = ContextStatistics::kSymbols;
    return of_channels(array, symbols, [](ContextStatistics statistics, auto maps, auto& found) {
      statistics.count_channels(maps, found);
    });
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

  nb::bytes count_head(const AnyArray& array, const std::vector<AnyArray>& references) const {
    const MapArgument maps = checked(array);
    require_head();
    const auto given = given_maps(maps, references);
    Status status;
    std::vector<int64_t> symbols(kHeadCells * ContextStatistics::kSymbols);
    {
      const nb::gil_scoped_release release;
      status = ContextStatistics(model_).count_head(maps.samples, given, symbols);
    }
    require(status);
    return bytes_of(symbols);
  }

  // `wanted`: positions as the bytes of int64.
  nb::tuple hear(const AnyArray& array, nb::handle wanted, const std::vector<AnyArray>& references) const {
    const MapArgument maps = checked(array);
    require_head();
    const auto given = given_maps(maps, references);
    Status status;
    const Bytes bytes(wanted);
    std::vector<int64_t> positions(bytes.span().size() / sizeof(int64_t));
    if (!positions.empty()) {
      std::memcpy(positions.data(), bytes.span().data(), positions.size() * sizeof(int64_t));
    }
    const size_t values = positions.size() * model_.params().channels;
    std::vector<uint8_t> inputs(values * model_.params().head.inputs);
    std::vector<int32_t> means(values);
    {
      const nb::gil_scoped_release release;
      status = ContextStatistics(model_).hear(maps.samples, given, positions, inputs, means);
    }
    require(status);
    return nb::make_tuple(bytes_of(inputs), bytes_of(means));
  }

 private:
  // So many numbers of each channel.
  template <class Count>
  nb::bytes of_channels(const AnyArray& array, size_t each, Count count) const {
    const MapArgument maps = checked(array);
    std::vector<int64_t> found(maps.dims[0] * each);
    {
      const nb::gil_scoped_release release;
      count(ContextStatistics(model_), std::span<const ConstView>(maps.samples), found);
    }
    return bytes_of(found);
  }

  // Of each map those that it refers to, from batches of them.
  static std::vector<std::vector<ReferenceMap>> given_maps(const MapArgument& maps,
                                                           const std::vector<AnyArray>& references) {
    std::vector<std::vector<ReferenceMap>> given(references.empty() ? 0 : maps.samples.size());
    for (const AnyArray& array : references) {
      const MapArgument of = read_maps(array, true);
      if (of.samples.size() != given.size()) raise_error("InvalidInput", "a reference map is missing");
      for (size_t i = 0; i < given.size(); ++i) given[i].push_back({of.samples[i], of.dtype});
    }
    return given;
  }

  void require_head() const {
    if (!model_.params().head.present) raise_error("InvalidInput", "these parameters have no head");
  }

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
      .def("channel_moments", &Statistics::channel_moments, nb::arg("maps").noconvert())
      .def("channel_spread_moments", &Statistics::channel_spread_moments, nb::arg("maps").noconvert(),
           nb::arg("origin"))
      .def("count_zeros", &Statistics::count_zeros, nb::arg("maps").noconvert())
      .def("count", &Statistics::count, nb::arg("maps").noconvert(), nb::arg("axis"))
      .def("count_channels", &Statistics::count_channels, nb::arg("maps").noconvert())
      .def("count_predicted", &Statistics::count_predicted, nb::arg("maps").noconvert())
      .def("count_head", &Statistics::count_head, nb::arg("maps").noconvert(), nb::arg("references"))
      .def("hear", &Statistics::hear, nb::arg("maps").noconvert(), nb::arg("positions"),
           nb::arg("references"));
}

}  // namespace fmapzip::python
