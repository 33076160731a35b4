"""mpeval: how well vision-language models point, in images, on screens and in video."""

__version__ = "0.1.0"
