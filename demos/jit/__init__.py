"""How a step is written down and run again, for replay.py: read hidden.py, tape.py, then recording.py."""
