"""A SystemVerilog test bench for a block, that plays cases from folders of words. Icarus and Verilator run it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from amaranth.hdl import Value
from amaranth.lib.wiring import Flow

from fmapzip.hardware.streams import ERROR_BITS, PLACE_BITS

DEPTH = 1 << 18
"""Words that a stream of a case may have."""
COUNTS = "counts.txt"
"""The file of a case with how many words each stream has, in the order of the block's ports."""


def stream_names(component: Any) -> tuple[list[str], list[str]]:
    """The names of a block's streams: those into it and those out of it."""
    members = component.signature.members.items()
    inputs = [name for name, member in members if member.flow is Flow.In]
    return inputs, [name for name, _ in members if name not in inputs]


def word_bits(component: Any, name: str) -> int:
    """Bits of a word of a stream."""
    return len(Value.cast(getattr(component, name).payload))


def testbench(component: Any, module: str) -> str:
    """The test bench of a module, which prints PASS or FAIL, or with ``+any=1`` the status that a tile ends in.

    PASS tells the cycles of the case, those from the first transfer into the block to the first beat that it offers,
    and those from the last transfer in to the last beat out; a status is no beat.
    ``+case=DIR`` names the folder of words, ``+stall=N`` holds streams up in N of 256 cycles, by ``+seed=N``;
    ``+reset=N`` resets in cycle N and begins again; ``+budget=N`` is the cycle in which it gives up. With ``+any=1``
    outputs are not compared.
    """
    inputs, outputs = stream_names(component)
    every = [*inputs, *outputs]
    ports = ["    .clk(clk), .rst(rst)"]
    ports += [f"    .{n}__valid({n}_valid), .{n}__ready({n}_ready), .{n}__payload({n}_payload)" for n in every]
    parts = [_HEAD.format(module=module, depth=DEPTH)]
    parts += [_declaration(n, word_bits(component, n), n in inputs) for n in every]
    parts.append(f"\n  {module} dut (\n" + ",\n".join(ports) + "\n  );\n")
    parts.append(_LOADING.format(counts=COUNTS, loads="".join(_LOAD.format(name=n) for n in every)))
    parts += [_SOURCE.format(name=n, bit=8 + 5 * i % 17) for i, n in enumerate(inputs)]
    parts += [_SINK.format(name=n, bit=8 + 5 * (i + len(inputs)) % 17) for i, n in enumerate(outputs)]
    if "status" in outputs:
        parts.append(_STATUS.format(error_bits=ERROR_BITS, place_bits=PLACE_BITS))
    beats = [name for name in outputs if name != "status"]
    parts.append(_TIMES.format(taken=_moves(inputs), given=_moves(beats), offered=_any(f"{n}_valid" for n in beats)))
    parts.append(_ENDING.format(done=" && ".join(f"{n}_at == {n}_count" for n in every)))
    return "".join(parts)


def _moves(names: Iterable[str]) -> str:
    """Whether a stream of these transfers a word."""
    return _any(f"({name}_valid && {name}_ready)" for name in names)


def _any(terms: Iterable[str]) -> str:
    return " || ".join(terms)


def _declaration(name: str, width: int, is_input: bool) -> str:
    driven, read = ("reg", "wire") if is_input else ("wire", "reg")
    return (
        f"  reg [{width - 1}:0] {name}_words [0:DEPTH-1];\n"
        f"  integer {name}_at, {name}_count{f', {name}_next' if is_input else ''};\n"
        f"  {driven} {name}_valid;\n  {read} {name}_ready;\n  {driven} [{width - 1}:0] {name}_payload;\n"
    )


_HEAD = """// Plays a case through {module}: inputs from, and outputs against, the words in a folder.
`timescale 1ns / 1ps
module testbench;
  parameter DEPTH = {depth};
  reg clk = 0, rst = 1;
  reg [31:0] random = 1;
  integer stall, seed, reset, budget, any, cycle, idle, file;
  integer first_in, last_in, first_out, last_out;
  string folder;
"""

_LOADING = """
  always #5 clk = ~clk;

  initial begin
    stall = 0; seed = 1; reset = 0; budget = 1000000; any = 0; cycle = 0; idle = 0;
    if (!$value$plusargs("case=%s", folder)) $fatal(1, "no +case");
    if ($value$plusargs("stall=%d", stall)) ;
    if ($value$plusargs("seed=%d", seed)) ;
    if ($value$plusargs("reset=%d", reset)) ;
    if ($value$plusargs("budget=%d", budget)) ;
    if ($value$plusargs("any=%d", any)) ;
    random = seed * 32'd2654435761 + 32'd1;
    file = $fopen({{folder, "/{counts}"}}, "r");
    if (file == 0) $fatal(1, "no {counts}");
{loads}    $fclose(file);
  end

  always @(posedge clk) begin
    random <= random * 32'd1664525 + 32'd1013904223;
    cycle <= cycle + 1;
    rst <= cycle < 2 || (reset != 0 && cycle >= reset && cycle < reset + 2);
  end
"""

_LOAD = """    if ($fscanf(file, "%d", {name}_count) != 1 || {name}_count > DEPTH) $fatal(1, "words of {name}?");
    if ({name}_count > 0) $readmemh({{folder, "/{name}.hex"}}, {name}_words, 0, {name}_count - 1);
"""

_SOURCE = """
  always @(posedge clk)
    if (rst) begin
      {name}_at <= 0;
      {name}_valid <= 0;
    end else if (!{name}_valid || {name}_ready) begin
      {name}_next = {name}_at + ({name}_valid ? 1 : 0);
      {name}_at <= {name}_next;
      {name}_valid <= {name}_next < {name}_count && {{24'd0, random[{bit} +: 8]}} >= stall;
      {name}_payload <= {name}_words[{name}_next < DEPTH ? {name}_next : 0];
    end
"""

_SINK = """
  always @(posedge clk)
    if (rst) begin
      {name}_at <= 0;
      {name}_ready <= 0;
    end else begin
      {name}_ready <= {{24'd0, random[{bit} +: 8]}} >= stall;
      if ({name}_valid && {name}_ready) begin
        if (any == 0 && ({name}_at >= {name}_count || {name}_payload !== {name}_words[{name}_at])) begin
          $display("FAIL {name} word %0d is %h in cycle %0d", {name}_at, {name}_payload, cycle);
          $finish;
        end
        {name}_at <= {name}_at + 1;
      end
    end
"""

_STATUS = """
  always @(posedge clk)
    if (any != 0 && !rst && status_valid && status_ready) begin
      $display("STATUS %0d at %0d", status_payload[{error_bits}-1:0], status_payload[{error_bits} +: {place_bits}]);
      $finish;
    end
"""

_TIMES = """
  always @(posedge clk)
    if (rst) begin
      first_in <= -1;
      first_out <= -1;
    end else begin
      if ({taken}) begin
        if (first_in < 0) first_in <= cycle;
        last_in <= cycle;
      end
      if (first_out < 0 && ({offered})) first_out <= cycle;
      if ({given}) last_out <= cycle;
    end
"""

_ENDING = """
  always @(posedge clk) begin
    idle <= ({done}) && !rst && (reset == 0 || cycle > reset + 4) ? idle + 1 : 0;
    if (any == 0 && idle == 16) begin
      $display("PASS in %0d cycles: first out %0d after first in, last out %0d after last in",
               cycle - 19, first_out - first_in, last_out - last_in);
      $finish;
    end else if (cycle > budget) begin
      $display("FAIL hung: %0d cycles", cycle);
      $finish;
    end
  end
endmodule
"""
