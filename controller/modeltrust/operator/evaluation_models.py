"""What an evaluation needs to know of the cluster: suites, prompts, sources, and what is attested."""

import base64
import binascii
from collections.abc import Callable
from functools import lru_cache

from modeltrust.api.compile import compile_suite
from modeltrust.api.compile.suites import SuiteSettings
from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidInputError, NotFoundError, UnavailableError, quote
from modeltrust.domain.evidence import Statement
from modeltrust.domain.facts import Known
from modeltrust.domain.reference import Identity
from modeltrust.domain.work import SourceAccess
from modeltrust.evaluation.bank import Bank, with_private
from modeltrust.kube import paths
from modeltrust.operator.sources import Sources, access, missing_secret
from modeltrust.operator.writes import Writes
from modeltrust.store.store import Store
from modeltrust.wiring.bank import load_bank

_PROMPTS = "prompts.json"


class EvaluatedModels:
    """Reads; keeps nothing but the public bank."""

    def __init__(self, api: Writes, *, namespace: str, sources: Sources, store: Store, now: Callable[[], int]) -> None:
        """Join the parts.

        Args:
            api: of the cluster.
            namespace: of the release, where Secrets are.
            sources: where models may be looked up.
            store: statements.
            now: unix seconds.
        """
        self._api = api
        self._namespace = namespace
        self._sources = sources
        self._store = store
        self._now = now

    def suite(self, name: str) -> SuiteSettings | None:
        """A compiled EvaluationSuite; None where there is none, or none that can be used."""
        try:
            return compile_suite(self._api.get_object(paths.ours("evaluationsuites", name)))
        except (NotFoundError, InvalidInputError):
            return None

    def bank(self, settings: SuiteSettings) -> Bank:
        """The public bank, with the operator's prompts where the suite names them.

        Raises:
            UnavailableError: their Secret is not there.
            MalformedError: it holds something else; repeats none of it.
        """
        public = _bank()
        return with_private(public, self.prompts(settings.private)) if settings.private else public

    def prompts(self, secret: str) -> bytes:
        """The operator's prompts.

        Raises:
            UnavailableError: there is no such Secret, or no prompts.json in it.
        """
        try:
            found = self._api.get_object(paths.core("secrets", secret, namespace=self._namespace))
            data = (found.get("data") or {})[_PROMPTS]
            return base64.b64decode(data, validate=True)[: limits.EVALUATION_PRIVATE_BYTES + 1]
        except (NotFoundError, KeyError, binascii.Error, TypeError) as error:
            raise UnavailableError(f"the Secret {quote(secret)} holds no {_PROMPTS}, or is not there") from error

    def access(self, model: Identity) -> SourceAccess:
        """How a model may be read.

        Raises:
            UntrustedError: no ModelSource covers it, or its Secret is missing.
        """
        source = self._sources.covering(model.reference.text)
        if not source.secret:
            return access(source, None)
        try:
            return access(source, self._api.get_object(paths.core("secrets", source.secret, namespace=self._namespace)))
        except NotFoundError as error:
            raise missing_secret(source) from error

    def statement(self, model: Identity) -> Statement | None:
        """The current statement about a model; None where there is none that verifies."""
        fact = self._store.statements.look_up(model, self._now())
        if isinstance(fact, Known) and isinstance(fact.value, Statement) and self._now() < fact.value.expires_at:
            return fact.value
        return None


@lru_cache(maxsize=1)
def _bank() -> Bank:
    return load_bank()
