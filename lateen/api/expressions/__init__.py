"""The languages of expressions: text becomes a tree, or a fault with its position; and the way back.

Mixer's own language (`cexl`) and CEL (`cel`) share one tree (`tree`), so that whoever types, interprets or compiles an
expression does not need to know in which one it was written. What names and functions *mean* is not known here.
"""
