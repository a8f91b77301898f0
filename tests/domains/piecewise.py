"""Domains of ops/piecewise.py."""

OPS = {}

FUNCTIONS = {}

REFERENCES = {}
