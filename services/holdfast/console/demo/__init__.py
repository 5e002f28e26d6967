"""`holdfast demo`: a real cluster, real failures, counted from outside and explained.

`story` is what happens; `stage` is where: on this machine, or in containers (`compose_stage`).
The story acts and looks only as a person could: it kills processes, and it runs `holdfast`.
"""
