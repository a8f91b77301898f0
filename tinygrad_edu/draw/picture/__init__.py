"""Pictures in DOT and SVG.

Read items.py (what a picture consists of), fold.py and runs.py (what is folded), cards.py (the labels) and painter.py
(all of it in DOT). engines.py makes SVG of DOT, and svg.py finishes it for a page. sizes.py says how large a picture
will be, escaping.py how names are written in each language. Names are imported from the files.
"""
