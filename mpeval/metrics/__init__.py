"""Scores of points, counts, tracks and masks, and how samples are averaged. Plain functions over pixels and
RLE."""
