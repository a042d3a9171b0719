"""Pictures of private messages: uploaded, sent, seen by the two sides only, and deleted with what they belong to."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from PIL import Image

from shared.domain.messages import MAX_MESSAGE_PICTURES
from shared.domain.users import Role
from shared.repositories.erasure import erase_some
from shared.repositories.message_pictures import remove_left_over
from shared.settings import Settings
from tests.api.conftest import Api, Broadcasts, Person
from tests.api.pictures.samples import encoded, opened
from tests.api.rows import Rows
from tests.api.test_pictures import a_jpeg, files, form, wait_for_files

pytestmark = pytest.mark.usefixtures("at_rest")

PICTURES = "/api/messages/pictures"


async def upload(api: Api, who: Person | None, status: int = 201, data: bytes | None = None) -> Any:
    return await api.call("POST", PICTURES, status, who=who, data=form(a_jpeg() if data is None else data))


async def send(api: Api, who: Person, to: Person, *pictures: Any, status: int = 201, **more: Any) -> Any:
    body = {"to": to.id, "message": "", "pictures": [one["id"] for one in pictures], **more}
    return await api.call("POST", "/api/messages", status, who=who, json=body)


def addresses(picture: Any) -> list[str]:
    return [picture["url"], picture["thumbnail_url"], picture["sizes"][1]["url"]]


async def statuses(api: Api, picture: Any, who: Person | None) -> set[int]:
    """The statuses that a person gets for the sizes of a picture."""
    headers = who.headers if who else {}
    return {(await api.client.get(address, headers=headers)).status for address in addresses(picture)}


async def test_a_picture_is_processed_like_those_of_listings_and_sent_with_a_message(
    api: Api, broadcasts: Broadcasts
) -> None:
    ann, bob = await api.register(), await api.register()
    exif = Image.Exif()
    exif[0x010E] = "my home"
    data = encoded(Image.new("RGB", (3000, 1500)), "JPEG", exif=exif)
    picture = await upload(api, ann, data=data)
    assert picture == {
        "id": picture["id"],
        "url": f"{PICTURES}/{picture['id']}",
        "thumbnail_url": f"{PICTURES}/{picture['id']}/thumbnail",
        "width": 2048,
        "height": 1024,
        "sizes": [
            {"url": f"{PICTURES}/{picture['id']}/thumbnail", "width": 480},
            {"url": f"{PICTURES}/{picture['id']}/medium", "width": 800},
        ],
    }
    second = await upload(api, ann)
    sent = await send(api, ann, bob, second, picture)
    # In the order in which the message names them.
    assert (sent["message"], sent["pictures"]) == ("", [second, picture])
    assert [(topic, event) for topic, event, _ in broadcasts.seen] == [
        ("private_chat:2", "send"),
        ("private_chat:1", "send"),
    ]
    assert all(payload == sent for _, _, payload in broadcasts.seen)
    for who, other in ((ann, bob), (bob, ann)):
        assert (await api.call("GET", "/api/messages", 200, who=who))["data"] == [sent]
        page = await api.call("GET", f"/api/conversations/{other.id}/messages", 200, who=who)
        assert page["data"] == [sent]
        # To the recipient, who does not know the sender, it is a request.
        asked = "?request=open" if who is bob else ""
        [conversation] = (await api.call("GET", f"/api/conversations{asked}", 200, who=who))["data"]
        assert conversation["last_message"] == sent
    for address, width in zip(addresses(picture), (2048, 480, 800), strict=True):
        response = await api.client.get(address, headers=bob.headers)
        shown = opened(await response.read())
        assert (response.status, shown.width) == (200, width)
        assert not shown.getexif()
        assert response.headers["Cache-Control"] == "private, no-store"
        assert response.headers["Cross-Origin-Resource-Policy"] == "same-site"


async def test_a_message_without_pictures_is_as_before(api: Api) -> None:
    ann, bob = await api.register(), await api.register()
    left_out: list[dict[str, Any]] = [{}, {"pictures": []}, {"pictures": None}]
    for more in left_out:
        body = {"to": bob.id, "message": "Hi", **more}
        sent = await api.call("POST", "/api/messages", 201, who=ann, json=body)
        assert "pictures" not in sent
    picture = await upload(api, ann)
    sent = await send(api, ann, bob, picture, message="Look", client_ref="a")
    assert (sent["message"], sent["pictures"]) == ("Look", [picture])


async def test_only_the_two_sides_see_a_picture_and_before_it_is_sent_only_its_owner(api: Api, rows: Rows) -> None:
    ann, bob, eve = [await api.register() for _ in range(3)]
    moderator, admin = await api.register(role=Role.MODERATOR), await api.register(role=Role.ADMIN)
    picture = await upload(api, ann)
    others = (eve, moderator, admin)
    assert await statuses(api, picture, ann) == {200}
    assert await statuses(api, picture, None) == {401}
    for who in (bob, *others):
        assert await statuses(api, picture, who) == {404}
    sent = await send(api, ann, bob, picture)
    for who in (ann, bob):
        assert await statuses(api, picture, who) == {200}
    for who in others:
        assert await statuses(api, picture, who) == {404}
        # There is no other way to it.
        assert (await api.client.get(f"/api/pictures/{picture['id']}", headers=who.headers)).status == 404
    # A block takes away nothing that one has got.
    await api.call("PUT", f"/api/users/{ann.id}/block", 200, who=bob)
    for who in (ann, bob):
        assert await statuses(api, picture, who) == {200}
    # What waits for a moderator is its sender's alone.
    await rows.execute("UPDATE messages SET held_at = now()")
    assert await statuses(api, picture, bob) == {404}
    # When it is let go, it gets another id, and its pictures go along.
    await rows.execute("UPDATE messages SET held_at = NULL, was_id = id, id = DEFAULT")
    assert await statuses(api, picture, bob) == {200}
    [[message_id]] = await rows.fetch("SELECT message_id FROM message_pictures")
    assert message_id != sent["id"]
    await api.call("DELETE", f"/api/messages/{message_id}", 204, who=ann)
    assert await statuses(api, picture, bob) == {404}


async def test_a_moderator_sees_the_pictures_of_a_reported_message_and_the_audit_log_says_so(
    api: Api, rows: Rows
) -> None:
    ann, bob = await api.register(), await api.register()
    moderator = await api.register(role=Role.MODERATOR)
    reported, other = await upload(api, ann), await upload(api, ann)
    sent = await send(api, ann, bob, reported)
    await send(api, ann, bob, other)
    report = {"reason": "fraud", "text": "Look."}
    made = await api.call("POST", f"/api/messages/{sent['id']}/reports", 201, who=bob, json=report)
    assert await statuses(api, reported, moderator) == {200}
    assert await statuses(api, other, moderator) == {404}
    looks = await rows.fetch("SELECT actor_id, target_id, details FROM audit WHERE action = 'message_picture_look'")
    # Not who got it: a reported admin may read the log.
    assert looks == [(moderator.id, made["id"], {"user_id": ann.id})] * 3
    # Deleting the message does not get rid of what was reported; the two see it no more.
    await api.call("DELETE", f"/api/messages/{sent['id']}", 204, who=ann)
    assert await statuses(api, reported, moderator) == {200}
    for who in (ann, bob):
        assert await statuses(api, reported, who) == {404}
    await api.call("PUT", f"/api/reports/{made['id']}/resolved", 200, who=moderator)
    async with rows.database.transaction() as transaction:
        assert await remove_left_over(transaction)
    assert await statuses(api, reported, moderator) == {404}
    assert await statuses(api, other, bob) == {200}


async def test_wrong_pictures_are_refused_and_change_nothing(api: Api, rows: Rows, broadcasts: Broadcasts) -> None:
    ann, bob = await api.register(), await api.register()
    anns, bobs = await upload(api, ann), await upload(api, bob)
    sent = await send(api, ann, bob, await upload(api, ann))
    broadcasts.seen.clear()
    wrong: list[Any] = [
        [bobs["id"]],
        [anns["id"], bobs["id"]],
        [sent["pictures"][0]["id"]],
        [99999],
        [anns["id"], anns["id"]],
        list(range(1, MAX_MESSAGE_PICTURES + 2)),
        "1",
        1,
        {"1": 1},
        ["x"],
        [0],
        [None],
        [[1]],
        [2**63],
    ]
    for pictures in wrong:
        body = {"to": bob.id, "message": "Look", "pictures": pictures}
        problem = await api.call("POST", "/api/messages", 422, who=ann, json=body)
        assert set(problem["errors"]) == {"pictures"}, pictures
    for message in ("", "  ", "\u200b"):
        body = {"to": bob.id, "message": message, "pictures": []}
        problem = await api.call("POST", "/api/messages", 422, who=ann, json=body)
        assert set(problem["errors"]) == {"message"}
    for text in (None, 7, "x" * 4001, "nul \x00"):
        problem = await send(api, ann, bob, anns, status=422, message=text)
        assert set(problem["errors"]) == {"message"}
    body = {"to": 99999, "message": "", "pictures": [anns["id"]]}
    problem = await api.call("POST", "/api/messages", 422, who=ann, json=body)
    assert set(problem["errors"]) == {"to"}
    await api.call("PUT", f"/api/users/{ann.id}/block", 200, who=bob)
    await send(api, ann, bob, anns, status=403)
    assert not [event for _, event, _ in broadcasts.seen if event == "send"]
    [[count]] = await rows.fetch("SELECT count(*) FROM messages")
    assert count == 1
    assert await statuses(api, anns, ann) == {200}
    await api.call("DELETE", f"/api/users/{ann.id}/block", 204, who=bob)
    await send(api, ann, bob, anns)


async def test_a_message_that_is_sent_again_keeps_its_pictures_and_takes_no_others(api: Api, rows: Rows) -> None:
    ann, bob = await api.register(), await api.register()
    first, second = await upload(api, ann), await upload(api, ann)
    sent = await send(api, ann, bob, first, client_ref="a")
    for pictures in ((first,), (second,), (first, second)):
        assert await send(api, ann, bob, *pictures, client_ref="a") == sent
    assert await rows.fetch("SELECT id FROM message_pictures WHERE message_id IS NULL") == [(second["id"],)]
    # At once, one of them is the message, whichever it is.
    answers = await asyncio.gather(*(send(api, ann, bob, second, client_ref="b") for _ in range(5)))
    assert {answer["id"] for answer in answers} == {answers[0]["id"]}
    assert all(answer["pictures"] == [second] for answer in answers)
    await api.call("DELETE", f"/api/messages/{sent['id']}", 204, who=ann)
    again = await send(api, ann, bob, first, client_ref="a")
    assert "pictures" not in again
    assert again["deleted_at"]


async def test_a_picture_is_deleted_with_its_message_or_by_its_owner_before(
    api: Api, rows: Rows, settings: Settings
) -> None:
    ann, bob = await api.register(), await api.register()
    unsent, picture = await upload(api, ann), await upload(api, ann)
    await api.call("DELETE", f"{PICTURES}/{unsent['id']}", 404, who=bob)
    await api.call("DELETE", f"{PICTURES}/{unsent['id']}", 204, who=ann)
    await api.call("DELETE", f"{PICTURES}/{unsent['id']}", 404, who=ann)
    await wait_for_files(settings, 3)
    sent = await send(api, ann, bob, picture)
    await api.call("DELETE", f"{PICTURES}/{picture['id']}", 404, who=ann)
    await api.call("DELETE", f"/api/messages/{sent['id']}", 204, who=ann)
    await wait_for_files(settings, 0)
    assert not await rows.fetch("SELECT id FROM message_pictures")
    for who in (ann, bob):
        [message] = (await api.call("GET", "/api/messages", 200, who=who))["data"]
        assert "pictures" not in message


async def test_few_pictures_wait_to_be_sent(api: Api, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.repositories.message_pictures.MAX_UNSENT_PICTURES", 1)
    ann, bob = await api.register(), await api.register()
    picture = await upload(api, ann)
    problem = await upload(api, ann, 409)
    assert problem["type"] == "/problems/conflict"
    await wait_for_files(settings, 3)
    await send(api, ann, bob, picture)
    await upload(api, ann)
    await upload(api, bob)


async def test_a_picture_that_is_not_sent_for_a_day_is_deleted_and_cannot_be_sent(
    api: Api, rows: Rows, settings: Settings
) -> None:
    ann, bob = await api.register(), await api.register()
    old, young, sent = [await upload(api, ann) for _ in range(3)]
    await send(api, ann, bob, sent)
    age = "UPDATE message_pictures SET created_at = now() - interval '24 hours 1 minute' WHERE id = ANY (%s)"
    await rows.execute(age, [old["id"], sent["id"]])
    await send(api, ann, bob, old, status=422)
    await rows.execute("UPDATE message_pictures SET created_at = created_at - interval '1 hour'")
    async with rows.database.transaction() as transaction:
        assert await remove_left_over(transaction)
    assert await rows.fetch("SELECT id FROM message_pictures ORDER BY id") == [(young["id"],), (sent["id"],)]
    assert len(files(settings)) >= 6


async def test_the_pictures_go_with_the_account_of_their_owner(api: Api, rows: Rows) -> None:
    ann, bob = await api.register(), await api.register()
    anns, bobs = await upload(api, ann), await upload(api, bob)
    await upload(api, ann)
    await send(api, ann, bob, anns, message="Look")
    await send(api, bob, ann, bobs)
    await rows.execute("UPDATE users SET deleted_at = now() - interval '31 days' WHERE id = %s", ann.id)
    for _ in range(3):
        async with rows.database.transaction() as transaction:
            if await erase_some(transaction, after_days=30):
                break
    assert await rows.fetch("SELECT id FROM message_pictures") == [(bobs["id"],)]
    found = (await api.call("GET", "/api/messages", 200, who=bob))["data"]
    # The conversation stays Bob's, as the text does.
    assert [(one["message"], "pictures" in one) for one in found] == [("Look", False), ("", True)]
    assert await statuses(api, anns, bob) == {404}
    assert await statuses(api, bobs, bob) == {200}


@pytest.mark.parametrize(
    ("data", "status"), [(b"", 415), (b"not a picture", 415), (b"\xff\xd8\xff\xe0 broken", 422), (b"<svg/>", 415)]
)
async def test_what_is_no_picture_is_refused(api: Api, rows: Rows, data: bytes, status: int) -> None:
    await upload(api, await api.register(), status, data)
    assert not await rows.fetch("SELECT id FROM message_pictures")
