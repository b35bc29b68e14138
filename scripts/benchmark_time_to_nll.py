#!/usr/bin/env python3
"""Seconds from a process's start to a validation bound: sbvi, NumPyro's SVI and a PyTorch loop of the same network.

    scripts/benchmark_time_to_nll.py [--rounds 3] [--bounds 105,100,97] [--seconds 900]
                                     [--programs sbvi,unaveraged,numpyro,torch]

On static MNIST, whose files must be at hand (SBVI_DATA_DIR or the cache). Rounds alternate the programs; in each, every
program runs in two fresh processes: cold, with an empty cache of compiled programs, and warm, with what the first left.
All have the same network, batches, share of dropped inputs, warm-up of the KL term, and AdamW, whose decay of the
weights is decoupled, with a cosine of its rate, and validate once an epoch: the bound of one sample an example, over
all 10,000 validation images. NumPyro and PyTorch read the data as one array from a file, sbvi its own. Where the
library has a moving average of the weights, with which bounds are met much sooner, the bound is that of the average,
with one decay: `optimizer.average` of sbvi, AveragedModel of PyTorch; NumPyro has none. `unaveraged` is sbvi without
it.
Writes docs/time_to_nll.json, beside what other processors took; scripts/performance_page.py renders it into
docs/performance.md.
"""

import argparse
import importlib.util
import itertools
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LATENT, HIDDEN, PIXELS = 50, (300, 300), 784
BATCH, RATE, WARMUP, EPOCHS, DROPOUT, AVERAGE, DECAY = 100, 2e-3, 10, 60, 0.1, 0.998, 0.05
#: Name -> the package that it needs.
PROGRAMS = {"sbvi": "sbvi", "unaveraged": "sbvi", "numpyro": "numpyro", "torch": "torch"}


def tell(step, bound):
    """To the process that measures, which reads its own clock."""
    print(json.dumps({"step": int(step), "bound": float(bound)}), flush=True)


def train_sbvi(_, folder, average=AVERAGE):
    from sbvi.core.imports import uncollected

    with uncollected():
        from sbvi.runs import Experiment
        from sbvi.runs.train import train
    sizes = [
        f"model.latents=[{LATENT}]",
        *(f"model.{n}={list(HIDDEN)}".replace(" ", "") for n in ("hidden", "recognition_hidden")),
    ]
    words = ["dataset=mnist", "dataset.binarization=static", "posterior=diagonal", *sizes]
    words += ["model.activation=relu", "model.recognition_activation=relu", "model.noise_matrix=identity"]
    words += ["model.weight_prior_variance=null", f"objective.kl_weight.warmup_epochs={WARMUP}"]
    words += [f"model.input_dropout={DROPOUT}", "optimizer.schedule.kind=cosine"]
    words += [f"optimizer.learning_rate={RATE}", f"trainer.batch_size={BATCH}", f"trainer.epochs={EPOCHS}"]
    words += ["trainer.steps=null", "trainer.examples=null", "trainer.log_every=500", "trainer.validate_every=500"]
    words += ["evaluation.test=false", "evaluation.validation_limit=null"]
    words += ["optimizer.name=adamw", f"optimizer.arguments={{weight_decay: {DECAY}}}"]
    words += [f"optimizer.average={average}"] if average else []

    def show(_, progress, values, __):
        if "validation/elbo" in values:
            tell(progress.step, values["validation/elbo"])

    train(Experiment.from_overrides(words), Path(folder) / "run", show)


def train_unaveraged(data, folder):
    train_sbvi(data, folder, average=None)


def layers(seed):
    """Glorot-uniform weights and zero biases of the encoder and of the decoder, NumPy arrays."""
    import numpy as np

    generator = np.random.default_rng(seed)

    def layer(inputs, outputs):
        limit = np.sqrt(6 / (inputs + outputs))
        return generator.uniform(-limit, limit, (inputs, outputs)).astype(np.float32), np.zeros(outputs, np.float32)

    nets = (PIXELS, *HIDDEN, 2 * LATENT), (LATENT, *HIDDEN, PIXELS)
    return [[layer(*pair) for pair in itertools.pairwise(sizes)] for sizes in nets]


def epochs(examples, seed=0):
    """Of each epoch the rows of every batch (batches, BATCH), and the KL term's weights (batches,)."""
    import numpy as np

    generator, batches = np.random.default_rng(seed), examples // BATCH
    for epoch in range(EPOCHS):
        steps = np.arange(epoch * batches, (epoch + 1) * batches)
        weights = np.minimum(1, (steps + 1) / (WARMUP * batches)).astype(np.float32)
        yield generator.permutation(examples)[: batches * BATCH].reshape(batches, BATCH).astype(np.int32), weights


def train_numpyro(data, _):
    import jax
    import jax.numpy as jnp
    import numpy as np
    import numpyro
    import numpyro.distributions as dist
    import optax
    from numpyro.infer import SVI, TraceMeanField_ELBO

    start = jax.tree.map(jnp.asarray, layers(0))

    def apply(parts, x):
        *inner, (weight, bias) = parts
        for kernel, offset in inner:
            x = jax.nn.relu(x @ kernel + offset)
        return x @ weight + bias

    def model(x, _, weight):
        decoder = numpyro.param("decoder", start[1])
        with numpyro.plate("batch", len(x)):
            with numpyro.handlers.scale(scale=weight):
                z = numpyro.sample("z", dist.Normal(jnp.zeros(LATENT), 1.0).to_event(1))
            numpyro.sample("x", dist.Bernoulli(logits=apply(decoder, z)).to_event(1), obs=x)

    def guide(x, kept, weight):
        encoder = numpyro.param("encoder", start[0])
        mean, log_scale = jnp.split(apply(encoder, x * kept), 2, -1)
        with numpyro.plate("batch", len(x)), numpyro.handlers.scale(scale=weight):
            numpyro.sample("z", dist.Normal(mean, jnp.exp(log_scale)).to_event(1))

    arrays = np.load(data)
    images, held = (jnp.asarray(arrays[name], jnp.float32) for name in ("train", "validation"))
    total = EPOCHS * (len(images) // BATCH)
    rate = optax.cosine_decay_schedule(RATE, total)
    adam = numpyro.optim.optax_to_numpyro(optax.adamw(rate, weight_decay=DECAY))
    svi = SVI(model, guide, adam, TraceMeanField_ELBO())

    @jax.jit
    def epoch(state, key, index, weights):
        def body(place, state):
            x = images[index[place]]
            kept = jax.random.bernoulli(jax.random.fold_in(key, place), 1 - DROPOUT, x.shape) / (1 - DROPOUT)
            return svi.update(state, x, kept, weights[place])[0]

        return jax.lax.fori_loop(0, len(index), body, state)

    @jax.jit
    def bound(state):
        return -svi.evaluate(state, held, 1.0, 1.0) / len(held)

    state, steps = svi.init(jax.random.key(0), images[:BATCH], 1.0, 1.0), 0
    for index, weights in epochs(len(images)):
        state, steps = epoch(state, jax.random.key(steps), index, weights), steps + len(index)
        tell(steps, bound(state))


def train_torch(data, _):
    import numpy as np
    import torch

    def net(parts):
        modules = []
        for weight, bias in parts:
            layer = torch.nn.Linear(*weight.shape)
            layer.weight.data, layer.bias.data = torch.from_numpy(weight.T.copy()), torch.from_numpy(bias)
            modules += [layer, torch.nn.ReLU()]
        return torch.nn.Sequential(*modules[:-1])

    encoder, decoder = map(net, layers(0))
    decay = torch.optim.swa_utils.get_ema_multi_avg_fn(AVERAGE)
    both = torch.nn.ModuleList([encoder, decoder])
    averaged = torch.optim.swa_utils.AveragedModel(both, multi_avg_fn=decay)
    weights = [*encoder.parameters(), *decoder.parameters()]
    optimizer = torch.optim.AdamW(weights, lr=RATE, weight_decay=DECAY, fused=True)
    arrays = np.load(data)
    images, held = (torch.from_numpy(arrays[name].astype(np.float32)) for name in ("train", "validation"))

    total = EPOCHS * (len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, total)

    def loss(encoder, decoder, x, kept, weight):
        mean, log_scale = encoder(x * kept).chunk(2, -1)
        logits = decoder(mean + torch.exp(log_scale) * torch.randn(mean.shape))
        fit = torch.nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="sum")
        kl = 0.5 * (mean**2 + torch.exp(2 * log_scale) - 1 - 2 * log_scale).sum()
        return (fit + weight * kl) / len(x)

    steps = 0
    for index, weights in epochs(len(images)):
        for rows, weight in zip(torch.from_numpy(index), weights.tolist(), strict=True):
            x = images[rows]
            value = loss(encoder, decoder, x, (torch.rand(x.shape) >= DROPOUT) / (1 - DROPOUT), weight)
            optimizer.zero_grad(set_to_none=True)
            value.backward()
            optimizer.step()
            schedule.step()
            averaged.update_parameters(both)
        steps += len(index)
        with torch.no_grad():
            tell(steps, -float(np.mean([float(loss(*averaged.module, part, 1.0, 1.0)) for part in held.split(1000)])))


def timed(program, data, cache, bounds, seconds):
    """Seconds from the start of a process to each bound, None where it was not reached in time; and what it told."""
    environment = os.environ | {"SBVI_CACHE_DIR": cache, "PYTHONPATH": str(ROOT), "JAX_COMPILATION_CACHE_DIR": cache}
    environment |= {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.05"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has its bytecode
    reached, told = dict.fromkeys(map(str, bounds)), []
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--worker", program, "--data", data, "--folder", folder]
        began = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        for line in process.stdout:
            now = time.perf_counter() - began
            if line.startswith("{"):
                told.append(json.loads(line)["bound"])
                for bound in bounds:
                    if reached[str(bound)] is None and told[-1] >= -bound:
                        reached[str(bound)] = now
            if now > seconds or None not in reached.values():
                break
        process.terminate()
        process.wait()
    if not told:
        sys.exit(f"{program} ended without a validation.")
    return {"seconds": reached, "best": max(told), "epochs": len(told)}


def static_mnist(folder):
    """The training and validation images as one file of uint8 arrays, for programs that have no reader of their own."""
    import numpy as np

    from sbvi.data.sources.mnist import Mnist

    dataset = Mnist(binarization="static").load()
    path = str(Path(folder) / "mnist.npz")
    np.savez(path, **{name: dataset.split(name).x.reshape(-1, PIXELS) for name in ("train", "validation")})
    return path


def measure(programs, bounds, rounds, seconds, output):
    cases = {program: {"cold": [], "warm": []} for program in programs}
    from measured import of_processor  # not at a process's start, which is what is timed

    from sbvi.runs.provenance import processor

    kept = json.loads(output.read_text()) if output.exists() else {}
    record = of_processor(kept, processor())
    record |= {
        "processor": processor(),
        "command": "python scripts/benchmark_time_to_nll.py " + " ".join(sys.argv[1:]),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {n: version(n) for n in ("jax", "numpyro", "torch") if importlib.util.find_spec(n)},
        "network": [PIXELS, *HIDDEN, LATENT, *HIDDEN, PIXELS],
        "settings": {
            "batch": BATCH,
            "learning_rate": RATE,
            "warmup_epochs": WARMUP,
            "epochs": EPOCHS,
            "dropout": DROPOUT,
            "average": AVERAGE,
            "weight_decay": DECAY,
        },
        "bounds": bounds,
        "cases": cases,
    }
    with tempfile.TemporaryDirectory() as folder:
        data = static_mnist(folder)
        for number in range(rounds):
            for program in programs[number % len(programs) :] + programs[: number % len(programs)]:
                with tempfile.TemporaryDirectory() as cache:
                    for kind, rows in cases[program].items():
                        rows.append(timed(program, data, cache, bounds, seconds))
                        print(number, program, kind, rows[-1], flush=True)
            output.write_text(json.dumps(kept, indent=1) + "\n")  # no whole round is lost to a later failure


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bounds", default="105,100,97", help="nats, without their sign")
    parser.add_argument("--programs", default=",".join(PROGRAMS))
    parser.add_argument("--seconds", type=float, default=900.0, help="after which a process is ended")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "time_to_nll.json")
    parser.add_argument("--worker", choices=PROGRAMS, help=argparse.SUPPRESS)
    parser.add_argument("--data", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        workers = {"sbvi": train_sbvi, "unaveraged": train_unaveraged, "numpyro": train_numpyro, "torch": train_torch}
        workers[given.worker](given.data, given.folder)
        return
    programs = given.programs.split(",")
    if unknown := [name for name in programs if name not in PROGRAMS]:
        sys.exit(f"--programs {unknown[0]} is not known; allowed: {', '.join(PROGRAMS)}.")
    if absent := [name for name in programs if importlib.util.find_spec(PROGRAMS[name]) is None]:
        sys.exit(f"{' and '.join(absent)} cannot be imported here: install what is missing, or give fewer --programs.")
    measure(programs, [float(b) for b in given.bounds.split(",")], given.rounds, given.seconds, given.output)
    print(f"written: {given.output}")


if __name__ == "__main__":
    main()
