"""The benchmark of trained dead zones: what it trains, and by which gradient."""

from __future__ import annotations

from types import ModuleType

import pytest

torch = pytest.importorskip("torch")

from torch import nn

from benchmark_scripts import script
from fmapzip.codecs.context_rans import ContextRans
from fmapzip.torch import tunable


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    return script("trained_dead_zones")


@pytest.mark.parametrize("width", [0.5, 0.8, 1.3])
def test_gradient_of_a_width_is_that_of_the_mean_under_noise(benchmark: ModuleType, width: float) -> None:
    torch.manual_seed(0)
    v, loss = torch.randn(2000, dtype=torch.float64) * 1.5, torch.randn(2000, dtype=torch.float64)

    def mean(at: float) -> float:
        """Of a loss that is linear in what is read back, over widths within reach."""
        read_back = v.sign() * v.abs().round().clamp(min=1)
        kept = ((v.abs() - at + benchmark.REACH) / (2 * benchmark.REACH)).clamp(0, 1)
        return float((loss * read_back * kept).sum())

    trained = torch.tensor([width], dtype=torch.float64, requires_grad=True)
    values = v.clone().requires_grad_(True)
    (loss * benchmark.without_small(values, trained)).sum().backward()
    assert float(trained.grad) == pytest.approx((mean(width + 1e-7) - mean(width - 1e-7)) / 2e-7, rel=1e-3)
    assert torch.equal(values.grad, loss)


@pytest.mark.parametrize("step", [3, 8])
def test_half_a_step_is_what_rounding_does(benchmark: ModuleType, step: int) -> None:
    torch.manual_seed(1)
    network = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 4, 3)).eval()
    x = torch.randn(8, 3, 9, 9)
    model = tunable(network, ContextRans(step=step), x)
    with torch.no_grad():
        plain = model(x)
        benchmark.with_dead_zones(model, benchmark.Setting(step, 0.1, benchmark.ROUNDING, 0.1))
        assert torch.allclose(model(x), plain, atol=1e-6)
        benchmark.with_dead_zones(model, benchmark.Setting(step, 0.1, 1.5, 0.1))
        assert not torch.allclose(model(x), plain, atol=1e-3)
