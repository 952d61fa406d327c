"""What is doubtful in a whole configuration: one small function for each code, over a snapshot.

`codes` is the table, `world` what the functions look things up in, `analyze` the door.
"""
