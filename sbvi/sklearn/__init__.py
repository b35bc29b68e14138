"""Tables with gaps for scikit-learn: `Imputer` beside its own imputers, and `DensityEstimator`.

    from sbvi.sklearn import Imputer
    filled = Imputer().fit_transform(frame)

Both train a deep latent Gaussian model on the entries that are there (MIWAE, Mattei and Frellsen 2019), with a law for
each column, and take arrays of numbers or pandas frames with columns of every kind.
"""

from sbvi.sklearn.density import DensityEstimator
from sbvi.sklearn.imputer import Imputer

__all__ = ["DensityEstimator", "Imputer"]
