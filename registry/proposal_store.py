"""Proposals in PostgreSQL, and the changes that come of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf import json_format

from argo.registry.v1 import scene_pb2
from argo.registry.v1.proposal_service_pb2 import Proposal
from mesh.errors import Aborted, FailedPrecondition, FieldViolation, InvalidArgument, NotFound, PermissionDenied
from mesh.postgres import Pool, load_queries
from registry.database import borrowed, refusal_of
from registry.domain.names import NamePattern, ancestor, like_pattern
from registry.domain.proposing import TRANSITIONS, Event, Refusal, State
from registry.records import etag, to_row
from registry.resources import RESOURCES, Resource
from registry.rule_checks import needs_calibration
from registry.sql import QUERIES
from registry.store import Author, IdempotentRequest, PageQuery, RecordStore, check_etag, repeated

PROPOSAL = Resource(
    kind="proposal",
    plural="proposals",
    pattern=NamePattern(("devices", "optics", "proposals")),
    message=Proposal,
    check=lambda _proposal, _networks: [],
)
"""For filters, names and repeated requests; its rows are of a form of their own."""

PROPOSABLE: Mapping[str, Resource] = {
    field.name: RESOURCES[field.name] for field in Proposal.DESCRIPTOR.oneofs_by_name["record"].fields
}
"""The kinds of record of which changes can be proposed, by the field of a proposal that holds them."""

_RAW = load_queries("registry.sql", "proposals.sql")
_QUERIES = {
    name: query.replace("{fields}", _RAW["fields"]).replace("{controller}", _RAW["controller"])
    for name, query in _RAW.items()
}


class ProposalStore:
    """Reads and writes proposals, with history and audit in the same transaction."""

    def __init__(self, pool: Pool, records: RecordStore) -> None:
        """Takes a pool on the registry's migrated schema, and the records in it."""
        self._pool = pool
        self._records = records

    async def get(self, name: str, sight: str | None) -> Proposal:
        """One proposal.

        Args:
            name: of the proposal.
            sight: whose records may be seen, see ``tenancy.visible_to``.

        Raises:
            NotFound: there is none of that name in sight.
            Unavailable: PostgreSQL is away; so say all methods here.
        """
        async with borrowed(self._pool) as connection:
            return await _fetch(connection, "get_proposal", name, sight)

    async def list_after(self, page: PageQuery) -> list[Proposal]:
        """The proposals of a page, in the order of their names."""
        query = _QUERIES["list_proposals"].replace("{condition}", page.condition.sql)
        arguments = (page.sight, like_pattern(page.parent), page.after, page.limit, *page.condition.parameters)
        async with borrowed(self._pool) as connection:
            return [_proposal(row) for row in await connection.fetch(query, *arguments)]

    async def create(
        self, proposal: Proposal, change: Callable[[Any], Any], author: Author, request: IdempotentRequest | None
    ) -> Proposal:
        """Stores a new proposal, or answers a repeated request as before.

        Args:
            proposal: with its name and the record to change.
            change: makes the new record of the stored one; may raise, then nothing happens.
            author: who proposes it.
            request: if it may be repeated.

        Raises:
            AlreadyExists: the name is taken.
            NotFound: the record to change does not exist, or is not in the author's sight.
            Aborted: the etag of the record is stale.
            InvalidArgument: it would change nothing, or the request id was used for another request.
            FailedPrecondition: nobody could approve it, because the optic is not calibrated.
        """
        async with self._records.changing(author) as connection:
            if request is not None and (answer := await repeated(connection, PROPOSAL, author, request)) is not None:
                return answer  # type: ignore[no-any-return] # repeated answers whatever the resource holds
            kind, given = record_of(proposal)
            stored = await self._records.lock(connection, PROPOSABLE[kind], given.name, author)
            check_etag(stored, given.name, given.etag)
            changed = change(stored)
            if to_row(PROPOSABLE[kind], changed) == to_row(PROPOSABLE[kind], stored):
                violation = FieldViolation(f"proposal.{kind}", "must change something")
                raise InvalidArgument("nothing would change", reason="NOTHING_PROPOSED", violations=[violation])
            await _check_calibration(connection, changed)
            records = [_to_json(changed) if field == kind else None for field in PROPOSABLE]
            mask = _to_json(proposal.update_mask) if proposal.HasField("update_mask") else None
            arguments = (proposal.name, *records, mask, author.path, author.reason)
            created = _proposal(await connection.fetchrow(_QUERIES["insert_proposal"], *arguments))
            if request is not None:
                answer = created.SerializeToString()
                keeping = (author.controller, request.request_id, request.fingerprint, answer)
                await connection.execute(QUERIES["keep_answer"], *keeping)
            await self._records.record(connection, author, created.name)
            return created

    async def decide(
        self, name: str, given_etag: str, event_of: Callable[[str, str], Event], decider: Author
    ) -> Proposal:
        """Decides about a proposal and, if it is approved, makes the change.

        Writers wait for each other, so of two people who decide at the same time one finds it decided. The change goes
        into the history with the author and reason of the proposal and the decider as approver.

        Args:
            name: of the proposal.
            given_etag: what the caller believes to be current, or empty.
            event_of: what happens, from the identity paths of author and decider.
            decider: who does it.

        Raises:
            NotFound: there is none of that name in the decider's sight.
            Aborted: the etag is stale, or the record was changed since.
            PermissionDenied: the author approves.
            FailedPrecondition: it was decided before, or the change contradicts another record.
        """
        async with self._records.changing(decider) as connection:
            proposal = await _fetch(connection, "lock_proposal", name, decider.sight(PROPOSAL))
            check_etag(proposal, name, given_etag)
            state = _next_state(proposal, event_of(proposal.author, decider.path))
            arguments = (name, f"STATE_{state.value}", decider.path, decider.reason)
            decided = _proposal(await connection.fetchrow(_QUERIES["decide_proposal"], *arguments))
            await self._records.record(connection, decider, name)
            if state is State.APPROVED:
                author = Author(proposal.author, decider.method, proposal.reason, decider.path)
                await connection.execute(_QUERIES["act_for"], author.path, author.reason, author.approver)
                kind, record = record_of(proposal)
                await self._records.replace(connection, PROPOSABLE[kind], record, author)
            return decided


def record_of(proposal: Proposal) -> tuple[str, Any]:
    """The record as a proposal wants it, and its kind; the kind is empty if there is none."""
    kind: str = proposal.WhichOneof("record") or ""
    return kind, getattr(proposal, kind) if kind else None


def _next_state(proposal: Proposal, event: Event) -> State:
    state = State(Proposal.State.Name(proposal.state).removeprefix("STATE_"))
    outcome = TRANSITIONS[state][event]
    metadata = {"proposal": proposal.name, "state": state.value}
    if outcome is Refusal.SELF_APPROVAL:
        message = "a proposal is approved by somebody else than its author, in whatever role: ask a second person"
        raise PermissionDenied(message, reason=outcome.value, metadata=metadata)
    if outcome is Refusal.SUPERSEDED:
        message = f"{proposal.name} is superseded, its record was changed since: propose the change anew"
        raise Aborted(message, reason="PROPOSAL_SUPERSEDED", metadata=metadata)
    if isinstance(outcome, Refusal):
        message = f"{proposal.name} was decided before: it is {state.value.lower()}"
        raise FailedPrecondition(message, reason="PROPOSAL_DECIDED", metadata=metadata)
    return outcome


async def _fetch(connection: Any, query: str, name: str, sight: str | None) -> Proposal:
    row = await connection.fetchrow(_QUERIES[query], name, sight)
    if row is None:
        raise NotFound(f"{name} does not exist", reason="RESOURCE_NOT_FOUND", metadata={"name": name})
    return _proposal(row)


async def _check_calibration(connection: Any, record: Any) -> None:
    if not isinstance(record, scene_pb2.Rule) or not needs_calibration(record):
        return
    if not await connection.fetchval(_QUERIES["is_calibrated"], ancestor(record.name, 2)):
        raise refusal_of("rule_calibration_exists")


def _to_json(message: Any) -> str:
    return json_format.MessageToJson(message, preserving_proto_field_name=True, indent=None)


def _proposal(row: Mapping[str, Any]) -> Proposal:
    proposal = Proposal(
        name=row["name"],
        state=row["state"],
        author=row["author"],
        reason=row["reason"],
        decider=row["decider"] or "",
        decision_reason=row["decision_reason"] or "",
        create_time=row["create_time"],
        decide_time=row["decide_time"],
        etag=etag(row["name"], row["create_time"], row["version"]),
    )
    for field in (*PROPOSABLE, "update_mask"):
        if row[field] is not None:
            getattr(proposal, field).SetInParent()
            json_format.ParseDict(json.loads(row[field]), getattr(proposal, field))
    return proposal
