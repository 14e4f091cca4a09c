"""How the bytes of each type of file are cut into parts, without decoding any: one module a container.

Every walker raises ValueError where the parts do not fit together, and nothing else, whatever it is given.
"""
