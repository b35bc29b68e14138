"""Multi-layer vector approximate message passing (ML-VAMP; arXiv 1706.06549, MAP and proofs in 1911.03409).

A network that is known, its output that is observed in part and with noise: `infer` finds every layer's values, with
variances, and `evolve` predicts the error of doing so.
"""
