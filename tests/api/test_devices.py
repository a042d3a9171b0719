"""A device keeps its name while the secret that signed its id is replaced."""

from __future__ import annotations

import pytest

from api.devices import Device, Devices

OLD, NEW = "an-old-secret-of-these-tests-2025", "the-new-secret-of-these-tests-26"


def test_a_device_keeps_its_name_when_its_id_is_signed_with_a_new_secret() -> None:
    before, during, after = Devices((OLD,)), Devices((NEW, OLD)), Devices((NEW,))
    old_id = before.issue(7)
    device = during.read(old_id)
    assert device is not None
    assert device == before.read(old_id)
    new_id = during.id_of(device)
    assert new_id != old_id
    assert after.read(new_id) == device
    assert after.read(old_id) is None
    assert before.read(new_id) is None


@pytest.mark.parametrize("odd", ["", ".", "..", "7", "7.name", "x.name.signature", "07.name.signature", "\u0667.a.b"])
def test_any_other_text_is_no_device(odd: str) -> None:
    assert Devices((NEW,)).read(odd) is None


def test_a_changed_id_is_no_device() -> None:
    devices = Devices((NEW, OLD))
    own = devices.id_of(Device(7, "name"))
    assert devices.read(own) == Device(7, "name")
    for changed in (own.replace("7", "8", 1), own.replace("name", "other"), own + "=", own[:-1], " " + own):
        assert devices.read(changed) is None
