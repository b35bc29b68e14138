"""Evaluations that rows share: what sbvi-evaluate is told, and what its picture shows."""

from recipes.row import Work


def samples(what: str) -> Work:
    return Work("samples", ("task=samples",), "samples", f"{what}: means of 100 samples")


def labels(what: str) -> Work:
    return Work("classification", ("task=classification",), "classification", f"{what}: labels by guesses")


def imputation(what: str, name: str, *words: str, shown: str, iterations: int = 400, examples: int = 24) -> Work:
    length = (f"task.iterations={iterations}", f"task.warmup={iterations // 4}")
    words = ("task=imputation", *length, f"task.examples={examples}", *words)
    return Work(name, words, "imputation-test", f"{what}, {shown}: truth, what is left, and the chain")


def three_imputations(what: str, iterations: int = 400) -> tuple[Work, ...]:
    """iterations: of chains, as many as it takes them to meet."""
    places = {
        "missing60": (("task.fraction=0.6",), "60 % missing at random"),
        "missing80": (("task.fraction=0.8",), "80 % missing at random"),
        "square": (("task.missing=square", "task.fraction=0.2"), "a square missing"),
    }
    return tuple(
        imputation(what, name, *words, shown=shown, iterations=iterations) for name, (words, shown) in places.items()
    )


POSTERIOR = Work(
    "posterior",
    ("task=posterior", "task.examples=200", "task.drawn=4"),
    "posterior-test",
    "four of 200 test digits: image, the plane, and the closer look",
)


def likelihood(label: str, said: str, draws: tuple[int, ...], *words: str) -> Work:
    """By the number of draws or runs; the numbers of all that are compared have as many samples of each image."""
    counts = ",".join(str(count) for count in draws)
    words = ("task=likelihood", f"task.draws=[{counts}]", *words)
    curve = "likelihood-test-draws" if len(draws) > 1 else None
    return Work(label, words, curve, f"{said}, by the number of {'runs' if label == 'ensemble' else 'draws'}")


def lower_half(*words: str) -> Work:
    length = ("task.iterations=400", "task.warmup=100")
    told = ("task=imputation", "task.missing=lower_half", *length, *words)
    return Work("lower_half", told, "imputation-test", "the lower half missing: truth, what is left, and the chain")


#: Draws of p*, on their way too.
GEOMETRIC = (
    Work("samples", ("task=samples", "task.method=resampling"), "samples", "100 draws of p* by resampling"),
    Work(
        "gibbs",
        ("task=samples", "task.method=gibbs", "task.iterations=250", "task.frames=50", "task.num=25", "task.columns=5"),
        "samples",
        "Gibbs chains on p*, 250 sweeps from draws of p, every fifth",
        suffix="gif",
    ),
)
CHAIN = Work("chain", ("task=chain",), "chain", "the chain's traces")
