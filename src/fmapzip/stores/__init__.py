"""Frames inside other people's stores: codecs for Zarr v3 and for numcodecs (Zarr v2)."""
