"""Doubly stochastic gradient MCMC (Du, Zhu & Zhang 2016): draws from the posterior of the generative parameters.

The latents are integrated out (`sbvi.algorithms.nais`), so that of N training examples with B in a mini-batch the
gradient of the log posterior is estimated by

    grad log p0(theta) + N / B sum_{v in the mini-batch} sum_k w_k grad log p(v, xi_k)

with p0 the prior on parameters; a posterior temperature T other than 1 divides it all, for draws from the posterior's
1/T-th power. A kernel of `sbvi.inference.sgmcmc` moves theta along it; the recognition model follows
by an Optax optimiser, from the same samples. A step of the loop is one mini-batch with `repetitions` such moves.
Several chains see the same mini-batches from different starts, with noise and samples of their own.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.algorithms.algorithm import Algorithm, Array, Hyper, Info
from sbvi.algorithms.ascent import Ascent, State, typed
from sbvi.algorithms.gradient_ascent import objective_scores
from sbvi.algorithms.nais import generative_gradient, gradients
from sbvi.algorithms.posterior_samples import Draw, Stopped
from sbvi.algorithms.proposal_tuning import ProposalTuning, negative
from sbvi.core.xla import for_cpu
from sbvi.core.xla.finite import all_finite
from sbvi.data import Batch
from sbvi.inference.sgmcmc import Kernel
from sbvi.inference.sgmcmc.priors import ParameterPrior
from sbvi.models.rollout import Noise
from sbvi.models.values import WEIGHT_PRIORS, DataSummary, LatentParams, generative_part
from sbvi.objectives import ImportanceWeighted

REASON = "its bound or its parameters were not finite"
SEEDS = 2**31 - 1  # a prime


class Chains(NamedTuple):
    """kernel: the kernel's state, its position all parameters but the recognition model's; proposal: the recognition
    model's, with their optimiser; bound: of the last mini-batch, nats; stopped: the step at which a chain stopped, or
    -1; steps taken. Every leaf has the chains first."""

    kernel: Any
    proposal: State
    bound: Array
    stopped: Array
    steps: Array


class SGMCMC:
    """settings: an `SGMCMCSpec`, whose open choices are made. examples: N."""

    monitor = "bound"

    def __init__(self, model: Any, settings: Any, kernel: Kernel, prior: ParameterPrior, examples: int):
        self.model, self.settings, self.examples = model, settings, examples
        self.kernel, self.prior = kernel, prior
        self.proposal = Ascent(model, settings.optimizer, examples)
        self._monitored: Any = None

    # States.

    def init(self, seed: int, summary: DataSummary) -> Chains:
        seeds = [(seed + 1_000_003 * chain) % SEEDS for chain in range(self.settings.chains)]
        return self._started([self.model.init(own, summary) for own in seeds], seed)

    def with_params(self, state: Chains | None, params: LatentParams) -> Chains:
        """All chains from one point, each with the momenta that the seed gave its own in `state`; without a state, with
        those of seed 0."""
        started = self._started([params] * self.settings.chains, 0)
        if state is None:
            return started
        return started._replace(kernel=state.kernel._replace(position=started.kernel.position))

    def _started(self, params: list[LatentParams], seed: int) -> Chains:
        size = self.step_size(np.ones(1))[0]

        @jax.jit  # one program in place of one for each shape
        def begun(position: LatentParams, key: Array) -> Any:
            return self.kernel.init(key, position, jnp.asarray(size, jnp.float32))

        states = []
        for chain, own in enumerate(params):
            key = jax.random.fold_in(jax.random.key(seed), chain)
            kernel = begun(generative_part(own), key)
            zero, bound = jnp.zeros((), jnp.int32), jnp.zeros((), jax.tree.leaves(own.generative)[0].dtype)
            states.append(Chains(kernel, self.proposal.fresh(own.recognition), bound, zero - 1, zero))
        stacked: Chains = jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)
        return stacked

    def _params(self, chain: Chains, recognition: Any) -> LatentParams:
        params: LatentParams = chain.kernel.position._replace(recognition=recognition)
        return params

    def _alive(self, state: Chains) -> list[int]:
        return [chain for chain, step in enumerate(np.asarray(state.stopped)) if step < 0]

    def eval_params(self, state: Chains) -> LatentParams:
        """Those of the first chain that goes on."""
        return self._evaluated(state, next(iter(self._alive(state)), 0))

    def _evaluated(self, state: Chains, chain: int) -> LatentParams:
        one = _only(state, chain)
        return self._params(one, self.proposal.eval_params(one.proposal))

    # The step.

    def step_size(self, factor: np.ndarray) -> np.ndarray:
        """h: learning_rate / N is what multiplies the log posterior's gradient whatever the temperature, and with
        momenta h is the root of what multiplies the gradient of its 1/T-th power."""
        eta = self.settings.learning_rate * self.settings.posterior_temperature * factor / self.examples
        return np.asarray(np.sqrt(eta) if self.kernel.inertia else eta)

    def hypers(self, steps: np.ndarray, steps_per_epoch: float, total_steps: int) -> dict[str, np.ndarray]:
        hypers = self.proposal.hypers(steps, steps_per_epoch, total_steps)
        factor = self.settings.schedule.at(steps, steps_per_epoch, total_steps)
        hypers["step_size"] = self.step_size(factor).astype(np.float32)
        # The prior on parameters stands in the place of the model's weight prior.
        return {name: value for name, value in hypers.items() if name not in WEIGHT_PRIORS}

    def step(self, state: Chains, batch: Batch, key: Array, hyper: Hyper) -> tuple[Chains, Info]:
        hyper, noise = typed(hyper, batch.x.dtype)

        def one(chain: Chains, place: Array) -> tuple[Chains, dict[str, Array]]:
            return self._repeated(chain, jax.random.fold_in(key, place), batch.x, hyper, noise)

        if self.settings.chains == 1:  # what is not finite here ends the run, as of every algorithm
            after, scalars = one(_only(state, 0), jnp.zeros((), jnp.int32))
            return jax.tree.map(lambda leaf: leaf[None], after), Info(scalars)
        after, scalars = _side_by_side(one, state, jnp.arange(self.settings.chains, dtype=jnp.int32))
        good = jax.vmap(all_finite)((after.kernel, after.proposal, scalars["loss"]))
        alive = (state.stopped < 0) & good
        stopped = jnp.where((state.stopped < 0) & ~good, state.steps + 1, state.stopped)

        def kept(new: Array, old: Array) -> Array:
            return jnp.where(alive.reshape(-1, *(1,) * (new.ndim - 1)), new, old)

        count = jnp.sum(alive.astype(batch.x.dtype))  # of none the mean is not a number, which ends the run
        means = {
            name: jnp.sum(jnp.where(alive, value, jnp.zeros_like(value))) / count for name, value in scalars.items()
        }
        after = jax.tree.map(kept, after, state)._replace(stopped=stopped)
        return after, Info(means | {"chains": count})

    def _repeated(
        self, chain: Chains, key: Array, x: Array, hyper: Hyper, noise: Noise
    ) -> tuple[Chains, dict[str, Array]]:
        """The moves of one chain on one mini-batch; scalars are means over them."""
        times = self.settings.repetitions
        chain = chain._replace(steps=chain.steps + 1)
        if times == 1:
            return self._moved(chain, key, x, hyper, noise)

        def body(place: Array, carry: tuple[Chains, dict[str, Array]]) -> tuple[Chains, dict[str, Array]]:
            chain, sums = carry
            chain, scalars = self._moved(chain, jax.random.fold_in(key, place), x, hyper, noise)
            return chain, {name: sums[name] + value / times for name, value in scalars.items()}

        shapes = jax.eval_shape(lambda: self._moved(chain, key, x, hyper, noise)[1])
        zeros = {name: jnp.zeros(shape.shape, shape.dtype) for name, shape in shapes.items()}
        moved: tuple[Chains, dict[str, Array]] = jax.lax.fori_loop(0, times, body, (chain, zeros))
        return moved

    def _moved(
        self, chain: Chains, key: Array, x: Array, hyper: Hyper, noise: Noise
    ) -> tuple[Chains, dict[str, Array]]:
        """One move of the parameters, and one step of the recognition model."""
        sample_key, move_key = jax.random.split(key)
        count, h = self.settings.num_samples, hyper["step_size"]
        recognition = chain.proposal.params
        params = self._params(chain, recognition)
        s = self.settings
        grads = gradients(self.model, params, sample_key, x, count, s.proposal, noise, s.dreams)

        def posterior(position: Any, mean_gradient: Any) -> Any:
            prior, cold = self.prior.gradient(position), self.settings.posterior_temperature
            return jax.tree.map(lambda g, p: (self.examples * g + p) / cold, mean_gradient, prior)

        def again(position: Any, minibatch: tuple[Array, Array]) -> Any:
            own = position._replace(recognition=recognition)
            return posterior(position, generative_gradient(self.model, own, *minibatch, count, noise))

        if self.kernel.looks_ahead:
            kernel = self.kernel.step(move_key, chain.kernel, again, (sample_key, x), h)
        else:
            known = posterior(chain.kernel.position, grads.generative)
            kernel = self.kernel.step(move_key, chain.kernel, lambda _, given: given, known, h)
        proposal = self.proposal.update(chain.proposal, negative(grads.recognition), hyper)
        bound = grads.report["bound"]
        scalars = {"loss": -bound} | grads.report | self.kernel.monitors(kernel, h)
        return Chains(kernel, proposal, bound, chain.stopped, chain.steps), scalars

    # What is kept.

    def scores(self, params: Any, key: Array, batch: Batch) -> dict[str, Array]:
        objective = ImportanceWeighted(num_samples=self.settings.num_samples)
        return objective_scores(objective, self.model, params, key, batch)

    def keeps(self, score: float, best: float) -> bool:
        return score > best

    def burn_in(self, total_steps: int) -> int | None:
        return self.settings.burn_in

    def burned_in(self, step: int, total_steps: int, validations_since_best: int) -> bool:
        """Once validation has not risen for a while, and in the middle of the run at the latest."""
        return validations_since_best >= self.settings.burn_in_validations or 2 * step >= total_steps

    def thinning(self, steps_per_epoch: float) -> int:
        return self.settings.thinning or max(1, round(steps_per_epoch))

    def draws(self, state: Chains) -> list[Draw]:
        if self._monitored is None:
            h = self.step_size(np.ones(1))[0]

            def monitored(chain: Chains) -> dict[str, Array]:
                size = jnp.asarray(h, jax.tree.leaves(chain.kernel.position)[0].dtype)
                scalars = {"bound": chain.bound, "log_prior": self.prior.log_prob(chain.kernel.position)}
                return scalars | self.kernel.monitors(chain.kernel, size)

            self._monitored = jax.jit(jax.vmap(monitored))
        monitors = jax.device_get(self._monitored(state))
        return [
            Draw(chain, self._evaluated(state, chain), {name: float(value[chain]) for name, value in monitors.items()})
            for chain in self._alive(state)
        ]

    def stopped(self, state: Chains) -> list[Stopped]:
        steps = np.asarray(state.stopped)
        return [Stopped(chain, int(step), REASON) for chain, step in enumerate(steps) if step >= 0]

    def tuning(self) -> tuple[Algorithm, float]:
        s = self.settings
        tuner = ProposalTuning(self.model, s.num_samples, s.proposal, s.optimizer, self.examples, s.dreams)
        return tuner, s.tuning_epochs


def _side_by_side(one: Any, state: Chains, places: Array) -> Any:
    """A function of each chain and its place: batched, or on CPU, whose batched products are slow, in turn."""
    if for_cpu():
        return jax.lax.map(lambda given: one(*given), (state, places))
    return jax.vmap(one)(state, places)


def _only(state: Chains, chain: int) -> Chains:
    one: Chains = jax.tree.map(lambda leaf: leaf[chain], state)
    return one
