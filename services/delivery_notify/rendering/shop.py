"""The shop as it appears in mails: name, signature, logo and colour."""

from dataclasses import dataclass

from libs.common.events.values import Language
from libs.common.web.colors import DEFAULT_COLOR
from services.delivery_notify.rendering.texts.phrases import PHRASES


@dataclass(frozen=True, slots=True)
class Shop:
    """`seller` is the legal name, address and telephone of the seller (default: the name). `contact` is a telephone
    number with its hours, `person` the name or team that signs."""

    name: str
    seller: str = ""
    person: str = ""
    contact: str = ""
    url: str = ""
    logo_url: str = ""
    color: str = DEFAULT_COLOR

    @property
    def legal_seller(self) -> str:
        return self.seller or self.name

    def signature(self, language: Language) -> list[str]:
        """Return the lines that end a mail, without those that the shop has not set."""
        labels = PHRASES[language].signature
        person = labels["person"].format(person=self.person) if self.person else ""
        contact = labels["contact"].format(contact=self.contact) if self.contact else ""
        return [line for line in (self.name, person, contact, self.url) if line]
