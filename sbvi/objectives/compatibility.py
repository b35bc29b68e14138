"""What an objective and a model cannot be asked for together."""

from sbvi.core import UserError
from sbvi.models.spec import ModelSpec


def without_labels(model: ModelSpec, who: str) -> None:
    """Refuse a model with a class for every label where no label is looked at: its classes would be parts of the data
    in any order, and p(label | x) of no meaning.

    Raises:
      UserError: what looks at labels.
    """
    if model.labelled:
        raise UserError(
            f"{who} does not look at labels, for which model.labels=true makes classes; allowed: "
            f"objective=conditional_likelihood, objective=hybrid (of weight 0: log p of data and label together)."
        )


def check_latent_noise(estimator: str, latent_noise: float) -> None:
    """Refuse noise on the samples of an estimator without the score of q.

    The score's mean is zero over draws from q, and what the doubly reparameterised estimator puts in its place is
    exact for them. Noise moves samples off q, and both gradients are then biased.

    Raises:
      UserError: latent_noise > 0, and the estimator drops the score.
    """
    if latent_noise and estimator != "standard":
        raise UserError(
            f"model.latent_noise={latent_noise} moves samples off q, for whose own draws alone "
            f"objective.estimator={estimator} is right; allowed: model.latent_noise=0, or objective.estimator=standard."
        )
