"""The playground: expressions (`expression.py`), a network on points (`network.py`), and the page (`app.py`)."""
