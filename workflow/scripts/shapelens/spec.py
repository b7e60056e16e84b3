"""The base of every spec: a frozen, validated record of what decides a result."""

import difflib
import hashlib
import json
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator

NO_MARKUP = {ord(character): f"\\u{ord(character):04x}" for character in "<>&"}
"""HTML's own characters, which stand in JSON within strings only, as JSON's escapes."""


class Spec(BaseModel):
    """A frozen record that refuses unknown keys and serialises canonically.

    Attribute docstrings describe the keys: the JSON schema and the reference page are made from them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, raw: Any) -> Any:
        """Refuse unknown keys with the allowed ones and the nearest spelling."""
        if isinstance(raw, Mapping):
            unknown = [str(key) for key in raw if key not in cls.model_fields]
            if unknown:
                raise ValueError("\n".join(_unknown_key(key, list(cls.model_fields)) for key in unknown))
        return raw

    def canonical(self) -> str:
        """Return the spec as canonical JSON: sorted keys, no blanks."""
        return canonical_json(self.model_dump(mode="json"))

    def digest(self) -> str:
        """Return the sha256 of the canonical JSON, in hex."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()


def _unknown_key(key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]}?" if near else ""
    shown = key if key.isprintable() and key.strip() else repr(key)
    return f"{shown}: unknown key; allowed: {', '.join(known)}{hint}"


def canonical_json(value: object) -> str:
    """Serialise plain data with sorted keys and no blanks, so that equal data gives equal text.

    ``<``, ``>``, ``&`` and all that is not ASCII are escaped as JSON allows it, so that the text cannot end a script
    on a page of HTML: Snakemake writes parameters into one of its report as they are.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).translate(NO_MARKUP)


def parse_fraction(value: object) -> object:
    """Turn text such as ``8/255`` or ``7.8/255`` into a float; leave everything else to pydantic."""
    if isinstance(value, str):
        try:
            # Fraction would count out 1e999999999 digit by digit, and float overflows beyond 1e308.
            if len(value) > 100 or value.count("/") > 1 or re.search(r"[eE][+-]?\d{4}", value):
                raise ValueError
            above, *below = value.replace(" ", "").split("/")
            # Fraction itself takes no decimals above or below the bar.
            return float(Fraction(above) / Fraction(below[0]) if below else Fraction(above))
        except (ValueError, ArithmeticError):
            raise ValueError(f"{value[:100]!r} is neither a number nor a fraction such as 8/255") from None
    return value


Number = Annotated[float, BeforeValidator(parse_fraction)]
"""A float that may be written as a fraction, such as ``8/255``."""
