#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""What Tavus answers of personas and replicas, as types; newer names: PALs and faces."""

from collections.abc import Mapping
from typing import Any, cast

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, model_validator


def _unwrap(data: Any) -> Any:
    """The one object of ``{"data": [{...}]}``, a form that some versions of the API have."""
    if isinstance(data, Mapping):
        inner = cast("Mapping[str, Any]", data).get("data")
        if isinstance(inner, list) and len(cast("list[Any]", inner)) == 1:
            inner = cast("list[Any]", inner)[0]
        if isinstance(inner, Mapping):
            return cast("Mapping[str, Any]", inner)
    return cast(Any, data)


class Persona(BaseModel):
    """A persona, which Tavus's newer documentation calls a PAL.

    Parameters:
        persona_id: Its id.
        persona_name: Its name, which is also the replica's name in the room.
        pipeline_mode: ``full``, ``echo``, ...
        default_replica_id: The replica that it has if none is given.
        layers: How it is made up.
    """

    model_config = ConfigDict(extra="allow", coerce_numbers_to_str=True)

    persona_id: str | None = Field(
        default=None, validation_alias=AliasChoices("persona_id", "pal_id")
    )
    persona_name: str = Field(validation_alias=AliasChoices("persona_name", "pal_name"))
    pipeline_mode: str | None = None
    default_replica_id: str | None = None
    layers: dict[str, Any] | None = None

    _unwrap_data = model_validator(mode="before")(_unwrap)


class Replica(BaseModel):
    """A replica, which Tavus's newer documentation calls a face.

    Parameters:
        replica_id: Its id.
        replica_name: Its name.
        status: ``completed`` when it can be used.
        training_progress: As Tavus writes it, such as ``100/100``.
    """

    model_config = ConfigDict(extra="allow", coerce_numbers_to_str=True)

    replica_id: str = Field(validation_alias=AliasChoices("replica_id", "face_id"))
    replica_name: str | None = Field(
        default=None, validation_alias=AliasChoices("replica_name", "face_name")
    )
    status: str | None = None
    training_progress: str | None = None

    _unwrap_data = model_validator(mode="before")(_unwrap)
