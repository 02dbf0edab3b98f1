"""The lessons: the systems of five documents on softmax classification, run again, number by number.

Owns what the documents printed (`numbers/`, as data), how each of their systems is built from polylogit's own parts
(`scores`, `draws`, ...), and the comparison. It holds no mathematics of its own: what a lesson shows, a user can
write. `catalogue` and `comparison` answer without torch; `running` measures.
"""
