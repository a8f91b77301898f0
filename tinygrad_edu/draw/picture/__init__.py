"""Pictures in DOT and SVG: choice.py decides how much is drawn, by what fold.py, with runs.py, can fold and how large
sizes.py says that it is. cards.py, arrays.py, compact.py and failed.py write the labels, in the notation of markup.py,
and painter.py all of it in DOT. engines.py makes SVG of that, svg.py finishes it for a page, paper.py for a file, and
notebook.py for a notebook.
"""
