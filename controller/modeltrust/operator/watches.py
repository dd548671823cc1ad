"""What a suite watches: of each Service that it names what should answer there, what it is compared with, or why nothing is asked.

A suite names Services, never addresses, and only in namespaces that whoever installed us allowed: no suite makes our Jobs call
anybody else (attack H2), and NetworkPolicies say the same to Pods.
"""

from collections.abc import Mapping
from typing import Protocol

from modeltrust.api.compile.suites import LiveService, SuiteSettings
from modeltrust.domain.errors import UnavailableError, quote
from modeltrust.domain.evaluation import Served
from modeltrust.domain.evidence import Statement
from modeltrust.domain.facts import Known
from modeltrust.domain.reference import Identity
from modeltrust.evaluation.bank import Bank
from modeltrust.evaluation.fingerprint import names_of
from modeltrust.operator.evaluations import base_of
from modeltrust.operator.job_runs import DIALECTS
from modeltrust.operator.monitoring import WAITING, Monitored, Watched


class Models(Protocol):
    """What is known about models; ``evaluation_models.EvaluatedModels`` is the real one."""

    def statement(self, model: Identity) -> Statement | None:
        """The current one; None where it is not attested."""
        ...

    def bank(self, settings: SuiteSettings) -> Bank:
        """What a suite asks; raises ModelTrustError where its prompts cannot be used."""
        ...


class Kept(Protocol):
    """Recorded fingerprints; ``fingerprints.Fingerprints`` is the real one."""

    def digest(self, model: Identity, suite_hash: str, content: str) -> str:
        """64 hex of what is kept about one model; empty where nothing usable is."""
        ...


class Watches:
    """Reads."""

    def __init__(self, models: Models, kept: Kept, *, namespaces: frozenset[str]) -> None:
        """Join the parts.

        Args:
            models: what is attested.
            kept: fingerprints.
            namespaces: whose Services may be asked.
        """
        self._models = models
        self._kept = kept
        self._namespaces = namespaces

    def bank(self, settings: SuiteSettings) -> Bank:
        """What a suite asks.

        Raises:
            ModelTrustError: the operator's prompts cannot be used.
        """
        return self._models.bank(settings)

    def of(self, settings: SuiteSettings, bank: Bank, service: LiveService, before: Monitored | None, now: int) -> Watched:
        """What is to be asked of one Service.

        Args:
            settings: of the suite.
            bank: its own.
            service: one of its own.
            before: the watch as the status has it: which fingerprint was recorded.
            now: unix seconds.

        Raises:
            UnavailableError: nothing may or can be asked, and why.
        """
        if service.namespace not in self._namespaces:
            namespace = quote(service.namespace)
            raise UnavailableError(f"got a Service in the namespace {namespace}, which is not among jobs.monitoredNamespaces")
        if settings.external:
            raise UnavailableError("the suite is served outside our control, so nobody knows what the attested bytes answer")
        letter = self._models.statement(service.model)
        if letter is None or not isinstance(letter.content, Known):
            raise UnavailableError(f"{quote(service.model.key)} is not attested, so nobody knows what should answer")
        content = str(letter.content.value)
        baseline = settings.baseline if settings.baseline is not None else base_of(letter)
        suite = settings.suite(bank=bank.digest, prompts=bank.private_digest, baseline=baseline)
        recorded = "" if before is None or before.suite_hash != suite.hash else before.watch.fingerprint
        if before is not None and before.state == WAITING and now >= before.due and recorded:
            # looked for before each round, and not at each of many looks: it is a megabyte
            recorded = recorded if self._kept.digest(service.model, suite.hash, content) == recorded else ""
        return Watched(
            identity=service.model,
            content=content,
            suite=suite,
            served=Served(service.url, service.served_name, DIALECTS[settings.engine]),
            namespace=service.namespace,
            fingerprint=recorded,
            triggers=names_of(bank, suite),
        )


def forgotten(before: Mapping[str, Monitored], after: Mapping[str, Monitored]) -> tuple[tuple[str, str], ...]:
    """Model and suite hash of every watch that ended: its fingerprint is not needed any more."""
    still = {(one.model, one.suite_hash) for one in after.values()}
    return tuple(
        (one.model, one.suite_hash) for one in before.values() if one.suite_hash and (one.model, one.suite_hash) not in still
    )
