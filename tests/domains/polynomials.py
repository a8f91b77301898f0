"""Domains of ops/polynomials.py."""

OPS = {}

FUNCTIONS = {}

REFERENCES = {}
