"""What an import does besides its operators: names, inputs, refusals, gradients, batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from fmapzip.errors import InvalidInput, UnsupportedModel
from fmapzip.eval.models import load_model
from fmapzip.onnx import load_onnx, verify
from fmapzip.torch import compress_model, taps

RNG = np.random.default_rng(0)
X = ("float32", ["n", 3, 8, 8])


def floats(*shape: int) -> Any:
    return RNG.standard_normal(shape).astype(np.float32)


def two_convolutions() -> tuple[list[onnx.NodeProto], dict[str, Any]]:
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["a"], "stem/Conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["r"]),
        helper.make_node("Conv", ["r", "w2"], ["y"], "head.conv"),
    ]
    return nodes, {"w1": floats(4, 3, 3, 3), "b1": floats(4), "w2": floats(2, 4, 1, 1)}


def test_layers_and_taps_have_the_names_of_the_nodes(write: Any) -> None:
    nodes, constants = two_convolutions()
    net = load_onnx(write(nodes, {"x": X}, ["y"], constants))
    assert dict(net.named_children()).keys() == {"stem/Conv", "head/conv"}
    assert [(tap.name, tap.shape) for tap in taps(net, torch.zeros(1, 3, 8, 8))] == [("head/conv", (4, 8, 8))]


def test_a_node_without_a_name_goes_by_its_output(write: Any) -> None:
    nodes, constants = two_convolutions()
    nodes[2].name = ""
    net = load_onnx(write(nodes, {"x": X}, ["y"], constants))
    assert [tap.name for tap in taps(net, torch.zeros(1, 3, 8, 8))] == ["y"]


def test_linear_layers_are_taps_by_name_and_shared_maps_are_one(write: Any) -> None:
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Relu", ["f"], ["r"]),
        helper.make_node("Gemm", ["r", "w", "b"], ["y"], "fc", transB=1),
        helper.make_node("MatMul", ["r", "v"], ["z"], "other"),
    ]
    constants = {"w": floats(5, 3), "b": floats(5), "v": floats(3, 4)}
    net = load_onnx(write(nodes, {"x": X}, ["y", "z"], constants))
    (tap,) = taps(net, torch.zeros(1, 3, 8, 8))
    assert (tap.name, tap.readers) == ("fc", ("fc", "other"))
    assert net(torch.zeros(2, 3, 8, 8))["z"].shape == (2, 4)


def test_gradients_reach_the_input(write: Any) -> None:
    nodes, constants = two_convolutions()
    net = load_onnx(write(nodes, {"x": X}, ["y"], constants))
    x = torch.randn(1, 3, 8, 8, requires_grad=True)
    net(x).sum().backward()
    assert x.grad is not None
    assert float(x.grad.abs().sum()) > 0


def test_a_network_with_arithmetic_on_shapes_takes_any_size_and_can_be_exported(write: Any) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["a"], "conv"),
        helper.make_node("Shape", ["a"], ["s"]),
        helper.make_node("Gather", ["s", "zero"], ["n"]),
        helper.make_node("Unsqueeze", ["n", "first"], ["n1"]),
        helper.make_node("Concat", ["n1", "rest"], ["shape"], axis=0),
        helper.make_node("Reshape", ["a", "shape"], ["f"]),
        helper.make_node("ReduceMean", ["f"], ["y"], axes=[2], keepdims=0),
    ]
    constants = {
        "w1": floats(4, 3, 3, 3),
        "zero": np.array(0, np.int64),
        "first": np.array([0], np.int64),
        "rest": np.array([4, -1], np.int64),
    }
    net = load_onnx(write(nodes, {"x": ("float32", ["n", 3, "h", "w"])}, ["y"], constants))
    x = torch.randn(3, 3, 9, 11)
    assert torch.allclose(net(x), net.get_submodule("conv")(x).mean((2, 3)), atol=1e-6)
    exported = torch.export.export(net, (x,), dynamic_shapes=({0: torch.export.Dim("n", min=2)},))
    y = torch.randn(5, 3, 9, 11)
    assert torch.equal(exported.module()(y), net(y))


def test_bytes_with_channels_last_are_read_from_planar_floats(write: Any) -> None:
    nodes = [
        helper.make_node("Cast", ["image"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["f"], ["t"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["t", "w"], ["y"], "conv"),
    ]
    net = load_onnx(write(nodes, {"image": ("uint8", ["n", "h", "w", 3])}, ["y"], {"w": floats(4, 3, 1, 1)}))
    x = torch.full((1, 3, 5, 6), 100.4)
    assert torch.equal(net(x), net.get_submodule("conv")(torch.full((1, 3, 5, 6), 100.0)))


def test_external_data_is_read_from_beside_the_file(tmp_path: Path, write: Any) -> None:
    nodes, constants = two_convolutions()
    model = onnx.load(write(nodes, {"x": X}, ["y"], constants))
    (tmp_path / "apart").mkdir()
    onnx.save(
        model,
        tmp_path / "apart" / "net.onnx",
        save_as_external_data=True,
        location="net.bin",
        size_threshold=0,
        convert_attribute=False,
    )
    assert (tmp_path / "apart" / "net.bin").stat().st_size > 0
    load_onnx(tmp_path / "apart" / "net.onnx")
    (tmp_path / "apart" / "net.bin").unlink()
    with pytest.raises(InvalidInput, match=r"net\.onnx: not an ONNX file that can be read"):
        load_onnx(tmp_path / "apart" / "net.onnx")


def test_weights_of_half_precision_are_computed_in_float32(write: Any) -> None:
    nodes = [
        helper.make_node("Cast", ["w"], ["w32"], to=TensorProto.FLOAT),
        helper.make_node("Conv", ["x", "w32"], ["y"], "conv"),
    ]
    net = load_onnx(write(nodes, {"x": X}, ["y"], {"w": floats(4, 3, 1, 1).astype(np.float16)}))
    assert net.get_submodule("conv").weight.dtype == torch.float32


def test_a_network_in_half_precision_takes_and_gives_float32(write: Any) -> None:
    nodes, constants = two_convolutions()
    halves = {name: array.astype(np.float16) for name, array in constants.items()}
    net = load_onnx(write(nodes, {"x": ("float16", [1, 3, 8, 8])}, ["y"], halves))
    assert net(torch.randn(1, 3, 8, 8)).dtype == torch.float32
    assert 0 < net.meta["onnx"][0].difference < net.meta["onnx"][0].tolerance


def test_an_if_whose_condition_is_constant_becomes_its_branch(write: Any) -> None:
    def branch(op: str) -> onnx.GraphProto:
        return helper.make_graph(
            [helper.make_node(op, ["x"], [f"{op}_out"])], op, [], [onnx.ValueInfoProto(name=f"{op}_out")]
        )

    def nodes(condition: str) -> list[onnx.NodeProto]:
        choice = helper.make_node(
            "If", [condition], ["z"], "choice", then_branch=branch("Relu"), else_branch=branch("Abs")
        )
        return [
            helper.make_node("ReduceMax", ["x"], ["m"], keepdims=0),
            helper.make_node("Cast", ["m"], ["open"], to=TensorProto.BOOL),
            choice,
            helper.make_node("Neg", ["z"], ["y"]),
        ]

    x = torch.randn(1, 3, 8, 8)
    net = load_onnx(write(nodes("no"), {"x": X}, ["y"], {"no": np.array(False)}))
    assert torch.equal(net(x), -x.abs())
    with pytest.raises(UnsupportedModel, match=r"node 'choice' \(If, opset 17\).*'open' is not constant"):
        load_onnx(write(nodes("open"), {"x": X}, ["y"]))


def test_a_loop_on_the_input_is_refused_by_name_and_one_on_constants_is_computed(write: Any) -> None:
    def body(read: str) -> onnx.GraphProto:
        return helper.make_graph(
            [helper.make_node("Add", ["v", read], ["w"]), helper.make_node("Identity", ["c"], ["d"])],
            "body",
            [
                helper.make_tensor_value_info("i", TensorProto.INT64, []),
                helper.make_tensor_value_info("c", TensorProto.BOOL, []),
                helper.make_tensor_value_info("v", TensorProto.FLOAT, None),
            ],
            [onnx.ValueInfoProto(name="d"), onnx.ValueInfoProto(name="w")],
        )

    def nodes(start: str, read: str) -> list[onnx.NodeProto]:
        loop = helper.make_node("Loop", ["count", "go", start], ["z"], "again", body=body(read))
        return [loop, helper.make_node("Add", ["x", "z"], ["y"])]

    constants = {"count": np.array(3, np.int64), "go": np.array(True), "one": np.float32(1)}
    net = load_onnx(write(nodes("one", "one"), {"x": X}, ["y"], constants))
    assert torch.equal(net(torch.zeros(1, 3, 8, 8)), torch.full((1, 3, 8, 8), 4.0))
    with pytest.raises(UnsupportedModel, match=r"node 'again' \(Loop, opset 17\): this operator is not supported"):
        load_onnx(write(nodes("x", "one"), {"x": X}, ["y"], constants))


def test_an_operator_that_is_missing_is_named_with_its_node(write: Any) -> None:
    node = helper.make_node("LSTM", ["x", "w", "r"], ["y"], "memory", hidden_size=2)
    constants = {"w": floats(1, 8, 3), "r": floats(1, 8, 2)}
    with pytest.raises(UnsupportedModel, match=r"net\.onnx: node 'memory' \(LSTM, opset 17\): this operator"):
        load_onnx(write([node], {"x": ("float32", [5, 1, 3])}, ["y"], constants))


def test_an_operator_of_a_strange_domain_is_named(write: Any) -> None:
    node = helper.make_node("NhwcMaxPool", ["x"], ["y"], "pool", domain="com.microsoft", kernel_shape=[2, 2])
    with pytest.raises(UnsupportedModel, match=r"node 'pool' \(com\.microsoft\.NhwcMaxPool"):
        load_onnx(write([node], {"x": X}, ["y"], microsoft=True))


def test_an_output_that_differs_is_refused_by_name_and_size(write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes, constants = two_convolutions()
    path = write(nodes, {"x": X}, ["y"], constants)
    true = verify.session

    class Other:
        def __init__(self, *args: Any) -> None:
            self._session = true(*args)

        def run(self, names: Any, given: Any) -> list[Any]:
            return [array + np.float32(0.5) for array in self._session.run(names, given)]

    monkeypatch.setattr(verify, "session", Other)
    with pytest.raises(UnsupportedModel, match=r"output 'y' differs from ONNX Runtime's by 0\.5; .* is allowed"):
        load_onnx(path)


@pytest.mark.parametrize("opset", [7, 8])
def test_old_operator_sets_are_refused(write: Any, opset: int) -> None:
    with pytest.raises(UnsupportedModel, match=f"operator set {opset} is older than 9"):
        load_onnx(write([helper.make_node("Relu", ["x"], ["y"])], {"x": X}, ["y"], {}, opset))


def test_what_is_no_onnx_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"\xff\xff nothing of the kind")
    with pytest.raises(InvalidInput, match="not an ONNX file"):
        load_onnx(tmp_path / "net.onnx")
    with pytest.raises(InvalidInput, match="no such file"):
        load_onnx(tmp_path / "absent.onnx")


def test_a_file_for_one_image_takes_batches_where_it_can(write: Any) -> None:
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["y"]),
    ]
    fixed = {"x": ("float32", [1, 3, 8, 8])}
    net = load_onnx(write(nodes, fixed, ["y"], {"shape": np.array([1, 3, 64], np.int64)}))
    assert net.meta["batch"] is None
    assert net(torch.zeros(4, 3, 8, 8)).shape == (4, 3, 64)
    merged = load_onnx(write(nodes, fixed, ["y"], {"shape": np.array([3, 64], np.int64)}))
    assert merged.meta["batch"] == 1


def test_a_network_that_mixes_the_images_of_a_batch_a_little_takes_one(write: Any) -> None:
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["mean"], axes=[0], keepdims=1),
        helper.make_node("Mul", ["mean", "small"], ["part"]),
        helper.make_node("Add", ["x", "part"], ["y"]),
    ]
    net = load_onnx(write(nodes, {"x": X}, ["y"], {"small": np.array(0.05, np.float32)}))
    assert net.meta["batch"] == 1


def test_an_import_that_agrees_starts_onnx_runtime_once(write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes, constants = two_convolutions()
    path = write(nodes, {"x": X}, ["y"], constants)
    started: list[Any] = []
    true = verify.session
    monkeypatch.setattr(verify, "session", lambda *args: (started.append(args), true(*args))[1])
    load_onnx(path)
    assert len(started) == 1


def test_inputs_with_defaults_are_constants(write: Any) -> None:
    nodes, constants = two_convolutions()
    model = onnx.load(write(nodes, {"x": X}, ["y"], constants))
    model.ir_version = 3
    model.graph.input.extend(
        [helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in model.graph.initializer]
    )
    path = write(nodes, {"x": X}, ["y"], constants)
    onnx.save(model, path)
    assert len(list(load_onnx(path).graph.find_nodes(op="placeholder"))) == 1


def test_functions_in_the_file_are_inlined(write: Any) -> None:
    model = onnx.load(write([helper.make_node("Twice", ["x"], ["y"], domain="mine")], {"x": X}, ["y"]))
    body = [helper.make_node("Add", ["a", "a"], ["b"])]
    sets = [helper.make_opsetid("", 17)]
    model.functions.append(helper.make_function("mine", "Twice", ["a"], ["b"], body, sets))
    model.opset_import.append(helper.make_opsetid("mine", 1))
    path = write(body, {"a": X}, ["b"])
    onnx.save(model, path)
    assert torch.equal(load_onnx(path)(torch.ones(1, 3, 8, 8)), torch.full((1, 3, 8, 8), 2.0))


def test_constants_as_nodes_and_sparse_types_of_them(write: Any) -> None:
    nodes = [
        helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(floats(8))),
        helper.make_node("Constant", [], ["two"], value_float=2.0),
        helper.make_node("Mul", ["c", "two"], ["d"]),
        helper.make_node("Add", ["x", "d"], ["y"]),
    ]
    load_onnx(write(nodes, {"x": X}, ["y"]))


def test_a_model_named_onnx_is_loaded_and_stored_compressed(write: Any) -> None:
    nodes, constants = two_convolutions()
    path = str(write(nodes, {"x": X}, ["y"], constants))
    net = load_model(path)
    images = torch.randn(4, 3, 8, 8)
    stored = compress_model(net, "zvc", calibration=images)
    with torch.inference_mode():
        assert float((stored(images) - net(images)).abs().max()) < 0.1
    torch.save({"no such": torch.zeros(1)}, path + ".pt")
    with pytest.raises(InvalidInput, match="weights"):
        load_model(path, path + ".pt")


def test_products_with_stacked_weights_and_transposed_factors_have_the_names_of_their_nodes(write: Any) -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["r"]),
        helper.make_node("MatMul", ["r", "stack"], ["m"], "first"),
        helper.make_node("Tanh", ["m"], ["t"]),
        helper.make_node("Gather", ["t", "one"], ["g"], axis=1),
        helper.make_node("MatMul", ["g", "w"], ["y"], "second"),
    ]
    constants = {"stack": floats(3, 8, 5), "w": floats(5, 2), "one": np.array(1, np.int64)}
    net = load_onnx(write(nodes, {"x": X}, ["y"], constants))
    found = taps(net, torch.zeros(1, 3, 8, 8))
    assert [(tap.name, tap.shape) for tap in found] == [("first", (8, 3, 8)), ("second", (5, 8))]


def test_a_reshape_to_one_row_of_what_is_no_batch_is_left_alone(write: Any) -> None:
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0, 2, 3]),
        helper.make_node("Reshape", ["t", "shape"], ["y"]),
    ]
    net = load_onnx(write(nodes, {"x": ("float32", [1, 3, 8, 8])}, ["y"], {"shape": np.array([1, -1, 8], np.int64)}))
    assert net(torch.zeros(1, 3, 8, 8)).shape == (1, 24, 8)
    assert net.meta["batch"] == 1
