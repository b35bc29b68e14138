#!/usr/bin/env python3
"""Variance and bias of gradient estimators for discrete latents, on a machine of 4-3-2 values (docs/helmholtz.md).

    scripts/study_estimators.py [--samples 2 10] [--draws 20000]      measures, writes docs/estimators.json and the page
    scripts/study_estimators.py --render                              the page alone

Written out in NumPy from the definitions, apart from the package. For each of the 16 x: the variance of one gradient,
summed over the parameters of q (23) and of p (27), mean over x; and for the self-normalised estimators the distance of
the mean gradient from its limit for many samples, relative to that; for the relaxed one from the mean of vimco.
"""

import argparse
import itertools
import json
from pathlib import Path

import numpy as np

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE, MEASURED = DOCS / "helmholtz.md", DOCS / "estimators.json"
BEGIN, END = "<!-- estimators: rendered by scripts/study_estimators.py -->\n", "<!-- end of estimators -->"
TEMPERATURE = 0.5
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


def logistic(logits):
    return 1 / (1 + np.exp(-logits))


def relaxed(machine, x, chosen, of_weights, generator):
    """Gradients in the parameters of q that pass straight through each draw with its Concrete relaxation's slope.

    With logits a_1 of h_1 given x and a_2 of h_2 given h_1, and F's slopes f in the log weights
    lw = log p(x | h_1) + log p(h_1 | h_2) + log p(h_2) - log q(h_1 | x) - log q(h_2 | h_1):

        dF/da_2 = f (dlw/dh_2 s_2 - (h_2 - sigmoid(a_2))),   and with it those of h_1 and a_1

    s = y (1 - y) / T the slope of y = sigmoid((a - logit(u)) / T), u uniform where it gives the draw.

    chosen: latents' rows, (N, S); of_weights: f, (N, S).
    """
    one, two = machine.one[chosen], machine.two[chosen]
    (p0, b0), (p1, b1), (_, b2), (q1, c1), (q2, c2) = (machine.layers[n] for n in ("p0", "p1", "p2", "q1", "q2"))

    def slope(logits, value):
        on = logistic(logits)
        u = generator.random(value.shape)
        u = np.clip(np.where(value == 1, u * on, on + u * (1 - on)), 1e-12, 1 - 1e-12)
        soft = logistic((logits - np.log(u) + np.log1p(-u)) / TEMPERATURE)
        return soft * (1 - soft) / TEMPERATURE

    first, second = np.broadcast_to(x @ q1 + c1, one.shape), one @ q2 + c2
    up = (one - logistic(two @ p1 + b1)) @ p1.T + b2 - second
    at_second = up * slope(second, two) - (two - logistic(second))
    down = (x - logistic(one @ p0 + b0)) @ p0.T + two @ p1 + b1 - first + at_second @ q2.T
    at_first = down * slope(first, one) - (one - logistic(first))
    given = np.broadcast_to(x, (*one.shape[:2], 4))
    parts = []
    for below, at in ((given, at_first), (one, at_second)):
        scaled = of_weights[..., None] * at
        parts += [np.einsum("nsi,nso->nio", below, scaled).reshape(len(at), -1), scaled.sum(1)]
    return np.concatenate(parts, 1)


def limit(log_p, slope_p, log_q, slope_q, alpha):
    """The mean gradient for many samples."""
    power = alpha if alpha == 0.5 else 0.0
    weights = (1 - power) * log_p + power * log_q
    weights = np.exp(weights - logsumexp(weights, 0))
    return np.concatenate([weights @ slope_q, weights @ slope_p])


def measured(counts, draws):
    """A record for each number of samples, bound and estimator."""
    generator = np.random.default_rng(0)
    machine, found = Machine(generator), []
    for samples in counts:
        rows = {}
        for x in states(4):
            log_p, slope_p, log_q, slope_q = machine.at(x)
            chosen = generator.choice(32, p=np.exp(log_q), size=(draws, samples))
            log_weights = (log_p - log_q)[chosen]
            for name, of_q, of_p, alpha in factors(log_weights):
                q = np.einsum("ns,nsk->nk", np.broadcast_to(of_q, chosen.shape), slope_q[chosen])
                p = np.einsum("ns,nsk->nk", of_p, slope_p[chosen])
                mean = np.concatenate([q.mean(0), p.mean(0)])
                away = None if alpha is None else limit(log_p, slope_p, log_q, slope_q, alpha)
                rows.setdefault(name, []).append((q.var(0).sum(), p.var(0).sum(), mean, away))
                if name[1] == "vimco":
                    through = relaxed(machine, x, chosen, of_p, generator)
                    both = np.concatenate([through.mean(0), p.mean(0)])
                    own = (through.var(0).sum(), p.var(0).sum(), both, mean)
                    rows.setdefault((name[0], f"relaxed, temperature {TEMPERATURE}"), []).append(own)
        for (bound, estimator), by_state in rows.items():
            q, p, mean = (np.mean([row[i] for row in by_state], 0) for i in range(3))
            bias = None
            if by_state[0][3] is not None:
                away = np.mean([row[3] for row in by_state], 0)
                bias = float(np.linalg.norm(mean - away) / np.linalg.norm(away))
            found.append({"samples": samples, "bound": bound, "estimator": estimator, "q": q, "p": p, "bias": bias})
    return found


def render():
    """The table within the page."""
    kept = json.loads(MEASURED.read_text())
    lines = ["| S | bound or algorithm | estimator | variance, q | variance, p | bias |", "|---|---|---|---|---|---|"]
    for r in kept["rows"]:
        bias = "none" if r["bias"] is None else f"{r['bias']:.2f}"
        lines.append(f"| {r['samples']} | {r['bound']} | {r['estimator']} | {r['q']:.3g} | {r['p']:.3g} | {bias} |")
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise SystemExit(f"{PAGE} lacks the marks {BEGIN.strip()} and {END}")
    PAGE.write_text(f"{before}{BEGIN}\n" + "\n".join(lines) + f"\n\n{END}{after}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, nargs="+", default=[2, 10])
    parser.add_argument("--draws", type=int, default=20_000)
    parser.add_argument("--render", action="store_true")
    given = parser.parse_args()
    if not given.render:
        rows = measured(given.samples, given.draws)
        MEASURED.write_text(json.dumps({"draws": given.draws, "rows": rows}, indent=1) + "\n")
    render()


if __name__ == "__main__":
    main()
