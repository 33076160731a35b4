"""How fast a model runs on this machine, against what the machine could do at best: `mpeval bench`.

`measure.py` decides what is measured and in how much time, `decoding.py`, `media.py` and `run.py` measure, `limits.py`
holds the machine's own rates and what a model asks of it, `report.py` prints.
"""
