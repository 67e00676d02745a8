"""The companion: every table and figure of three papers, recomputed beside the published one.

Floors, and arrows go down only: ``runs``; ``evidence`` and the papers, ``em_gm``, ``vmonf`` and
``gmm_basis``; ``figures`` and ``book``; ``checks`` and ``cli``. All stand on the library,
``mixflow``, which knows nothing of them.
"""
