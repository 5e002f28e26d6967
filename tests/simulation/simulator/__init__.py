"""The real cores of deciders, voters, hands and monitors, in one process, on virtual time.

Modelled are the shells and the world around them, each by what it may do at its worst: the bus
(`network`), the replicated store (`store`), machines and their processes (`places`, `machine`),
fence devices (`fences`). All chance comes from one `Random(seed)`: a seed is a whole history.
"""
