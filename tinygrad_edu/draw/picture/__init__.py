"""DOT and SVG."""
