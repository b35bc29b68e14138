"""The twenty binary sets: against independently computed likelihoods of two simple models."""

import numpy as np
import pytest
from support.paths import needs_data

from sbvi.core import UserError, make
from sbvi.data import DATASETS
from sbvi.models.circuit import chow_liu

#: Mean test log-likelihood in nats: independent Bernoullis with p = (n + 1) / (N + 2), and a Chow-Liu tree with one
#: added to each of the four counts of two variables.
VALUES = {
    "nltcs": (-9.234, -6.7590),
    "msnbc": (-6.770, -6.5401),
    "kdd": (-2.446, -2.2949),
    "plants": (-31.266, -16.5240),
    "baudio": (-49.337, -44.3749),
    "jester": (-63.883, -58.2265),
    "bnetflix": (-64.561, -60.2503),
    "accidents": (-45.560, -33.1881),
    "tretail": (-11.422, -10.9465),
    "pumsb_star": (-75.862, -30.8070),
    "dna": (-100.386, -87.7348),
    "kosarek": (-13.329, -11.4901),
    "msweb": (-11.359, -10.1925),
    "book": (-41.121, -37.8315),
    "tmovie": (-83.607, -64.7831),
    "cwebkb": (-179.982, -163.4712),
    "cr52": (-108.116, -94.4346),
    "c20ng": (-172.389, -164.1167),
    "bbc": (-277.101, -261.8563),
    "ad": (-63.817, -16.8886),
}


def tree_log_likelihood(train, test):
    """Mean log-likelihood of test rows under the tree, in float64."""
    counts = chow_liu.pair_counts(train, 2)
    parent, both = chow_liu.tree(chow_liu.mutual_information(counts)), chow_liu.joint(counts)
    total = np.zeros(len(test))
    for node, above in enumerate(parent):
        if above < 0:
            table = np.repeat(both[node, :, (node + 1) % len(parent)].sum(1)[:, None], 2, 1)
            above = node
        else:
            table = both[node, :, above]
            table = table / table.sum(0)
        total += np.log(table)[test[:, node], test[:, above]]
    return total.mean()


@needs_data
@pytest.mark.parametrize("name", VALUES)
def test_simple_models_have_their_published_likelihoods(name):
    dataset = DATASETS["debd"](set=name).load()
    assert dataset.binary
    train, test = dataset.train.x, dataset.test.x
    p = (train.sum(0) + 1) / (len(train) + 2)
    independent = (test * np.log(p) + (1 - test) * np.log1p(-p)).sum(1).mean()
    assert independent == pytest.approx(VALUES[name][0], abs=1e-3)
    assert tree_log_likelihood(train, test) == pytest.approx(VALUES[name][1], abs=1e-3)


def test_an_unknown_set_is_refused():
    with pytest.raises(UserError, match=r"dataset\.set"):
        make(DATASETS["debd"], {"set": "nothing"}, "dataset")
