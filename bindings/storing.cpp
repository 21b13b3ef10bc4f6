#include "storing.hpp"

#include <nanobind/stl/tuple.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <numeric>

#include "buffers.hpp"
#include "codec.hpp"
#include "float_maps.hpp"
#include "float_store.hpp"
#include "memory_pool.hpp"
#include "parallel.hpp"

namespace fmapzip::python {
namespace {

using Floats = nb::ndarray<const float, nb::device::cpu>;
using FloatsOut = nb::ndarray<float, nb::device::cpu>;
using Scales = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

// [N, C, ...] in any order of axes, but each sample without gaps and one after another.
struct FloatBatch {
  FrameInfo info;
  FloatMaps sample;
  View<const float> layout;
  size_t count;

  explicit FloatBatch(const Floats& x) {
    const size_t ndim = x.ndim();
    if (ndim < 2 || ndim > 1 + kMaxDims) {
      raise_error("InvalidInput", "a batch of maps has 2 to 5 dimensions ([N, F] to [N, C, D, H, W])");
    }
    info.ndim = static_cast<uint8_t>(ndim - 1);
    for (size_t axis = 1; axis < ndim; ++axis) {
      if (x.shape(axis) == 0 || x.shape(axis) > UINT32_MAX) {
        raise_error("InvalidInput", "a dimension of the map is zero, or 2^32 or more");
      }
      info.dims[axis - 1] = static_cast<uint32_t>(x.shape(axis));
    }
    const int64_t* strides = x.stride_ptr();
    const size_t size = require_dense(x);
    if (!depth_joins_rows(info.ndim, info.dims, strides + 1)) {
      raise_error("InvalidInput", "the rows of a [C, D, H, W] map are not evenly spaced in memory");
    }
    count = x.shape(0);
    const size_t channels = x.shape(1);
    size_t inner = size / channels;
    if (channels > 1) inner = static_cast<size_t>(strides[1]);
    sample = {x.data(), size / (channels * inner), channels, inner};
    layout = worked_view(x.data(), info.ndim, info.dims, strides + 1);
  }

 private:
  // Returns the size of a sample.
  static size_t require_dense(const Floats& x) {
    std::vector<size_t> axes(x.ndim() - 1);
    std::iota(axes.begin(), axes.end(), size_t{1});
    std::sort(axes.begin(), axes.end(), [&](size_t a, size_t b) { return x.stride(a) < x.stride(b); });
    size_t size = 1;
    const auto follows = [&](size_t axis) {
      return x.shape(axis) == 1 || x.stride(axis) == static_cast<int64_t>(size);
    };
    bool dense = true;
    for (const size_t axis : axes) {
      dense = dense && follows(axis);
      size *= x.shape(axis);
    }
    if (!dense || !follows(0)) raise_error("InvalidInput", "the samples are not dense in memory");
    return size;
  }
};

bool same_layout(const Floats& x, const FloatsOut& out) {
  if (x.ndim() != out.ndim()) return false;
  for (size_t axis = 0; axis < x.ndim(); ++axis) {
    if (x.shape(axis) != out.shape(axis)) return false;
    if (x.shape(axis) != 1 && x.stride(axis) != out.stride(axis)) return false;
  }
  return true;
}

void require_apart(const FloatMaps& sample, size_t count, const float* out) {
  const size_t size = count * sample.size();
  const std::less<const float*> before;
  if (before(out, sample.values + size) && before(sample.values, out + size)) {
    raise_error("InvalidInput", "the output shares memory with the input");
  }
}

// Buffers that stay with the calling thread from call to call, one for each worker.
std::vector<FloatStore>& thread_stores(size_t workers) {
  static thread_local std::vector<FloatStore> stores;
  if (stores.size() < workers) stores.resize(workers);
  return stores;
}

// Per sample: the frame's bytes, the payload's, and the energies; summed: what is not zero and the seconds
// of encoding and decoding; the frames where `keep` asks for them. None where a value is not finite. Where
// `decodes` is false, the codec loses nothing, and what is read back is known without.
nb::object store(const Floats& x, const Scales& scales, const Codec& codec, bool is_signed,
                 const std::tuple<int, int, int>& limits, nb::handle plan_hash, uint32_t tap, int threads,
                 bool keep, bool decodes, const FloatsOut& out) {
  const FloatBatch batch(x);
  if (!same_layout(x, out)) raise_error("InvalidInput", "the output is not laid out as the input is");
  require_apart(batch.sample, batch.count, out.data());
  if (scales.size() != 1 && scales.size() != batch.sample.channels) {
    raise_error("InvalidInput", "one scale is needed, or one for each channel");
  }
  const IntegerGrid grid = grid_of(is_signed ? Dtype::i8 : Dtype::u8, limits);
  StoreSettings settings{batch.info, &codec.tiles(), {scales.data(), scales.size()}, grid, batch.layout};
  FrameInfo& info = settings.info;
  const Bytes hash(plan_hash);
  if (hash.span().size() != info.plan.hash.size()) {
    raise_error("InvalidInput", "a plan is named by 8 bytes of its hash");
  }
  std::memcpy(info.plan.hash.data(), hash.span().data(), info.plan.hash.size());
  info.has_plan = true;
  info.plan.tap = tap;
  info.number = codec.number();
  info.tile_rows = codec.tile_rows(info.shape());
  info.dtype = grid.dtype;
  info.zero_point = static_cast<int16_t>(grid.zero_point);

  std::vector<StoredMap> stored(batch.count);
  std::vector<std::vector<uint8_t>> frames(keep ? batch.count : 0);
  {
    const nb::gil_scoped_release release;
    const size_t workers = worker_count(batch.count, threads);
    std::vector<FloatStore>& stores = thread_stores(workers);
    parallel_for(batch.count, workers, [&](size_t i, size_t worker) {
      FloatMaps sample = batch.sample;
      const size_t first = i * sample.size();
      sample.values += first;
      FloatStore& own = stores[worker];
      float* const target = out.data() + first;
      stored[i] = decodes ? own.store(settings, sample, target) : own.keep(settings, sample, target);
      if (keep && stored[i].finite && stored[i].status.ok()) {
        const auto frame = own.frame();
        frames[i].assign(frame.begin(), frame.end());
      }
    });
  }
  nb::list sizes, payloads, energies, kept;
  size_t nonzeros = 0;
  double encode_seconds = 0, decode_seconds = 0;
  for (const StoredMap& each : stored) {
    if (!each.finite) return nb::none();
  }
  for (const StoredMap& each : stored) {
    require(each.status);
    sizes.append(each.frame_bytes);
    payloads.append(each.payload_bytes);
    energies.append(nb::make_tuple(each.energy.signal, each.energy.noise));
    nonzeros += each.nonzeros;
    encode_seconds += each.encode_seconds;
    decode_seconds += each.decode_seconds;
  }
  for (const auto& frame : frames) kept.append(to_bytes(frame));
  return nb::make_tuple(sizes, payloads, energies, nonzeros, encode_seconds, decode_seconds, kept);
}

constexpr size_t kKeptBytes = size_t{256} << 20;

// Never destroyed: arrays can outlive everything that is.
MemoryPool& pool() {
  static auto* const made = new MemoryPool(kKeptBytes);
  return *made;
}

// Memory that goes back to the pool with the array's last owner, and to nobody before.
nb::ndarray<nb::numpy, uint8_t, nb::ndim<1>> pooled(size_t bytes) {
  auto block = std::make_unique<MemoryPool::Block>(pool().take(bytes));
  uint8_t* const data = block->data;
  const nb::capsule owner(block.get(), [](void* held) noexcept {
    const std::unique_ptr<MemoryPool::Block> given(static_cast<MemoryPool::Block*>(held));
    pool().give_back(*given);
  });
  block.release();
  return {data, {bytes}, owner};
}

}  // namespace

void bind_storing(nb::module_& m) {
  m.def("store", &store, nb::arg("x").noconvert(), nb::arg("scales").noconvert(), nb::arg("codec"),
        nb::arg("signed"), nb::arg("limits"), nb::arg("plan_hash"), nb::arg("tap"), nb::arg("threads"),
        nb::arg("keep"), nb::arg("decodes"), nb::arg("out").noconvert());
  m.def("pooled", &pooled, nb::arg("bytes"));
}

}  // namespace fmapzip::python
