"""Set-ups as other people write them: the cause of each wrong one is named first, and no sound one is reported."""

import warnings

import pytest
import torch

from polylogit.misuse import MisuseWarning

from .set_ups import (  # noqa: F401 - imported for the set-ups that they register
    sound_loops,
    sound_losses,
    sound_models,
    sound_networks,
    sound_own_losses,
    sound_pairs,
    sound_sequences,
    sound_tuning,
    wrong_data,
    wrong_loops,
    wrong_networks,
    wrong_scores,
)
from .set_ups.base import SOUND, WRONG


def run(set_up):
    """The findings of a set-up, and the other warnings that it gives."""
    with torch.random.fork_rng(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("always", MisuseWarning)
        torch.manual_seed(0)
        findings = set_up()
    codes = set(findings.codes)
    return findings, [str(w.message) for w in caught if not any(f": {code}: " in str(w.message) for code in codes)]


def test_there_are_enough_of_them():
    assert len(WRONG) == 89
    assert len(SOUND) == 124


@pytest.mark.parametrize("name", WRONG)
def test_the_cause_of_a_wrong_set_up_is_named(name):
    set_up, codes = WRONG[name]
    findings, _ = run(set_up)
    assert findings, f"nothing was found, where {codes} was expected"
    assert findings[0].code in codes, str(findings)


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_set_up_gives_no_finding(name):
    findings, others = run(SOUND[name])
    assert not findings, str(findings)
    assert not others
