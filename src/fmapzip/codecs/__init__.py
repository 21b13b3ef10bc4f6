"""The codecs of fmapzip: one small module each."""
