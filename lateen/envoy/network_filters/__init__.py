"""The network filters, one file each: what a connection becomes once a filter chain has been chosen.

Never here: which chain a connection takes; that is in `listeners`.
"""
