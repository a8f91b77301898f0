"""Pictures in DOT and SVG: fold.py, with runs.py, says what a picture consists of, cards.py, with arrays.py and
tables.py, writes the labels and painter.py all of it in DOT. engines.py makes SVG of that, and svg.py finishes it for a
page.
"""
