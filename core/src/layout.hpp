#pragma once

#include "fmapzip/map.hpp"

// Copies between a map in any layout and the two dense orders that codecs work in.
namespace fmapzip {

void load_planar(ConstView map, uint8_t* dst);            // [c][h][w]
void store_planar(const uint8_t* src, MutView map);       //
void load_interleaved(ConstView map, uint8_t* dst);       // [h][w][c]
void store_interleaved(const uint8_t* src, MutView map);  //

void add_to_all(uint8_t addend, MutView map);  // modulo 256

}  // namespace fmapzip
