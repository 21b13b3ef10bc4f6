"""Where samples come from: one module for each form of data."""
