"""The miniatures: two small models of the real architecture, how they are trained, and their weights.

`molmopoint-tiny` points with grounding tokens, `molmo2-tiny` with text coordinates; all else is the same.
"""
