"""A block on Amaranth's simulator: words into its streams, words out of them, under random stalls."""

from __future__ import annotations

import random
import warnings
from collections.abc import Mapping
from typing import Any

from amaranth.hdl import Value
from amaranth.lib.wiring import Flow
from amaranth.sim import Simulator


def run(
    component: Any,
    inputs: Mapping[str, list[int]],
    wanted: Mapping[str, int],
    stall: float = 0.0,
    seed: int = 0,
    budget: int = 20000,
) -> dict[str, list[int]]:
    """The words that come out, `wanted` many of each output; `AssertionError` where they do not in `budget` cycles."""
    found: dict[str, list[int]] = {name: [] for name in component.signature.members}

    def source(name: str) -> Any:
        port, rng = getattr(component, name), random.Random(f"{seed} {name}")

        async def feed(ctx: Any) -> None:
            for word in inputs[name]:
                while rng.random() < stall:
                    await ctx.tick()
                ctx.set(Value.cast(port.payload), word)
                ctx.set(port.valid, 1)
                taken = False
                while not taken:
                    *_, taken = await ctx.tick().sample(port.ready)
                ctx.set(port.valid, 0)

        return feed

    def sink(name: str) -> Any:
        port, rng = getattr(component, name), random.Random(f"{seed} {name}")

        async def drain(ctx: Any) -> None:
            while True:
                while rng.random() < stall:
                    await ctx.tick()
                ctx.set(port.ready, 1)
                valid = False
                while not valid:
                    *_, valid, payload = await ctx.tick().sample(port.valid, Value.cast(port.payload))
                found[name].append(payload)
                ctx.set(port.ready, 0)

        return drain

    async def watch(ctx: Any) -> None:
        for _ in range(budget):
            await ctx.tick()
            if all(len(found[name]) >= count for name, count in wanted.items()):
                await ctx.tick().repeat(8)
                return
        raise AssertionError(f"hung: { ({name: len(words) for name, words in found.items()}) } of {dict(wanted)}")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        simulator = Simulator(component)
        simulator.add_clock(1e-6)
        for name, member in component.signature.members.items():
            if member.flow is Flow.In:
                simulator.add_testbench(source(name), background=True)
            else:
                simulator.add_testbench(sink(name), background=True)
        simulator.add_testbench(watch)
        simulator.run()
    return {name: words for name, words in found.items() if words or name in wanted}
