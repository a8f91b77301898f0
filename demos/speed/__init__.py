"""What demos/benchmark.py measures: each file is one question, `peers` holds the programs that are compared."""
