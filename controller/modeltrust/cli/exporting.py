"""Exports of an evaluation as files: each a DSSE envelope under a key of their own."""

from dataclasses import dataclass, field
from pathlib import Path

from modeltrust.attestation import envelope, exports
from modeltrust.cli import files
from modeltrust.domain.errors import InvalidInputError
from modeltrust.verification.attest import Key, load_attestor_key

_KEY_BYTES = 65_536
_RESULT, _BEHAVIOUR = "test-result.dsse.json", "behaviour.dsse.json"


@dataclass(frozen=True, slots=True)
class Exporter:
    """Where exports go and what signs them; read before anything is asked, so that a wrong key costs no run.

    Attributes:
        folder: takes both files.
        key: of exports.
    """

    folder: Path
    key: Key = field(repr=False)

    @classmethod
    def of(cls, folder: Path | None, key: Path | None) -> "Exporter | None":
        """What the options say; None where they say nothing.

        Raises:
            InvalidInputError: one without the other, no folder, or no usable key.
        """
        if folder is None and key is None:
            return None
        if folder is None or key is None:
            raise InvalidInputError("got one of --export DIR and --export-key FILE, expected both or neither")
        pem = files.read_file(key, max_bytes=_KEY_BYTES, what="a private key")
        return cls(files.folder(str(folder)), load_attestor_key(pem))

    def write(self, evaluated: exports.Evaluated) -> None:
        """Write both; of something inconclusive the behaviour alone, and no test-result of an earlier run stays beside it.

        Raises:
            InvalidInputError: a file cannot be written.
        """
        result = exports.result(evaluated)
        if result is None:
            (self.folder / _RESULT).unlink(missing_ok=True)
        else:
            files.write_atomically(self.folder / _RESULT, envelope.sign(result, self.key))
        files.write_atomically(self.folder / _BEHAVIOUR, envelope.sign(exports.behaviour(evaluated), self.key))
