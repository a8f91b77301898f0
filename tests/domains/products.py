"""Domains of ops/products.py."""

OPS = {}

FUNCTIONS = {}

REFERENCES = {}
