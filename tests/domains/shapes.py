"""Domains of ops/shapes.py."""

OPS = {}

FUNCTIONS = {}

REFERENCES = {}
