"""Canned responses: texts from which staff start a reply, with the facts of the issue filled in."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from libs.common.events.faults import fault_texts
from libs.common.events.values import Language

BUNDLED_RESPONSES = Path(__file__).with_name("canned_responses.toml")
FACTS = frozenset({"order", "items"})


def _names_known_facts(text: str) -> str:
    template = Template(text)
    if not template.is_valid():
        raise ValueError("has a $ that names no fact; write $$ for the sign itself")
    unknown = sorted(set(template.get_identifiers()) - FACTS)
    if unknown:
        raise ValueError(f"names the unknown fact ${unknown[0]}; known are ${', $'.join(sorted(FACTS))}")
    return text.strip()


class _Titles(BaseModel):
    """Name of a response in the languages of the desk."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ja: Annotated[str, Field(min_length=1)]
    en: Annotated[str, Field(min_length=1)]


class _Response(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    title: _Titles
    texts: Annotated[
        dict[Language, Annotated[str, AfterValidator(_names_known_facts)]], Field(min_length=1, max_length=50)
    ]


_RESPONSES = TypeAdapter(dict[str, _Response])


class CannedResponsesError(ValueError):
    """The file of canned responses is invalid; the message names the entries and the remedies."""


@dataclass(frozen=True, slots=True)
class CannedResponses:
    responses: Mapping[str, _Response]

    def titles(self, reader: Language) -> Mapping[Language, Mapping[str, str]]:
        """Return the titles by key (`language:name`) for each language of customers, as this reader reads them."""
        return {
            language: {
                f"{language}:{name}": each.title.ja if reader == Language.JA else each.title.en
                for name, each in self.responses.items()
                if language in each.texts
            }
            for language in Language
        }

    def fill(self, key: str, order: str, items: Sequence[str]) -> str:
        """Return the text of a response with the facts of the issue; "" for an unknown key."""
        language, _, name = key.partition(":")
        response = self.responses.get(name)
        if response is None or language not in set(Language) or Language(language) not in response.texts:
            return ""
        separator = "、" if language == Language.JA else ", "
        return Template(response.texts[Language(language)]).substitute(order=order, items=separator.join(items))


def read_canned_responses(file: Path) -> CannedResponses:
    """Raises `CannedResponsesError` for a missing or invalid file, with all its faults."""
    try:
        return CannedResponses(_RESPONSES.validate_python(tomllib.loads(file.read_text(encoding="utf-8"))))
    except ValidationError as error:
        raise CannedResponsesError(f"{file.name}: {'; '.join(fault_texts(error, 'responses'))}") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CannedResponsesError(f"{file.name}: {error}") from error
