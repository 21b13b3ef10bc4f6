"""The arena: every method on the same maps, with real bytes that decode, and their times."""
