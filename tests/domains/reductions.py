"""Domains of ops/reductions.py."""

OPS = {}

FUNCTIONS = {}

REFERENCES = {}
