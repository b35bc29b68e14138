"""Training loops written for comparison: the same network, data and arithmetic as experiment=benchmark.

Encoder 784-200-200-(50, 50), decoder 50-200-200-784, tanh, Bernoulli, Adam 1e-3, analytic KL, images
drawn anew at each use. Each function takes (images uint8 (N, 784), batch, samples) and returns a
function that trains a number of steps from where it stands and waits for them to end.
"""

import itertools
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

HIDDEN, LATENT, PIXELS, RATE = 200, 50, 784, 1e-3
ENCODER = [(PIXELS, HIDDEN), (HIDDEN, HIDDEN), (HIDDEN, 2 * LATENT)]
DECODER = [(LATENT, HIDDEN), (HIDDEN, HIDDEN), (HIDDEN, PIXELS)]


def chunk_length(samples):
    """Steps that a scanned loop takes in one call: a second's worth or so, which hides the call."""
    return 250 if samples == 1 else 50


def initial(seed=0):
    """Glorot-uniform weights and zero biases, as NumPy arrays."""
    generator = np.random.default_rng(seed)

    def layer(inputs, outputs):
        limit = np.sqrt(6 / (inputs + outputs))
        return generator.uniform(-limit, limit, (inputs, outputs)).astype(np.float32), np.zeros(outputs, np.float32)

    return [layer(*sizes) for sizes in ENCODER], [layer(*sizes) for sizes in DECODER]


def permutations(count, batch, seed=0):
    """Rows of indices without end, (batch,) each."""
    generator = np.random.default_rng(seed)
    while True:
        order = generator.permutation(count).astype(np.int32)
        yield from order[: count // batch * batch].reshape(-1, batch)


def apply(layers, x):
    for weights, bias in layers[:-1]:
        x = jnp.tanh(x @ weights + bias)
    weights, bias = layers[-1]
    return x @ weights + bias


def loss(params, key, x, samples):
    """Negative ELBO, mean over the batch."""
    mean, log_scale = jnp.split(apply(params[0], x), 2, -1)
    noise = jax.random.normal(key, (samples, *mean.shape))
    logits = apply(params[1], mean + jnp.exp(log_scale) * noise)
    fit = x * logits - jnp.where(logits >= 0, logits, 0.0) - jnp.log1p(jnp.exp(-jnp.abs(logits)))
    kl = 0.5 * jnp.sum(mean**2 + jnp.exp(2 * log_scale) - 1 - 2 * log_scale, -1)
    return jnp.mean(kl) - jnp.sum(fit) / (samples * x.shape[0])


def binarize(key, pixels):
    """Bernoulli draws with means pixel / 255: 16 random bits each, two pixels a word."""
    words = jax.random.bits(key, (pixels.size // 2,), jnp.uint32)
    random = jnp.concatenate([words & 0xFFFF, words >> 16]).reshape(pixels.shape)
    p = pixels.astype(jnp.uint32)
    return (random < p * 257 + (p > 127)).astype(jnp.float32)


def bare_scan(images, batch, samples):
    """The same mathematics in a plain `lax.scan`, data on the device: as fast as hand-written JAX gets."""
    params = jax.tree.map(jnp.asarray, initial())
    optimizer = optax.adam(RATE)
    data = jnp.asarray(images)

    @jax.jit
    def chunk(carry, key, index):
        def step(carry, row):
            params, state = carry
            number, index = row
            first, second = jax.random.split(jax.random.fold_in(key, number))
            x = binarize(first, data[index])
            value, grads = jax.value_and_grad(loss)(params, second, x, samples)
            updates, state = optimizer.update(grads, state)
            return (optax.apply_updates(params, updates), state), value

        return jax.lax.scan(step, carry, (jnp.arange(len(index)), index))

    rows, length = permutations(len(images), batch), chunk_length(samples)
    state = {"carry": (params, optimizer.init(params)), "chunks": 0}

    def run(steps):
        for _ in range(steps // length):
            index = np.stack(list(itertools.islice(rows, length)))
            key = jax.random.key(state["chunks"])
            state["carry"], values = chunk(state["carry"], key, index)
            state["chunks"] += 1
            assert np.isfinite(float(values.mean()))

    return run


def flax_steps(images, batch, samples):
    """Flax modules and one jitted step for each batch, which the host gathers: the usual example code."""
    from flax import nnx

    class Net(nnx.Module):
        def __init__(self, sizes, rngs):
            self.layers = nnx.List([nnx.Linear(*size, rngs=rngs) for size in sizes])

        def __call__(self, x):
            for layer in self.layers[:-1]:
                x = jnp.tanh(layer(x))
            return self.layers[-1](x)

    class VAE(nnx.Module):
        def __init__(self, rngs):
            self.encoder, self.decoder = Net(ENCODER, rngs), Net(DECODER, rngs)

    graph, params = nnx.split(VAE(nnx.Rngs(0)))
    optimizer = optax.adam(RATE)

    def value(params, key, x):
        model = nnx.merge(graph, params)
        mean, log_scale = jnp.split(model.encoder(x), 2, -1)
        z = mean + jnp.exp(log_scale) * jax.random.normal(key, (samples, *mean.shape))
        fit = -jnp.sum(optax.sigmoid_binary_cross_entropy(model.decoder(z), x), -1)
        kl = 0.5 * jnp.sum(mean**2 + jnp.exp(2 * log_scale) - 1 - 2 * log_scale, -1)
        return jnp.mean(kl) - jnp.mean(fit)

    @jax.jit
    def step(params, state, key, pixels):
        first, second = jax.random.split(key)
        x = jax.random.bernoulli(first, pixels.astype(jnp.float32) / 255).astype(jnp.float32)
        negative_elbo, grads = jax.value_and_grad(value)(params, second, x)
        updates, state = optimizer.update(grads, state)
        return optax.apply_updates(params, updates), state, negative_elbo

    rows = permutations(len(images), batch)
    held = {"params": params, "state": optimizer.init(params), "key": jax.random.key(0)}

    def run(steps):
        for _ in range(steps):
            held["key"], key = jax.random.split(held["key"])
            held["params"], held["state"], negative_elbo = step(held["params"], held["state"], key, images[next(rows)])
        assert np.isfinite(float(negative_elbo))

    return run


def numpyro_svi(images, batch, samples):
    """NumPyro's SVI with the data on the device and a chunk of updates in one `fori_loop`."""
    import numpyro
    import numpyro.distributions as dist
    from numpyro.infer import SVI, TraceMeanField_ELBO

    start = jax.tree.map(jnp.asarray, initial())

    def model(x):
        decoder = numpyro.param("decoder", start[1])
        with numpyro.plate("batch", batch):
            z = numpyro.sample("z", dist.Normal(jnp.zeros(LATENT), 1.0).to_event(1))
            numpyro.sample("x", dist.Bernoulli(logits=apply(decoder, z)).to_event(1), obs=x)

    def guide(x):
        encoder = numpyro.param("encoder", start[0])
        mean, log_scale = jnp.split(apply(encoder, x), 2, -1)
        with numpyro.plate("batch", batch):
            numpyro.sample("z", dist.Normal(mean, jnp.exp(log_scale)).to_event(1))

    svi = SVI(model, guide, numpyro.optim.Adam(RATE), TraceMeanField_ELBO(num_particles=samples))
    data = jnp.asarray(images)

    @jax.jit
    def chunk(state, key, index):
        def body(position, carry):
            state, total = carry
            x = binarize(jax.random.fold_in(key, position), data[index[position]])
            state, value = svi.update(state, x)
            return state, total + value

        return jax.lax.fori_loop(0, len(index), body, (state, 0.0))

    rows, length = permutations(len(images), batch), chunk_length(samples)
    held = {"state": svi.init(jax.random.key(0), jnp.zeros((batch, PIXELS))), "chunks": 0}

    def run(steps):
        for _ in range(steps // length):
            index = np.stack(list(itertools.islice(rows, length)))
            held["state"], total = chunk(held["state"], jax.random.key(held["chunks"]), index)
            held["chunks"] += 1
            assert np.isfinite(float(total))

    return run


def torch_eager(images, batch, samples):
    """PyTorch without compilation, fused Adam."""
    import torch

    def net(sizes):
        layers = [layer for size in sizes for layer in (torch.nn.Linear(*size), torch.nn.Tanh())]
        return torch.nn.Sequential(*layers[:-1])

    encoder, decoder = net(ENCODER), net(DECODER)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=RATE, fused=True)
    data = torch.from_numpy(images.astype(np.float32) / 255)
    rows = permutations(len(images), batch)

    def run(steps):
        for _ in range(steps):
            x = torch.bernoulli(data[torch.from_numpy(next(rows))])
            mean, log_scale = encoder(x).chunk(2, -1)
            z = mean + torch.exp(log_scale) * torch.randn(samples, *mean.shape)
            logits = decoder(z)
            fit = -torch.nn.functional.binary_cross_entropy_with_logits(
                logits, x.expand(samples, -1, -1), reduction="sum"
            )
            kl = 0.5 * (mean**2 + torch.exp(2 * log_scale) - 1 - 2 * log_scale).sum(-1).mean()
            value = kl - fit / (samples * batch)
            optimizer.zero_grad(set_to_none=True)
            value.backward()
            optimizer.step()
        assert np.isfinite(float(value.detach()))

    return run


LOOPS = {
    "NumPyro SVI": ("numpyro", numpyro_svi),
    "flax, jitted per step": ("flax", flax_steps),
    "PyTorch, fused Adam": ("torch", torch_eager),
    "bare JAX scan": ("jax", bare_scan),
}


def products(batch, samples, latents=LATENT, head=2):
    """(rows, inner, columns) of every matrix product of a step: forward, weights' and inputs' gradients.

    head: outputs of the recognition model for each latent.
    """
    shapes = []
    encoder = [*ENCODER[:-1], (HIDDEN, head * latents)]
    decoder = [(latents, HIDDEN), *DECODER[1:]]
    for sizes, rows, first in ((encoder, batch, True), (decoder, batch * samples, False)):
        for position, (inputs, outputs) in enumerate(sizes):
            shapes += [(rows, inputs, outputs), (inputs, rows, outputs)]
            if not (first and position == 0):  # the data needs no gradient
                shapes.append((rows, outputs, inputs))
    return shapes


def chain_products(rows, sizes, data):
    """The same for affine layers of these sizes, one after the other; data: whether they begin at the data."""
    shapes = []
    for position, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        shapes += [(rows, inputs, outputs), (inputs, rows, outputs)]
        if position or not data:
            shapes.append((rows, outputs, inputs))
    return shapes


def default_point_seconds(pixels, batch, steps, scored, latents=200, hidden=(200, 200)):
    """Seconds of the matrix products of one run of the default model: `steps` steps, and the test's `scored` samples
    through the generative model, 2,000 at once."""
    writes = [latents, latents, *hidden, pixels]  # the noise's matrix, then the map to the data
    step = chain_products(batch, [pixels, *hidden, 2 * latents], True) + chain_products(batch, writes, False)
    test = [(2000, inputs, outputs) for inputs, outputs in itertools.pairwise(writes)]
    return steps * product_seconds(step) + scored / 2000 * product_seconds(test)


def product_seconds(shapes):
    """Seconds of matrix products (rows, inner, columns), each at the best rate of ten trials."""
    total = 0.0
    for rows, inner, columns in shapes:
        a, b = jnp.ones((rows, inner)), jnp.ones((inner, columns))
        product = jax.jit(jnp.matmul)
        jax.block_until_ready(product(a, b))
        times = []
        for _ in range(10):
            began = time.perf_counter()
            for _ in range(10):
                last = product(a, b)
            jax.block_until_ready(last)
            times.append((time.perf_counter() - began) / 10)
        total += min(times)
    return total


def divided_products(devices, batch, steps=50):
    """Examples a second of a step's matrix products in one program, each device with its rows; nothing is summed."""
    shapes = products(batch // devices, 1)

    def local(start):
        pairs = [(jnp.ones((rows, inner)), jnp.ones((inner, columns))) for rows, inner, columns in shapes]

        def step(_, moved):
            for a, b in pairs:
                a, b, moved = jax.lax.optimization_barrier((a, b, moved))  # nothing is known of them beforehand
                moved += 1e-20 * jax.lax.optimization_barrier(jnp.matmul(a, b))[0, 0]
            return moved

        return jax.lax.fori_loop(0, steps, step, start[0])[None]

    mesh = jax.sharding.Mesh(np.array(jax.devices()[:devices]), ("data",))
    rows = jax.sharding.PartitionSpec("data")
    run = jax.jit(jax.shard_map(local, mesh=mesh, in_specs=rows, out_specs=rows, check_vma=False))
    start = jnp.zeros(devices)
    jax.block_until_ready(run(start))
    times = []
    for _ in range(3):
        began = time.perf_counter()
        jax.block_until_ready(run(start))
        times.append(time.perf_counter() - began)
    return steps * batch / min(times)


def divided_costs(devices, steps=50):
    """Seconds a step of what dividing a batch adds: summing gradients over devices, and Adam on each of them."""
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:devices]), ("data",))
    each = jax.sharding.PartitionSpec("data")
    params = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (devices, *leaf.shape)), initial())
    params = jax.device_put(params, jax.sharding.NamedSharding(mesh, each))
    transform = optax.adam(RATE)

    def exchange(_, tree):
        return jax.tree.map(lambda total: total / devices, jax.lax.psum(tree, "data"))

    def update(_, carry):
        tree, state = carry
        updates, state = transform.update(tree, state)
        return optax.apply_updates(tree, updates), state

    def seconds(local):
        run = jax.jit(jax.shard_map(local, mesh=mesh, in_specs=each, out_specs=each, check_vma=False))
        jax.block_until_ready(run(params))
        times = []
        for _ in range(5):
            began = time.perf_counter()
            jax.block_until_ready(run(params))
            times.append((time.perf_counter() - began) / steps)
        return float(np.median(times))

    return {
        "exchange": seconds(lambda tree: jax.lax.fori_loop(0, steps, exchange, tree)),
        "update": seconds(lambda tree: jax.lax.fori_loop(0, steps, update, (tree, transform.init(tree)))[0]),
    }
