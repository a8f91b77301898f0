"""Domains of ops/linalg.py."""

OPS = {}

FUNCTIONS = {}

REFERENCES = {}
