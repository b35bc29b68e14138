"""Data drawn from a deep latent Gaussian model with known parameters.

v = W f(A xi + a) + b, or v = W xi + b without a hidden layer, with xi ~ N(0, I); then either Gaussian
noise of known scale or Bernoulli draws from the logits v. Gaussian noise without a hidden layer is
factor analysis, and its likelihood is exact: log p(x) = log N(x | b, W W^T + noise^2 I).
"""

from typing import Literal

import numpy as np

from sbvi.core import NonNegativeInt, NumPySeed, Positive, PositiveInt, spec
from sbvi.core.memory import require
from sbvi.data.binarization import Binarization
from sbvi.data.dataset import Dataset, Split
from sbvi.data.preprocessing import Preprocessing
from sbvi.data.streaming import Streamed


@spec
class Synthetic(Streamed):
    """Draws from a model with known parameters, for tests and for checking estimators."""

    binarization: Binarization = "auto"
    """Has no effect on Gaussian observations; Bernoulli ones are binary already."""
    observation: Literal["bernoulli", "gaussian"] = "bernoulli"
    """Distribution of the data given the latents."""
    latents: PositiveInt = 4
    """Number of latents of the true model."""
    dimensions: PositiveInt = 32
    """Number of observed dimensions."""
    hidden: NonNegativeInt = 0
    """Units of a tanh layer between them; 0 makes the map linear."""
    noise: Positive = 0.5
    """Standard deviation of Gaussian observations."""
    train_size: PositiveInt = 2000
    """Training examples."""
    validation_size: PositiveInt = 500
    """Validation examples."""
    test_size: PositiveInt = 500
    """Test examples."""
    split_seed: NumPySeed = 0
    """Seed of the parameters and of every draw."""

    def parameters(self) -> dict[str, np.ndarray]:
        """The true parameters: W (D, H or K), b (D,) and, with a hidden layer, A (H, K), a (H,)."""
        generator = np.random.default_rng([self.split_seed, 1])
        width = self.hidden or self.latents
        parameters = {
            "W": generator.normal(size=(self.dimensions, width)) * 2 / np.sqrt(width),
            "b": generator.normal(size=self.dimensions) * 0.5,
        }
        if self.hidden:
            parameters["A"] = generator.normal(size=(self.hidden, self.latents)) * 1.5
            parameters["a"] = generator.normal(size=self.hidden) * 0.5
        return parameters

    @property
    def likelihood(self) -> str:
        return self.observation

    def load(self) -> Dataset:
        generator = np.random.default_rng([self.split_seed, 2])
        sizes = (self.train_size, self.validation_size, self.test_size)
        width = self.dimensions + self.latents + self.hidden
        weights = self.dimensions * (self.hidden or self.latents) + self.hidden * self.latents
        require(8 * (width * max(sizes) + weights), f"dataset=synthetic with {sum(sizes)} examples")
        train, validation, test = (Split(self._draw(generator, size)) for size in sizes)
        linear = not self.hidden and self.observation == "gaussian"
        binary = self.observation == "bernoulli"
        return Dataset(
            "synthetic",
            train,
            validation,
            test,
            Preprocessing.whole((self.dimensions,), 1) if binary else Preprocessing.real((self.dimensions,)),
            exact_log_likelihood=self.exact_log_likelihood if linear else None,
        )

    def _draw(self, generator: np.random.Generator, size: int) -> np.ndarray:
        true = self.parameters()
        h = generator.normal(size=(size, self.latents))
        if self.hidden:
            h = np.tanh(h @ true["A"].T + true["a"])
        v = h @ true["W"].T + true["b"]
        if self.observation == "gaussian":
            return (v + self.noise * generator.normal(size=v.shape)).astype(np.float32)
        return (generator.random(v.shape) < 1 / (1 + np.exp(-v))).astype(np.uint8)

    def exact_log_likelihood(self, x: np.ndarray) -> np.ndarray:
        """log N(x | b, W W^T + noise^2 I) in nats, shape (N,), for the linear Gaussian case."""
        true = self.parameters()
        covariance = true["W"] @ true["W"].T + self.noise**2 * np.eye(self.dimensions)
        factor = np.linalg.cholesky(covariance)
        white = np.linalg.solve(factor, (x.astype(np.float64) - true["b"]).T)
        constant = np.log(np.diag(factor)).sum() + 0.5 * self.dimensions * np.log(2 * np.pi)
        return -0.5 * (white**2).sum(0) - constant
