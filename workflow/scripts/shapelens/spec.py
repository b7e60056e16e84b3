"""The base of every spec: a frozen, validated record of what decides a result."""

import difflib
import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, model_validator

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

    @model_validator(mode="before")
    @classmethod
    def _refuse_yes_for_numbers(cls, raw: Any) -> Any:
        """Refuse true and false where numbers or names are meant: pydantic would take true for 1."""
        if isinstance(raw, Mapping):
            wrong = [
                line for key, value in raw.items() if _is_truth(value) and (line := _no_truth(cls, str(key), value))
            ]
            if wrong:
                raise ValueError("\n".join(wrong))
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


def _is_truth(value: object) -> bool:
    return isinstance(value, bool) or (isinstance(value, list | tuple) and any(isinstance(one, bool) for one in value))


def _no_truth(spec: type[Spec], key: str, value: object) -> str:
    """Return what is wrong with true or false as the value of a key, or nothing where it may be one."""
    field = spec.model_fields.get(key)
    types = _types(field.annotation) if field is not None else set()
    if bool in types or not types & {int, float, str}:
        return ""
    words = str(value).lower() if isinstance(value, bool) else ", ".join(str(one).lower() for one in value)  # type: ignore[attr-defined]
    if str not in types:
        return f"{key}: expected a number, not {words}, as YAML reads yes, no, on and off"
    return f"{key}: YAML reads yes, no, on and off without quotes as true and false ({words}); put quotes round names"


def _types(annotation: Any) -> set[Any]:
    """Return the plain types that an annotation is made of."""
    if get_origin(annotation) is Literal:
        return set()
    inner = get_args(annotation)[:1] if get_origin(annotation) is Annotated else get_args(annotation)
    return set().union(*map(_types, inner)) if inner else {annotation}


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


def composed(name: str) -> str:
    """Return a name with its accents composed (NFC): macOS writes é as two characters, and both look the same."""
    return unicodedata.normalize("NFC", name)


ClassName = Annotated[str, AfterValidator(composed)]
"""Name of a class."""
