"""The decoder-only vision-language engine: one code for grounding-token and text-coordinate models.

Read in the order in which data meets it: `tiling`, `prompt`, `batch`, `vision`, `connector`, `decoder`, `model`,
`generate`.
"""
