"""Domains of ops/statistics.py."""

OPS = {}

FUNCTIONS = {}

REFERENCES = {}
