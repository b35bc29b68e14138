#!/usr/bin/env python3
"""Variance and bias of gradient estimators for discrete latents, on a machine of 4-3-2 values (docs/helmholtz.md).

    scripts/study_estimators.py [--samples 2 10] [--draws 20000]

Written out in NumPy from the definitions, apart from the package. For each of the 16 x: the variance of one gradient,
summed over the parameters of q (23) and of p (27), mean over x; and for the self-normalised estimators the distance of
the mean gradient from its limit for many samples, relative to that.
"""

import argparse
import itertools

import numpy as np

BOUNDS = (("free_energy", 1.0), ("importance_weighted", 0.0), ("renyi, alpha 1/2", 0.5))


def states(size):
    return np.array(list(itertools.product((0.0, 1.0), repeat=size)))


def logsumexp(values, axis):
    top = values.max(axis, keepdims=True)
    return np.squeeze(top, axis) + np.log(np.exp(values - top).sum(axis))


def layer(given, weights, bias, value):
    """log p(value | given), and its gradient in weights and bias, for rows."""
    logits = given @ weights + bias
    rest = value - 1 / (1 + np.exp(-logits))
    slope = (given[:, :, None] * rest[:, None]).reshape(len(given), -1)
    return np.sum(value * logits - np.logaddexp(0, logits), -1), np.concatenate([slope, rest], 1)


class Machine:
    """Parameters from N(0, 1); log p, log q and their gradients at all 32 latents for one x."""

    def __init__(self, generator):
        shapes = {"p0": (3, 4), "p1": (2, 3), "p2": (1, 2), "q1": (4, 3), "q2": (3, 2)}
        self.layers = {name: (generator.normal(size=s), generator.normal(size=s[1])) for name, s in shapes.items()}
        self.one, self.two = np.repeat(states(3), 4, 0), np.tile(states(2), (8, 1))

    def at(self, x):
        x = np.broadcast_to(x, (32, 4))
        p = [layer(self.one, *self.layers["p0"], x), layer(self.two, *self.layers["p1"], self.one)]
        p.append(layer(np.zeros((32, 1)), *self.layers["p2"], self.two))
        q = [layer(x, *self.layers["q1"], self.one), layer(self.one, *self.layers["q2"], self.two)]
        sums = [(sum(v for v, _ in part), np.concatenate([g for _, g in part], 1)) for part in (p, q)]
        return (*sums[0], *sums[1])


def value(log_weights, alpha):
    if alpha == 1:
        return log_weights.mean(-1)
    count = np.log(log_weights.shape[-1])
    return (logsumexp((1 - alpha) * log_weights, -1) - count) / (1 - alpha)


def normalised(log_weights, alpha):
    return np.exp((1 - alpha) * log_weights - logsumexp((1 - alpha) * log_weights, -1)[..., None])


def leave_one_out(log_weights, alpha):
    count = log_weights.shape[-1]
    others = (log_weights.sum(-1, keepdims=True) - log_weights) / (count - 1)
    own = np.arange(count)
    return np.stack([value(np.where(own == s, others, log_weights), alpha) for s in own], -1)


def factors(log_weights):
    """Estimator -> the factors of grad log q and of grad log p of every sample, and alpha where it has a limit."""
    count = log_weights.shape[-1]
    for bound, alpha in BOUNDS:
        f, v = value(log_weights, alpha)[:, None], normalised(log_weights, alpha)
        plain, level = (log_weights / count, f.mean() / count) if alpha == 1 else (f, f.mean())
        yield (bound, "score_function"), plain - v, v, None
        yield (bound, "nvil, best baseline"), plain - level - v, v, None
        yield (bound, "vimco"), f - leave_one_out(log_weights, alpha) - v, v, None
    half, whole = normalised(log_weights, 0.5), normalised(log_weights, 0.0)
    yield ("bihm", ""), half - 1 / count, half, 0.5
    yield ("reweighted, wake", ""), whole, whole, 0.0


def limit(log_p, slope_p, log_q, slope_q, alpha):
    """The mean gradient for many samples."""
    power = alpha if alpha == 0.5 else 0.0
    weights = (1 - power) * log_p + power * log_q
    weights = np.exp(weights - logsumexp(weights, 0))
    return np.concatenate([weights @ slope_q, weights @ slope_p])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, nargs="+", default=[2, 10])
    parser.add_argument("--draws", type=int, default=20_000)
    given = parser.parse_args()
    generator = np.random.default_rng(0)
    machine = Machine(generator)
    print("| S | bound or algorithm | estimator | variance, q | variance, p | bias |\n|---|---|---|---|---|---|")
    for samples in given.samples:
        rows = {}
        for x in states(4):
            log_p, slope_p, log_q, slope_q = machine.at(x)
            chosen = generator.choice(32, p=np.exp(log_q), size=(given.draws, samples))
            for name, of_q, of_p, alpha in factors((log_p - log_q)[chosen]):
                q = np.einsum("ns,nsk->nk", np.broadcast_to(of_q, chosen.shape), slope_q[chosen])
                p = np.einsum("ns,nsk->nk", of_p, slope_p[chosen])
                mean = np.concatenate([q.mean(0), p.mean(0)])
                away = mean if alpha is None else limit(log_p, slope_p, log_q, slope_q, alpha)
                rows.setdefault(name, []).append((q.var(0).sum(), p.var(0).sum(), mean, away, alpha))
        for (bound, estimator), by_state in rows.items():
            q, p, mean, away = (np.mean([row[i] for row in by_state], 0) for i in range(4))
            bias = "none" if by_state[0][4] is None else f"{np.linalg.norm(mean - away) / np.linalg.norm(away):.2f}"
            print(f"| {samples} | {bound} | {estimator} | {q:.3g} | {p:.3g} | {bias} |")


if __name__ == "__main__":
    main()
