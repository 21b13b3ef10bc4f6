"""Small networks, each with something that a capture can get wrong."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class Residual(nn.Module):
    """A tensor with three readers: two convolutions and a sum."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.left, self.right = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x):
        y = F.relu(self.stem(x))
        return self.left(y) + self.right(y) + y


class Classifier(nn.Module):
    """Looked-through flatten, dropout and identity; a pooled map and a vector."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(inplace=True), nn.Identity(), nn.MaxPool2d(2))
        self.pool = nn.AdaptiveAvgPool2d(2)
        self.head = nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(24, 10), nn.ReLU(), nn.Linear(10, 5))

    def forward(self, x):
        return self.head(self.pool(self.features(x)))


class Normalised(nn.Module):
    """Affine and view functions of the input, none of which is a tap."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.rand(3, 1, 1))
        self.norm = nn.BatchNorm2d(3)
        self.conv, self.after = nn.Conv2d(6, 4, 1), nn.Conv2d(4, 2, 1)

    def forward(self, x):
        y = self.norm((x - self.mean) / 2)
        return self.after(self.conv(torch.cat([y, x.flip(3) * 0 + x], 1).contiguous()))


class Twice(nn.Module):
    """One module called on two tensors, and the same module under two names."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 1)
        self.block = nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU())
        self.again = self.block

    def forward(self, x):
        y = F.relu(self.stem(x))
        return self.again(self.block(self.block(y)))


class Functional(nn.Module):
    """Convolutions and linear layers without modules."""

    class Inner(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.rand(4, 4, 1, 1))

        def forward(self, x):
            return F.conv2d(F.relu(F.conv2d(x, self.weight)), self.weight)

    def __init__(self):
        super().__init__()
        self.stem, self.inner = nn.Conv2d(3, 4, 1), self.Inner()
        self.weight = nn.Parameter(torch.rand(7, 4))

    def forward(self, x):
        y = self.inner(F.relu(self.stem(x)))
        return F.linear(F.adaptive_avg_pool2d(y, 1).flatten(1), self.weight)


class InPlace(nn.Module):
    """In-place operations whose results are dropped."""

    def __init__(self):
        super().__init__()
        self.stem, self.mid, self.last = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)

    def forward(self, x):
        y = self.stem(x)
        F.relu_(y)
        z = self.mid(y)
        z += y
        z.clamp_(max=-0.5)
        return self.last(z)


class Split(nn.Module):
    """A tensor read in two halves, and a shuffle of channels."""

    def __init__(self):
        super().__init__()
        self.stem, self.part, self.last = nn.Conv2d(3, 8, 1), nn.Conv2d(4, 4, 1), nn.Conv2d(8, 2, 1)

    def forward(self, x):
        kept, read = F.relu(self.stem(x)).chunk(2, dim=1)
        y = torch.cat([kept, self.part(read)], 1)
        n, c, h, w = y.shape
        return self.last(y.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, c, h, w))


class ChannelsLast(nn.Module):
    """Linear layers over [N, H, W, C], as in ConvNeXt."""

    def __init__(self):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 6, 2, 2), nn.LayerNorm(6)
        self.up, self.down, self.last = nn.Linear(6, 12), nn.Linear(12, 6), nn.Conv2d(6, 2, 1)

    def forward(self, x):
        y = self.stem(x)
        z = self.down(F.gelu(self.up(self.norm(y.permute(0, 2, 3, 1))))).permute(0, 3, 1, 2)
        return self.last(y + z)


class Sequences(nn.Module):
    """One-dimensional and transposed convolutions."""

    def __init__(self):
        super().__init__()
        self.encode, self.decode, self.last = nn.Conv1d(3, 6, 3, 2), nn.ConvTranspose1d(6, 4, 3, 2), nn.Conv1d(4, 2, 1)

    def forward(self, x):
        y = F.relu(self.decode(F.relu(self.encode(x.flatten(2)))))
        return self.last(F.pad(y, (1, 1)))


class Padded(nn.Module):
    """Padding modes that a module hides and a graph shows."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 1)
        self.reflect = nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect")
        self.same, self.zero = nn.Conv2d(4, 4, 3, padding="same"), nn.Sequential(nn.ZeroPad2d(1), nn.Conv2d(4, 4, 3))

    def forward(self, x):
        return self.zero(F.relu(self.same(F.relu(self.reflect(F.relu(self.stem(x)))))))


class ManyInputs(nn.Module):
    """Two inputs, one optional, and a dict of outputs."""

    def __init__(self):
        super().__init__()
        self.image, self.extra, self.head = nn.Conv2d(3, 4, 1), nn.Linear(5, 4), nn.Linear(4, 3)

    def forward(self, image, extra, mask=None):
        pooled = F.relu(self.image(image)).mean((2, 3))
        joined = pooled + self.extra(extra)
        if mask is not None:
            joined = joined * mask
        return {"logits": self.head(joined), "features": (pooled, joined)}


class Attention(nn.Module):
    """A layer that hides linear layers, between convolutions."""

    def __init__(self):
        super().__init__()
        self.stem, self.attention, self.last = (
            nn.Conv2d(3, 8, 4, 4),
            nn.MultiheadAttention(8, 2, batch_first=True),
            nn.Linear(8, 2),
        )

    def forward(self, x):
        y = self.stem(x).flatten(2).transpose(1, 2)
        return self.last(self.attention(y, y, y, need_weights=False)[0])


class Branching(nn.Module):
    """Control flow that depends on values: no graph."""

    def __init__(self):
        super().__init__()
        self.stem, self.low, self.high = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 2, 1)

    def forward(self, x):
        y = F.relu(self.stem(x))
        if y.sum() > -1:
            y = F.relu(self.low(y))
        return self.high(y)


class Volumes(nn.Module):
    """Feature maps of four and five dimensions."""

    def __init__(self):
        super().__init__()
        self.stem, self.volume, self.last = nn.Conv2d(3, 4, 1), nn.Conv3d(1, 2, 1), nn.Conv3d(2, 1, 1)

    def forward(self, x):
        return self.last(F.relu(self.volume(F.relu(self.stem(x)).unsqueeze(1))))


class _Stemmed(nn.Module):
    """A convolution, something that a subclass does with its output, and another convolution."""

    channels = 8

    def __init__(self):
        super().__init__()
        self.stem, self.last = nn.Conv2d(3, 8, 1), nn.Conv2d(self.channels, 4, 1)

    def forward(self, x):
        return self.last(self.between(self.stem(x)))


class AddsIntoSlice(_Stemmed):
    """A residual sum into a part of a tensor, as in MViT."""

    def between(self, u):
        y = u.sigmoid()
        y[:, :, 1:, :] += u[:, :, 1:, :]
        return y


class AssignsSlice(_Stemmed):
    """A part of a tensor set to a constant."""

    def between(self, u):
        u[:, 0] = 1.5
        return u


class FillsZeros(_Stemmed):
    """A tensor of zeros, a part of which is then computed."""

    channels = 12

    def between(self, u):
        z = u.new_zeros(u.shape[0], 12, u.shape[2], u.shape[3])
        z[:, :8] = u
        return z


class ViewBeforeWrite(nn.Module):
    """A view taken before its base is written into in place, and read after."""

    def __init__(self):
        super().__init__()
        self.stem, self.last = nn.Conv2d(3, 8, 1), nn.Conv1d(8, 4, 1)

    def forward(self, x):
        u = self.stem(x)
        v = u.flatten(2)
        u.relu_()
        return self.last(v)


class PartWritten(_Stemmed):
    """A tensor read after one of its parts is written into in place."""

    def between(self, u):
        p, _ = u.chunk(2, 1)
        p.relu_()
        return u


class ReadTwice(nn.Module):
    """A tensor that is read, written into through a view, and read again."""

    def __init__(self):
        super().__init__()
        self.stem, self.first, self.second = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 4, 1), nn.Conv2d(8, 4, 1)

    def forward(self, x):
        u = self.stem(x)
        before = self.first(u)
        u[:, 2:4].mul_(2)
        return before + self.second(u)


class CopiesInto(_Stemmed):
    """A tensor overwritten by a computed one."""

    def between(self, u):
        v = torch.empty_like(u)
        v.copy_(u.tanh())
        v.view(-1)[:5].fill_(0.25)
        return v


class WritesData(_Stemmed):
    """A write that no version counter of the tensor that is read shows."""

    def between(self, u):
        u.data.clamp_(-0.1, 0.1)
        return u


WRITES_THROUGH_VIEWS = [
    AddsIntoSlice, AssignsSlice, FillsZeros, ViewBeforeWrite, PartWritten, ReadTwice, CopiesInto
]  # fmt: skip


class Products(nn.Module):
    """Linear layers written as products of matrices, on either side and with a sum, as in CLIP and GPT-2."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 1)
        self.right, self.left = nn.Parameter(torch.rand(6, 5)), nn.Parameter(torch.rand(4, 64))
        self.weight, self.bias = nn.Parameter(torch.rand(5, 2)), nn.Parameter(torch.rand(2))

    def forward(self, x):
        y = F.relu(self.stem(x)).flatten(2).transpose(1, 2) @ self.right
        y = torch.matmul(self.left, torch.tanh(y))
        return torch.addmm(self.bias, y.relu().reshape(-1, 5), self.weight).view(-1, 4, 2)


class Picks(nn.Module):
    """Parts by `unbind`, and values picked by a list, which makes a new tensor."""

    def __init__(self):
        super().__init__()
        self.stem, self.token, self.last = nn.Conv2d(3, 8, 1), nn.Linear(8, 4), nn.Conv2d(4, 2, 1)

    def forward(self, x):
        y = F.relu(self.stem(x))
        first, _, third = y[:, :, :3].unbind(2)
        tokens = self.token(first.mT) + self.token(third.mT)
        return self.last(y[:, [0, 2, 1, 5]]) + tokens.mean()


class Windows(nn.Module):
    """Linear layers over six dimensions, and attention whose heads are merged by a view before it is read."""

    def __init__(self):
        super().__init__()
        self.stem, self.values, self.out = nn.Conv2d(3, 6, 1), nn.Linear(6, 6), nn.Linear(6, 6)

    def forward(self, x):
        y = F.relu(self.stem(x)).view(-1, 6, 2, 4, 2, 2, 2).permute(0, 2, 4, 3, 5, 6, 1).contiguous()
        y = self.values(F.gelu(y))
        heads = y.reshape(-1, 64, 2, 3).transpose(1, 2)
        heads = F.scaled_dot_product_attention(heads, heads, heads)
        return self.out(heads.transpose(1, 2).reshape(-1, 64, 6))


EXPECTED = {
    Residual: [("left", (4, 8, 8), ("left", "right"))],
    Classifier: [("head.2", (6, 2, 2), ("head.2",)), ("head.4", (10,), ("head.4",))],
    Normalised: [("after", (4, 8, 8), ("after",))],
    Twice: [
        ("block.0", (4, 8, 8), ("block.0",)),
        ("block.0#2", (4, 8, 8), ("block.0#2",)),
        ("block.0#3", (4, 8, 8), ("block.0#3",)),
    ],
    Functional: [
        ("inner.conv2d", (4, 8, 8), ("inner.conv2d",)),
        ("inner.conv2d#2", (4, 8, 8), ("inner.conv2d#2",)),
        ("linear", (4, 1, 1), ("linear",)),
    ],
    InPlace: [("mid", (4, 8, 8), ("mid",)), ("last", (4, 8, 8), ("last",))],
    Split: [("part", (8, 8, 8), ("part",)), ("last", (8, 8, 8), ("last",))],
    ChannelsLast: [("up", (6, 4, 4), ("up",)), ("down", (12, 4, 4), ("down",)), ("last", (6, 4, 4), ("last",))],
    Sequences: [("decode", (6, 31), ("decode",)), ("last", (4, 63), ("last",))],
    Padded: [("reflect", (4, 8, 8), ("reflect",)), ("same", (4, 8, 8), ("same",)), ("zero.1", (4, 8, 8), ("zero.1",))],
    Products: [
        ("matmul", (6, 8, 8), ("matmul",)),
        ("matmul#2", (64, 5), ("matmul#2",)),
        ("matmul#3", (5, 4), ("matmul#3",)),
    ],
    Picks: [("token", (8, 8, 8), ("token", "token#2")), ("last", (4, 8, 8), ("last",))],
    Windows: [("values", (6, 16, 2, 2), ("values",)), ("out", (6, 64), ("out",))],
    Attention: [("last", (8, 4), ("last",))],
}
