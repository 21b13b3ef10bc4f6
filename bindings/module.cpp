#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <cstring>
#include <memory>

#include "bits/crc32c.hpp"
#include "buffers.hpp"
#include "codec.hpp"
#include "context_training.hpp"
#include "float_maps.hpp"
#include "fmapzip/frame.hpp"
#include "inspection.hpp"
#include "parallel.hpp"
#include "simd/instruction_set.hpp"
#include "storing.hpp"

namespace nb = nanobind;

namespace fmapzip::python {
namespace {

// Buffers that stay with a thread from call to call.
Scratch& thread_scratch() {
  static thread_local Scratch scratch;
  return scratch;
}

// The optional parts of a header, as Python gives them. Empty bytes mean that a part is absent.
struct HeaderOptions {
  Bytes scales;
  bool per_channel;
  int zero_point;
  Bytes plan_hash;
  uint32_t tap;

  void apply(FrameInfo& info) const {
    const int lowest = info.dtype == Dtype::i8 ? INT8_MIN : 0;
    if (zero_point < lowest || zero_point > lowest + UINT8_MAX) {
      raise_error("InvalidInput", "the zero point is not an integer of the map's type");
    }
    info.zero_point = static_cast<int16_t>(zero_point);
    info.has_quantizer = !scales.span().empty();
    info.scales = scales.span();
    info.per_channel = info.has_quantizer && per_channel;
    const size_t expected = sizeof(float) * (info.per_channel ? info.dims[0] : info.has_quantizer ? 1 : 0);
    if (info.scales.size() != expected) {
      raise_error("InvalidInput", "one scale is needed, or one for each channel");
    }
    info.has_plan = !plan_hash.span().empty();
    if (!info.has_plan) return;
    if (plan_hash.span().size() != info.plan.hash.size()) {
      raise_error("InvalidInput", "a plan is named by 8 bytes of its hash");
    }
    std::memcpy(info.plan.hash.data(), plan_hash.span().data(), info.plan.hash.size());
    info.plan.tap = tap;
    info.parameters = {};
  }
};

FrameInfo header_of(const MapArgument& map, uint8_t number, std::span<const uint8_t> parameters,
                    const HeaderOptions& options) {
  FrameInfo info;
  info.number = number;
  info.dtype = map.dtype;
  info.ndim = map.ndim;
  info.dims = map.dims;
  info.parameters = parameters;
  options.apply(info);
  return info;
}

FrameInfo header_of(const MapArgument& map, const Codec& codec, const HeaderOptions& options) {
  FrameInfo info = header_of(map, codec.number(), codec.parameters(), options);
  info.tile_rows = codec.tile_rows(info.shape());
  return info;
}

std::vector<ReferenceMap> reference_maps(const std::vector<AnyArray>& arrays) {
  std::vector<ReferenceMap> maps;
  for (const AnyArray& array : arrays) {
    const MapArgument map = read_maps(array, false);
    if (map.samples[0].shape.size() == 0)
      raise_error("InvalidInput", "a reference map has at least one value");
    maps.push_back({map.samples[0], map.dtype});
  }
  return maps;
}

void encode_one(const MapArgument& map, const Codec& codec, const HeaderOptions& options, int threads,
                ByteBuffer& out) {
  const FrameInfo info = header_of(map, codec, options);
  Status status;
  {
    const nb::gil_scoped_release release;
    status = encode_frame(map.samples[0], info, codec.tiles(), threads, thread_scratch(), out);
  }
  require(status);
}

nb::bytes encode(const AnyArray& array, const Codec& codec, nb::handle scales, bool per_channel,
                 int zero_point, nb::handle plan_hash, uint32_t tap, int threads) {
  static thread_local ByteBuffer out;
  encode_one(read_maps(array, false), codec, {Bytes(scales), per_channel, zero_point, Bytes(plan_hash), tap},
             threads, out);
  return to_bytes(out.bytes());
}

size_t encode_into(const AnyArray& array, const OutArray& memory, const Codec& codec, nb::handle scales,
                   bool per_channel, int zero_point, nb::handle plan_hash, uint32_t tap, int threads) {
  if (memory.ndim() != 1 || memory.dtype() != nb::dtype<uint8_t>() ||
      (memory.shape(0) > 1 && memory.stride(0) != 1)) {
    raise_error("InvalidType", "the output is a contiguous one-dimensional uint8 array");
  }
  const MapArgument map = read_maps(array, false);
  require_apart({static_cast<const uint8_t*>(memory.data()), memory.shape(0)}, map);
  ByteBuffer out(static_cast<uint8_t*>(memory.data()), memory.shape(0));
  encode_one(map, codec, {Bytes(scales), per_channel, zero_point, Bytes(plan_hash), tap}, threads, out);
  if (!out.fits()) {
    raise_error("InvalidInput",
                "the output is too small: the frame takes " + std::to_string(out.size()) + " bytes");
  }
  return out.size();
}

// A bytes object of `size` bytes whose contents are yet to be written.
nb::bytes unwritten_bytes(size_t size) {
  PyObject* object = PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(size));
  if (object == nullptr) throw nb::python_error();
  return nb::steal<nb::bytes>(object);
}

nb::object shrunk(nb::bytes bytes, size_t size) {
#ifdef Py_LIMITED_API  // resizes no bytes
  return nb::bytes(bytes.c_str(), size);
#else
  PyObject* object = bytes.release().ptr();
  if (_PyBytes_Resize(&object, static_cast<Py_ssize_t>(size)) != 0) throw nb::python_error();
  return nb::steal(object);
#endif
}

// What a batch of maps of one kind is encoded with, held while the core works.
struct BatchToEncode {
  MapArgument maps;
  HeaderOptions options;
  const Codec* codec;
};

// Each thread writes its frames where they stay: into bytes objects of the largest size, cut afterwards.
nb::list encode_together(const std::vector<BatchToEncode>& batches, int threads) {
  std::vector<nb::bytes> objects;
  std::vector<EncodeJob> jobs;
  for (const BatchToEncode& batch : batches) {
    const Codec& codec = *batch.codec;
    const FrameInfo info = header_of(batch.maps, codec, batch.options);
    const size_t bound = batch.maps.samples.empty() ? 0 : frame_capacity(info, codec.tiles());
    for (const ConstView& map : batch.maps.samples) {
      auto* const memory =
          reinterpret_cast<uint8_t*>(PyBytes_AsString(objects.emplace_back(unwritten_bytes(bound)).ptr()));
      jobs.push_back({map, info, &codec.tiles(), ByteBuffer(memory, bound)});
    }
  }
  {
    const nb::gil_scoped_release release;
    std::vector<Scratch> scratches(worker_count(jobs.size(), threads));
    encode_frames(jobs, scratches);
  }
  nb::list result;
  size_t next = 0;
  for (const BatchToEncode& batch : batches) {
    nb::list frames;
    for (const size_t end = next + batch.maps.samples.size(); next < end; ++next) {
      require(jobs[next].status);
      frames.append(shrunk(std::move(objects[next]), jobs[next].out.size()));
    }
    result.append(std::move(frames));
  }
  return result;
}

nb::object encode_batch(const AnyArray& array, const Codec& codec, nb::handle scales, bool per_channel,
                        int zero_point, nb::handle plan_hash, uint32_t tap, int threads) {
  std::vector<BatchToEncode> batch;
  batch.push_back(
      {read_maps(array, true), {Bytes(scales), per_channel, zero_point, Bytes(plan_hash), tap}, &codec});
  return encode_together(batch, threads)[0];
}

// Takes (array, codec, scales, per channel, zero point, plan's hash, tap) for each batch.
nb::list encode_batches(const std::vector<nb::tuple>& requests, int threads) {
  std::vector<BatchToEncode> batches;
  std::vector<AnyArray> arrays;  // held
  for (const nb::tuple& request : requests) {
    const AnyArray& array = arrays.emplace_back(nb::cast<AnyArray>(request[0], false));
    batches.push_back({read_maps(array, true),
                       {Bytes(request[2]), nb::cast<bool>(request[3]), nb::cast<int>(request[4]),
                        Bytes(request[5]), nb::cast<uint32_t>(request[6])},
                       &nb::cast<const Codec&>(request[1])});
  }
  return encode_together(batches, threads);
}

// A frame whose header and tile table hold, and whose checksum does too if it was to be verified; keeps the
// bytes that it was read from.
class Frame {
 public:
  Frame(nb::object data, size_t offset, uint64_t max_values, uint64_t max_parameter_bytes, bool verify)
      : owner_(std::move(data)), bytes_(owner_) {
    if (offset > bytes_.span().size()) raise_error("InvalidInput", "the offset is behind the data's end");
    data_ = bytes_.span().subspan(offset);
    Status status;
    {
      const nb::gil_scoped_release release;
      status = parse_frame(data_, {max_values, max_parameter_bytes}, frame_);
      if (status.ok() && verify) status = verify_checksum(data_, frame_);
    }
    if (offset != 0) of_ = " of the frame that begins at byte " + std::to_string(offset);
    require(status);
  }

  // Raises the error of reading this frame.
  void require(const Status& status) const { python::require(status, of_); }

  // The codec of the parameters that the frame holds, which must be for maps of its channels.
  Codec codec() const {
    const FrameInfo& info = frame_.info;
    return {info.number, info.parameters, info.shape().c, parameters_offset(data_, info), of_};
  }

  const FrameInfo& info() const { return frame_.info; }
  const ParsedFrame& parsed() const { return frame_; }
  std::span<const uint8_t> data() const { return data_; }
  std::span<const uint8_t> bytes() const { return data_.first(frame_.frame_bytes); }

 private:
  nb::object owner_;
  Bytes bytes_;
  std::span<const uint8_t> data_;
  ParsedFrame frame_;
  std::string of_;
};

std::vector<uint32_t> frame_shape(const Frame& frame) {
  const auto& dims = frame.info().dims;
  return {dims.begin(), dims.begin() + frame.info().ndim};
}

void check_output(const Frame& frame, const MapArgument& out) {
  if (out.dtype != frame.info().dtype) {
    raise_error("InvalidType", "the output does not have the frame's dtype");
  }
  if (out.ndim != frame.info().ndim || out.dims != frame.info().dims) {
    raise_error("InvalidInput", "the output does not have the frame's shape");
  }
}

MutView writable(const ConstView& view, const OutArray& owner) {
  auto* base = static_cast<uint8_t*>(owner.data());
  return {base + (view.data - base), view.shape, view.sc, view.sh, view.sw};
}

const TileCodec* tiles_of(const Codec* codec) { return codec ? &codec->tiles() : nullptr; }

void decode_into(const Frame& frame, const OutArray& out, const Codec* codec, int threads) {
  const MapArgument map = read_maps(AnyArray(out), false);
  check_output(frame, map);
  require_apart(frame.bytes(), map);
  Status status;
  {
    const nb::gil_scoped_release release;
    status = decode_frame(frame.data(), frame.parsed(), tiles_of(codec), writable(map.samples[0], out),
                          threads, thread_scratch());
  }
  frame.require(status);
}

void decode_batch_into(const std::vector<const Frame*>& frames, const OutArray& out,
                       const std::vector<const Codec*>& codecs, int threads) {
  const MapArgument maps = read_maps(AnyArray(out), true);
  if (maps.samples.size() != frames.size() || codecs.size() != frames.size()) {
    raise_error("InvalidInput", "the output's batch axis is not as long as there are frames");
  }
  for (const Frame* frame : frames) {
    if (frame == nullptr) raise_error("InvalidType", "a frame is None");
    check_output(*frame, maps);
    require_apart(frame->bytes(), maps);
  }
  std::vector<Status> statuses(frames.size());
  {
    const nb::gil_scoped_release release;
    std::vector<Scratch> scratches(worker_count(frames.size(), threads));
    parallel_for(frames.size(), scratches.size(), [&](size_t i, size_t worker) {
      statuses[i] = verify_checksum(frames[i]->data(), frames[i]->parsed());
      if (!statuses[i].ok()) return;
      statuses[i] = decode_frame(frames[i]->data(), frames[i]->parsed(), tiles_of(codecs[i]),
                                 writable(maps.samples[i], out), 1, scratches[worker]);
    });
  }
  for (size_t i = 0; i < frames.size(); ++i) frames[i]->require(statuses[i]);
}

// Whether a codec's parameters fit a frame, as decode_frame asks before it decodes.
void check_codec(const Codec& codec, const Frame& frame) {
  Status status = codec.tiles().check(frame.info().shape(), frame.info().range());
  if (!status.ok() && !frame.info().has_plan) {
    status = corrupt(status.what, parameters_offset(frame.data(), frame.info()));
  }
  frame.require(status);
}

nb::bytes assemble(uint8_t dtype, const std::vector<uint32_t>& dims, const std::string& codec_id,
                   nb::handle parameters, nb::handle scales, bool per_channel, int zero_point,
                   nb::handle plan_hash, uint32_t tap, uint32_t tile_rows,
                   const std::vector<nb::object>& bodies) {
  if (dims.empty() || dims.size() > kMaxDims) raise_error("InvalidInput", "a map has 1 to 4 dimensions");
  MapArgument map;
  map.dtype = dtype == 0 ? Dtype::u8 : Dtype::i8;
  map.ndim = static_cast<uint8_t>(dims.size());
  std::copy(dims.begin(), dims.end(), map.dims.begin());
  const Bytes parameter_bytes(parameters);
  const HeaderOptions options{Bytes(scales), per_channel, zero_point, Bytes(plan_hash), tap};
  FrameInfo info =
      header_of(map, static_cast<uint8_t>(CodecNumber::external), parameter_bytes.span(), options);
  info.external_id = {reinterpret_cast<const uint8_t*>(codec_id.data()), codec_id.size()};
  info.tile_rows = tile_rows;
  std::vector<Bytes> held;
  std::vector<std::span<const uint8_t>> spans;
  held.reserve(bodies.size());
  for (const nb::object& body : bodies) spans.push_back(held.emplace_back(body).span());
  ByteBuffer out;
  require(assemble_frame(info, spans, out));
  return to_bytes(out.bytes());
}

nb::bytes tile_bytes(const Frame& frame, uint32_t tile) {
  if (tile >= frame.info().tiles()) raise_error("InvalidInput", "the frame has no such tile");
  return to_bytes(tile_body(frame.data(), frame.parsed(), tile));
}

nb::list tile_lengths(const Frame& frame) {
  nb::list lengths;
  for (uint32_t i = 0; i < frame.info().tiles(); ++i) {
    lengths.append(tile_body(frame.data(), frame.parsed(), i).size());
  }
  return lengths;
}

}  // namespace
}  // namespace fmapzip::python

NB_MODULE(_core, m) {
  using namespace fmapzip;
  using namespace fmapzip::python;
  // Codecs that are kept for reuse, and callers' own variables, outlive the interpreter's last collection.
  nb::set_leak_warnings(false);
  m.doc() = "The C++ core of fmapzip. Its Python face is the package around it.";

  m.attr("FORMAT_VERSION") = kFormatVersion;
  m.attr("MAX_VALUES") = Limits{}.max_values;
  m.attr("MAX_PARAMETER_BYTES") = Limits{}.max_parameter_bytes;
  m.attr("TILE_VALUES") = kTileValues;

  nb::class_<python::Codec>(m, "Codec")
      .def(
          "__init__",
          [](python::Codec* self, uint8_t number, nb::handle parameters, uint32_t tile_values) {
            const Bytes bytes(parameters);
            new (self) python::Codec(number, bytes.span(), 0, 0, " of the parameters", tile_values);
          },
          nb::arg("number"), nb::arg("parameters"), nb::arg("tile_values") = 0)
      .def_prop_ro("number", &python::Codec::number)
      .def_prop_ro("references", [](const python::Codec& c) { return c.tiles().references(); })
      .def(
          "given",
          [](const python::Codec& c, const std::vector<AnyArray>& references) {
            return python::Codec(c, reference_maps(references));
          },
          nb::arg("references").noconvert())
      .def_prop_ro("parameters", [](const python::Codec& c) { return to_bytes(c.parameters()); });

  m.def("encode", &encode, nb::arg("q").noconvert(), nb::arg("codec"), nb::arg("scales"),
        nb::arg("per_channel"), nb::arg("zero_point"), nb::arg("plan_hash"), nb::arg("tap"),
        nb::arg("threads"));
  m.def("encode_into", &encode_into, nb::arg("q").noconvert(), nb::arg("out").noconvert(), nb::arg("codec"),
        nb::arg("scales"), nb::arg("per_channel"), nb::arg("zero_point"), nb::arg("plan_hash"),
        nb::arg("tap"), nb::arg("threads"));
  m.def("encode_batch", &encode_batch, nb::arg("q").noconvert(), nb::arg("codec"), nb::arg("scales"),
        nb::arg("per_channel"), nb::arg("zero_point"), nb::arg("plan_hash"), nb::arg("tap"),
        nb::arg("threads"));
  m.def("encode_batches", &encode_batches, nb::arg("batches"), nb::arg("threads"));
  m.def("assemble", &assemble, nb::arg("dtype"), nb::arg("dims"), nb::arg("codec_id"), nb::arg("parameters"),
        nb::arg("scales"), nb::arg("per_channel"), nb::arg("zero_point"), nb::arg("plan_hash"),
        nb::arg("tap"), nb::arg("tile_rows"), nb::arg("bodies"));

  nb::class_<Frame>(m, "Frame")
      .def(nb::init<nb::object, size_t, uint64_t, uint64_t, bool>(), nb::arg("data"), nb::arg("offset"),
           nb::arg("max_values"), nb::arg("max_parameter_bytes"), nb::arg("verify"))
      .def_prop_ro("number", [](const Frame& f) { return f.info().number; })
      .def_prop_ro("external_id",
                   [](const Frame& f) {
                     const auto id = f.info().external_id;
                     return std::string(id.begin(), id.end());
                   })
      .def_prop_ro("signed", [](const Frame& f) { return f.info().dtype == Dtype::i8; })
      .def_prop_ro("shape", &frame_shape)
      .def_prop_ro("zero_point", [](const Frame& f) { return f.info().zero_point; })
      .def_prop_ro("scales", [](const Frame& f) { return to_bytes(f.info().scales); })
      .def_prop_ro("per_channel", [](const Frame& f) { return f.info().per_channel; })
      .def_prop_ro("plan_hash",
                   [](const Frame& f) {
                     return to_bytes(f.info().has_plan ? std::span<const uint8_t>(f.info().plan.hash)
                                                       : std::span<const uint8_t>{});
                   })
      .def_prop_ro("tap", [](const Frame& f) { return f.info().plan.tap; })
      .def_prop_ro("parameters", [](const Frame& f) { return to_bytes(f.info().parameters); })
      .def_prop_ro("tile_rows", [](const Frame& f) { return f.info().tile_rows; })
      .def_prop_ro("tile_lengths", &tile_lengths)
      .def("body", &tile_bytes, nb::arg("tile"))
      .def_prop_ro("all_stored", [](const Frame& f) { return f.parsed().all_stored; })
      .def_prop_ro("lengths_offset", [](const Frame& f) { return f.parsed().lengths_offset; })
      .def_prop_ro("payload_offset", [](const Frame& f) { return f.parsed().payload_offset; })
      .def_prop_ro("payload_bytes", [](const Frame& f) { return f.parsed().payload_bytes; })
      .def_prop_ro("frame_bytes", [](const Frame& f) { return f.parsed().frame_bytes; })
      .def(
          "check", [](const Frame& f, const python::Codec& c) { check_codec(c, f); }, nb::arg("codec"))
      .def("verify", [](const Frame& f) { f.require(verify_checksum(f.data(), f.parsed())); })
      .def("codec", &Frame::codec)
      .def("decode_into", &decode_into, nb::arg("out").noconvert(), nb::arg("codec").none(),
           nb::arg("threads"));
  // Verifies each checksum itself.
  m.def("decode_batch_into", &decode_batch_into, nb::arg("frames"), nb::arg("out").noconvert(),
        nb::arg("codecs"), nb::arg("threads"));

  m.def("crc32c", [](nb::handle data) { return crc32c(Bytes(data).span()); }, nb::arg("data"));
  m.def("simd", [] { return std::string(active_set().name); });
  m.def("simd_available", [] {
    std::vector<std::string> names;
    for (const InstructionSet* set : supported_sets()) names.emplace_back(set->name);
    return names;
  });

  bind_context_training(m);
  bind_inspection(m);
  bind_float_maps(m);
  bind_storing(m);
}
