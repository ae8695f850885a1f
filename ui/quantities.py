"""What is looked at of a post's probabilities, in words."""

from __future__ import annotations

from core.distributions import Quantity
from core.domain import Label
from core.wording import N_, _
from ui.words import label_in_words

TITLES = {
    Quantity.confidence: N_("Probability of the most likely label"),
    Quantity.margin: N_("Margin between the two most likely labels"),
    Quantity.entropy: N_("Entropy (bits)"),
}


def quantity_in_words(quantity: Quantity) -> str:
    if quantity in TITLES:
        return _(TITLES[quantity])
    return _("Probability of {label}").format(label=label_in_words(Label[quantity.value]))
