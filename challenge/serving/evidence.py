"""What there is to know of a model's training flights, without holding up other requests."""

from __future__ import annotations

import asyncio

from challenge.explain.evidence import Evidence
from challenge.model import DelayModel


async def evidence_of(model: DelayModel) -> Evidence | None:
    """What there is to know of a model's training flights; None if they were not counted."""
    if model.has_evidence:
        return model.evidence
    # Making it takes longer than other requests may wait.
    return await asyncio.to_thread(lambda: model.evidence)
