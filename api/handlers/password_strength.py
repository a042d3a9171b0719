"""How hard a password is to guess, while somebody chooses one. The server has the rules, and the page none."""

from __future__ import annotations

from api.call import Call
from api.password_rules import Strength, account_fault, common_fault, strength
from api.schemas.accounts import StrengthBody
from api.schemas.answers import accounts as answers
from shared.domain.passwords import unfit


async def rate(call: Call) -> answers.PasswordStrength:
    """How hard a new password is to guess.

    Nothing of it is kept. `reason` says why a password of enough characters would be refused.
    """
    body = await call.body(StrengthBody)
    texts = [text for text in (body.name, body.email) if text]
    fault = unfit(body.password) or common_fault(body.password) or account_fault(body.password, texts)
    return answers.PasswordStrength(strength=Strength.REFUSED if fault else strength(body.password), reason=fault)
