"""What users write: every kind of configuration, decoded once into frozen typed values.

Here live the spec types (a module a kind), the table of kinds (`kinds`), objects and sets of objects (`objects`,
`changes`, `config_set`), and the door through which text becomes values or violations (`decode`). Nothing here knows
what configuration *means* for a proxy, reads a file or keeps state: text comes in as an argument, values go out. Main
types: `ConfigObject`, `ConfigSet`, `Change`, `Violation`.
"""
