#!/usr/bin/env python3
"""Where the time of a training step and of the final test goes, taken apart piece by piece.

    scripts/profile_step.py [--rounds 5]

Each piece is a compiled loop of the project's own functions, so that nothing is timed that a run does not do. Of a
step: random bits and noise alone; the loss forward; Adam alone; the whole step. Of the final test: noise alone; with
the networks; with the density; the whole estimate. Pieces are timed in turn; they and differences of their medians
are the parts. The products' own time, each at its best rate, stands beside them. The network is
that of experiment=benchmark, and that with 200 latents for the cost of a rank-one posterior. Writes
docs/profile.json; docs/performance.md shows it.
"""

import argparse
import json
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import reference_loops
from jax.sharding import SingleDeviceSharding

from sbvi.core.xla.random_bits import normal
from sbvi.gradients.rule import draw
from sbvi.inference.importance import importance_sampling
from sbvi.objectives import View
from sbvi.runs import Experiment
from sbvi.runs.assembly import Assembly
from sbvi.training.chunk import chunk_function

ROOT = Path(__file__).resolve().parents[1]
STEPS, CHUNKS = 300, 25
#: batch, samples, latents, posterior, outputs of its head for each latent
CASES = ((100, 1, 50, "diagonal", 2), (1000, 1, 50, "diagonal", 2), (100, 50, 50, "diagonal", 2))
WIDE = ((100, 1, 200, "diagonal", 2), (100, 1, 200, "rank_one", 3))


def assembled(batch=100, samples=1, latents=50, posterior="diagonal"):
    words = [f"trainer.batch_size={batch}", f"objective.num_samples={samples}", f"model.latents=[{latents}]"]
    words += ["experiment=benchmark", f"posterior={posterior}"]
    if samples > 1:
        words.append("objective=importance_weighted")
    return Assembly.build(Experiment.from_overrides([*words, "trainer.epochs=1"]))


def all_of(values):
    """A number for which the compiler must make all values: three uses keep it from making but what each reads."""
    values = jax.lax.optimization_barrier(values)
    first, last = (values[(place,) * values.ndim] for place in (0, -1))
    return first + last + jnp.sum(values[..., values.shape[-1] // 2])


def step_pieces(assembly, steps):
    """Name -> a function that runs `steps` steps of a piece, compiled, and waits for them."""
    algorithm, batches = assembly.algorithm, assembly.batches()
    model, objective = assembly.model, algorithm.objective
    latents = sum(model.latent_sizes().values())
    operands = batches.operands()
    indices = jnp.asarray(batches.indices(0, steps, steps))
    hypers = {name: jnp.asarray(value) for name, value in algorithm.hypers(np.arange(steps), 500.0, 5000).items()}
    hyper = {name: values[0] for name, values in hypers.items()}

    def batch_at(position, key):
        return batches.gather(operands, indices[position], position, jax.random.fold_in(key, position))

    def loss(params, batch, key):
        return objective(View(model, params, key, batch), hyper)[0]

    def random(position, total):
        x = batch_at(position, key).x
        noise = normal(jax.random.fold_in(key, position), (objective.num_samples, len(x), latents))
        return total + all_of(x) + all_of(noise)

    def forward(position, total):
        return total + loss(state.params, batch_at(position, key), jax.random.fold_in(key, position))

    def adam(_, state):
        return algorithm.update(state, jax.tree.map(lambda p: 1e-3 * p, state.params), hyper)

    def loop(piece, first):
        run = jax.jit(lambda first: jax.lax.fori_loop(0, steps, piece, first))
        return lambda: jax.block_until_ready(run(first))

    key = jax.random.key(0)
    state = jax.device_put(assembly.initial_state(), SingleDeviceSharding(jax.devices()[0]))
    chunk = jax.jit(chunk_function(algorithm, batches))  # the run's own
    numbers = jnp.int32(0), jnp.int32(steps)
    return {
        "random": loop(random, jnp.zeros(())),
        "forward": loop(forward, jnp.zeros(())),
        "adam": loop(adam, state),
        "whole": lambda: jax.block_until_ready(chunk(state, operands, indices, hypers, key, *numbers)),
    }


def test_pieces(assembly):
    """Name -> a function that runs CHUNKS chunks of importance samples of a piece, compiled, and waits for them."""
    model, settings = assembly.model, assembly.experiment.evaluation
    params = assembly.initial_state().params
    x = jnp.asarray(assembly.dataset.seen("test", settings.batch_size), jnp.float32)
    latents = sum(model.latent_sizes().values())

    def noise(_, key):
        return all_of(normal(key, (settings.chunk, x.shape[0], latents)))

    def networks(params, key):
        points = draw(key, model.gaussians(params, x), settings.chunk)
        return all_of(model.expected(params, x).inner(points))

    def density(params, key):
        return jnp.sum(model.expected(params, x)(draw(key, model.gaussians(params, x), settings.chunk)))

    def loop(piece):
        def body(position, total):
            return total + piece(params, jax.random.fold_in(jax.random.key(0), position))

        return jax.jit(lambda: jax.lax.fori_loop(0, CHUNKS, body, jnp.zeros(())))

    estimate = importance_sampling(model.rollout, CHUNKS * settings.chunk, settings.chunk)
    loops = {f.__name__: loop(f) for f in (noise, networks, density)}
    loops["whole"] = jax.jit(lambda: estimate(params, jax.random.key(0), x))
    return {name: lambda run=run: jax.block_until_ready(run()) for name, run in loops.items()}


def medians(pieces, products, count, rounds):
    """Seconds of one of `count` turns of each piece, and of the products of each shape list, over rounds of all."""
    seconds = {name: [] for name in (*pieces, *products)}
    for run in pieces.values():
        run()
    for _ in range(rounds):
        for name, run in pieces.items():
            began = time.perf_counter()
            run()
            seconds[name].append((time.perf_counter() - began) / count)
        for name, shapes in products.items():
            seconds[name].append(reference_loops.product_seconds(shapes))
    return {name: float(np.median(values)) for name, values in seconds.items()}


def steps_profile(cases, rounds):
    """The parts of a step for cases of the same batch and samples, timed in turn."""
    batch, samples = cases[0][:2]
    steps = max(10, STEPS // max(1, batch * samples // 200))
    pieces, products = {}, {}
    for case in cases:
        pieces |= {(case, name): run for name, run in step_pieces(assembled(*case[:4]), steps).items()}
        products[case, "products"] = reference_loops.products(*case[:3], case[4])
    median = medians(pieces, products, steps, rounds)
    for case in cases:
        random, forward, adam, whole = (median[case, n] for n in ("random", "forward", "adam", "whole"))
        latents, posterior = case[2:4]
        title = f"batch {batch}, K = {samples}" if latents == 50 else f"{latents} latents, {posterior}"
        yield {
            "title": title,
            "parts": {
                "random bits and noise": random,
                "forward, without them": forward - random,
                "backward": whole - forward - adam,
                "Adam": adam,
            },
            "whole": whole,
            "products": median[case, "products"],
        }


def test_profile(rounds):
    """The parts of a chunk of the final test."""
    assembly = assembled()
    settings = assembly.experiment.evaluation
    rows = settings.batch_size * settings.chunk
    shapes = [(rows, *sizes) for sizes in reference_loops.DECODER]
    median = medians(test_pieces(assembly), {"products": shapes}, CHUNKS, rounds)
    products = median["products"]
    return {
        "title": f"{settings.batch_size} images, {settings.chunk} samples",
        "parts": {
            "normal noise": median["noise"],
            "products": products,
            "the networks' other work": median["networks"] - median["noise"] - products,
            "density of the pixels": median["density"] - median["networks"],
            "densities of the latents, weights": median["whole"] - median["density"],
        },
        "whole": median["whole"],
        "products": products,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    profile = {"steps": [], "test": []}
    for cases in (*((case,) for case in CASES), WIDE):
        profile["steps"] += steps_profile(cases, given.rounds)
    profile["test"].append(test_profile(given.rounds))
    for case in profile["steps"] + profile["test"]:
        print(f"{case['title']}: {1e3 * case['whole']:.2f} ms", flush=True)
        for name, seconds in case["parts"].items():
            print(f"  {name}: {1e3 * seconds:.2f} ms, {seconds / case['whole']:.0%}")
        print(f"  its products alone: {1e3 * case['products']:.2f} ms, {case['products'] / case['whole']:.0%}")
    (ROOT / "docs" / "profile.json").write_text(json.dumps(profile, indent=1) + "\n")


if __name__ == "__main__":
    main()
