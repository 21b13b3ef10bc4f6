"""What the operations of a captured graph are: one vocabulary for torch.fx, for torch.export and for modules.

An operation is known by its base name (``conv2d``, ``flatten``, ``add``), whichever of ``nn.Conv2d``, ``F.conv2d``,
``torch.conv2d`` or ``aten.conv2d.default`` a capture wrote down.
"""

from __future__ import annotations

from torch import fx, nn
from torch._ops import OpOverload, OpOverloadPacket

from fmapzip.torch.operation import Operation

# Layers whose input is a feature map.
READERS = frozenset(
    ["conv1d", "conv2d", "conv3d", "convolution", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "linear"]
)
READER_MODULES = (
    nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.Linear
)  # fmt: skip
# Layers of torch that look up or scale by their parameters, whatever the shape.
WITHOUT_PRODUCTS = (nn.Embedding, nn.EmbeddingBag, nn.LayerNorm, nn.RMSNorm)

# Products of matrices, and the place of the first factor among the arguments: linear layers where one is constant.
MATRIX_PRODUCTS = {"matmul": 0, "linalg_matmul": 0, "mm": 0, "bmm": 0, "addmm": 1, "baddbmm": 1}
# What their arguments are called where they are given by name, in this order.
FACTOR_NAMES = ("input", "mat1", "batch1", "other", "mat2", "batch2")
# Products that sum over several axes or none, and functions that multiply more than once.
# fmt: off
OTHER_PRODUCTS = frozenset([
    "addbmm", "addmv", "bilinear", "chain_matmul", "conv_tbc", "deform_conv2d", "einsum", "gru", "gru_cell", "inner",
    "kron", "linalg_multi_dot", "lstm", "lstm_cell", "multi_head_attention_forward", "mv", "rnn_relu", "rnn_relu_cell",
    "rnn_tanh", "rnn_tanh_cell", "tensordot",
])
# fmt: on

# The same stored values, seen otherwise: views, permutations, parts, padding, and what does nothing at inference.
# fmt: off
VIEWS = frozenset([
    "T", "_to_copy", "_unsafe_view", "alias", "alpha_dropout", "channel_shuffle", "chunk", "clone",
    "constant_pad_nd", "contiguous", "data", "detach", "detach_", "dropout", "dropout1d", "dropout2d", "dropout3d",
    "expand", "expand_as", "feature_alpha_dropout", "feature_dropout", "flatten", "flip", "float", "getitem", "half",
    "identity", "lift_fresh_copy", "mT", "moveaxis", "movedim", "narrow", "native_channel_shuffle", "pad",
    "permute", "pixel_shuffle", "pixel_unshuffle", "reflection_pad1d", "reflection_pad2d", "reflection_pad3d",
    "replication_pad1d", "replication_pad2d", "replication_pad3d", "reshape", "reshape_as", "select", "slice",
    "split", "split_with_sizes", "squeeze", "swapaxes", "t", "tensor_split", "to", "transpose", "type", "unflatten",
    "unbind", "unsafe_chunk", "unsafe_split", "unsqueeze", "view", "view_as",
])
# fmt: on

# Affine in their tensor arguments, value by value (``mul`` and ``div`` where the other operand is constant), but for
# the rounding of quantized networks.
# fmt: off
AFFINE = frozenset([
    "add", "sub", "rsub", "neg", "mul", "div", "true_divide", "batch_norm", "_native_batch_norm_legit_no_training",
    "quantize", "dequantize",
])
# fmt: on
PRODUCTS = frozenset(["mul", "div", "true_divide"])
JOINS = frozenset(["cat", "concat", "concatenate", "copy", "fill", "select_scatter", "slice_scatter", "stack"])

# Give shapes or other plain facts of their arguments, not values.
# fmt: off
FACTS = frozenset([
    "size", "shape", "dim", "numel", "ndim", "dtype", "device", "sym_size", "stride", "is_floating_point",
    "empty_like", "full_like", "ones_like", "zeros_like", "new_empty", "new_full", "new_ones", "new_zeros",
])
# fmt: on

_MODULE_OPS: dict[type[nn.Module], str] = {
    nn.Conv1d: "conv1d",
    nn.Conv2d: "conv2d",
    nn.Conv3d: "conv3d",
    nn.ConvTranspose1d: "conv_transpose1d",
    nn.ConvTranspose2d: "conv_transpose2d",
    nn.ConvTranspose3d: "conv_transpose3d",
    nn.Linear: "linear",
    nn.Flatten: "flatten",
    nn.Unflatten: "unflatten",
    nn.Identity: "identity",
    nn.Dropout: "dropout",
    nn.Dropout1d: "dropout",
    nn.Dropout2d: "dropout",
    nn.Dropout3d: "dropout",
    nn.AlphaDropout: "dropout",
    nn.FeatureAlphaDropout: "dropout",
    nn.PixelShuffle: "pixel_shuffle",
    nn.PixelUnshuffle: "pixel_unshuffle",
    nn.ChannelShuffle: "channel_shuffle",
    nn.modules.padding._ConstantPadNd: "pad",
    nn.modules.padding._ReflectionPadNd: "pad",
    nn.modules.padding._ReplicationPadNd: "pad",
    nn.modules.padding.CircularPad1d: "pad",
    nn.modules.padding.CircularPad2d: "pad",
    nn.modules.padding.CircularPad3d: "pad",
    nn.modules.batchnorm._BatchNorm: "batch_norm",
}
_TORCH_OPERATORS = ("torch._ops.aten", "torch._ops.prim")
_OPERATOR_NAMES = {"truediv": "div", "iadd": "add", "isub": "sub", "imul": "mul", "itruediv": "div"}
_IN_PLACE_OPERATORS = frozenset(["iadd", "isub", "imul", "itruediv", "iand", "ior", "ixor", "ipow", "ifloordiv"])


def module_op(module: nn.Module) -> str:
    """Return the base name of what `module` computes, or its lower-case class name."""
    if isinstance(module, Operation):
        return module.op
    for kind in type(module).__mro__:
        if kind in _MODULE_OPS:
            return _MODULE_OPS[kind]
    return type(module).__name__.lower()


def reader_name(op: str) -> str:
    """Return what call sites of `op` are called: matrix products have one name, however they are written."""
    return "matmul" if op in MATRIX_PRODUCTS else op


def is_reader(module: nn.Module) -> bool:
    """Whether `module` is a layer whose input may be a feature map, so that its path names the call."""
    if isinstance(module, Operation):
        return module.op in READERS or module.op in MATRIX_PRODUCTS
    return isinstance(module, READER_MODULES)


def is_other_product(op: str, function: object) -> bool:
    """Whether calling `function`, whose base name is `op`, with a matrix may multiply by it unlike a linear layer.

    So may every operator that is not PyTorch's own.
    """
    return op in OTHER_PRODUCTS or (
        isinstance(function, OpOverload | OpOverloadPacket) and not function.__module__.startswith(_TORCH_OPERATORS)
    )


def op_name(node: fx.Node) -> str:
    """Return the base name of a graph node's operation; empty for inputs, constants and outputs."""
    raw = _raw_name(node)
    if node.op == "call_module" or raw.startswith("_") or not raw.endswith("_"):
        return _OPERATOR_NAMES.get(raw, raw)
    return raw.removesuffix("_")


def _raw_name(node: fx.Node) -> str:
    if node.op == "call_module":
        return module_op(module_of(node))
    if node.op == "call_method":
        return str(node.target)
    if node.op != "call_function":
        return ""
    if isinstance(node.target, OpOverload):
        return str(node.target._schema.name).rpartition("::")[2]
    name = str(getattr(node.target, "__name__", ""))
    return str(node.args[1]) if name == "getattr" else name  # x.shape, x.T


def module_of(node: fx.Node) -> nn.Module:
    """Return the module that a ``call_module`` node calls."""
    owner = node.graph.owning_module
    if owner is None:
        raise RuntimeError("the graph belongs to no module")
    return owner.get_submodule(str(node.target))


def writes_into_first_argument(node: fx.Node) -> bool:
    """Whether the operation works in place, so that its first argument holds its result."""
    if not node.args or not isinstance(node.args[0], fx.Node):
        return False
    if node.op == "call_module":
        return bool(getattr(module_of(node), "inplace", False))
    if isinstance(node.target, OpOverload):
        first = node.target._schema.arguments[0].alias_info
        return first is not None and first.is_write
    raw = _raw_name(node)
    if node.kwargs.get("inplace") is True or raw in _IN_PLACE_OPERATORS:
        return True
    return raw.endswith("_") and not raw.startswith("_")
