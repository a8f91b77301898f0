"""Domains of ops/sequences.py."""

OPS = {}

FUNCTIONS = {}

REFERENCES = {}
