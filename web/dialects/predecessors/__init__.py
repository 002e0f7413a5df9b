"""The services this one replaces: their paths, fields, answers and refusals, one module for each."""

from collections.abc import Mapping
from typing import Final

from apiflask import APIBlueprint

from web.dialects.predecessors import chunked, gateway, gateway_refusals, numbered, storage
from web.errors import Shape

BLUEPRINTS: Final[tuple[APIBlueprint, ...]] = (storage.bp, numbered.bp, gateway.bp, chunked.bp)
SHAPES: Final[Mapping[str, Shape]] = {
    storage.PREFIX: storage.refusal,
    numbered.PREFIX: numbered.refusal,
    gateway.PREFIX: gateway_refusals.refusal,
    chunked.PREFIX: chunked.refusal,
}
