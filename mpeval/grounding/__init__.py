"""Grounding tokens (MolmoPoint, paper section 3): selection heads, constraints, coordinates and the training loss."""
