#!/usr/bin/env python3
"""What k-hat adds to the time of a likelihood by importance sampling: PAIRS of timings with and without it, in turn.

    scripts/benchmark_khat.py [PAIRS]

Of the default network on 784 binary values, 100 examples, 500 samples. What is told is the median of the pairs' ratios
and their quartiles, which a machine's other work disturbs less than it does either time.
"""

import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.distributions.likelihoods import LIKELIHOODS
from sbvi.inference import psis
from sbvi.inference.importance import importance_sampling
from sbvi.models import DLGM
from sbvi.models.values import DataFacts, DataSummary

EXAMPLES, SAMPLES, CHUNK = 100, 500, 20


def compiled(model, params, x, with_khat):
    """The estimate as a program; without k-hat by a number of samples for which psis finds no tail."""
    tail_length = psis.tail_length
    if not with_khat:
        psis.tail_length = lambda _: None
    try:
        estimate = importance_sampling(model.rollout, SAMPLES, CHUNK)
        return jax.jit(estimate).lower(params, jax.random.key(0), x).compile()
    finally:
        psis.tail_length = tail_length


def seconds(program, params, x):
    began = time.process_time()
    jax.block_until_ready(program(params, jax.random.key(0), x))
    return time.process_time() - began


def main():
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    model = DLGM(likelihood=LIKELIHOODS["bernoulli"]()).build(DataFacts((784,), True, 1))
    rows = np.random.default_rng(0).integers(0, 2, (EXAMPLES, 784)).astype(np.float32)
    params = model.init(0, DataSummary(rows, None, rows.mean(0), rows.std(0), EXAMPLES))
    x = jnp.asarray(rows)
    programs = [compiled(model, params, x, with_khat) for with_khat in (True, False)]
    for program in programs:
        seconds(program, params, x)
    ratios = []
    for turn in range(pairs):
        first = turn % 2
        times = {which: seconds(programs[which], params, x) for which in (first, 1 - first)}
        ratios.append(times[0] / times[1] - 1)
    low, middle, high = np.percentile(ratios, [25, 50, 75])
    print(
        f"k-hat adds {100 * middle:.1f} % (quartiles {100 * low:.1f} to {100 * high:.1f}, {pairs} pairs, CPU seconds)"
    )


if __name__ == "__main__":
    main()
