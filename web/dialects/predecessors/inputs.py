"""What JSON bodies say here, taken as the services of before took it.

Numbers may stand in text, as clients have them from forms and addresses; null is as good as nothing;
what nobody knows is passed over. True is no number, and neither is 1.5.
"""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator

from web.requests import whole_number
from web.rest.inputs import Query


class Body(BaseModel):
    model_config = ConfigDict(extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, said: Any) -> Any:
        if not isinstance(said, dict):
            return said
        return {name: value for name, value in said.items() if value is not None}


class Asked(Query):
    """A query; what stands empty in it is not asked."""

    @model_validator(mode="before")
    @classmethod
    def _without_blanks(cls, said: Any) -> Any:
        return {name: value for name, value in said.items() if value != ""}


def _whole(said: Any) -> Any:
    if isinstance(said, bool):
        raise ValueError("true and false are no numbers")  # noqa: TRY004  # pydantic asks for it
    if isinstance(said, str):
        found = whole_number(said.strip())
        if found is None:
            raise ValueError("this text is no whole number")
        return found
    return said


Whole = Annotated[int, BeforeValidator(_whole)]
