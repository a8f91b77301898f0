"""Domains of ops/trigonometry.py."""

OPS = {}

FUNCTIONS = {}

REFERENCES = {}
