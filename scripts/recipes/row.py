"""What a row of results is: its title, its aim, the config that trains it, and the evaluations of its run."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Work:
    """An evaluation of a row's run: a label, words for sbvi-evaluate, its picture among the run's
    evaluations, what the picture shows, and the kind of its file; picture: None where one number is all there is."""

    label: str
    words: tuple[str, ...]
    picture: str | None
    caption: str
    suffix: str = "png"


@dataclass(frozen=True)
class Aim:
    """nll: the greatest test negative log-likelihood wanted on two CPU cores, nats; minutes: of training there, where
    they are limited. accelerator: the greatest one wanted with an accelerator, by default the same."""

    nll: float
    accelerator: float | None = None
    minutes: int | None = None


@dataclass(frozen=True)
class Row:
    """experiment: the config that trains it, by default the row's own; words: what it is told beside.
    start: the row whose best parameters of the same seed its training starts from. members: how many runs, of this
    seed and the next ones, its works average over. of: the row that has the run and the works, where it is another's.
    work: the evaluation that holds `metric`, by default the final test. paper: the published value of it, nats;
    aim: what is wanted here.
    files: what must be at hand and may not be.
    beside: a file of docs/circuits, whose `says` is to be read with it."""

    title: str
    table: str
    paper: float | None = None
    aim: Aim | None = None
    experiment: str | None = None
    words: tuple[str, ...] = ()
    start: str | None = None
    members: int = 1
    of: str | None = None
    work: str | None = None
    works: tuple[Work, ...] = ()
    files: str = ""
    beside: str = ""
    metric: str = "test/nll"
