"""Buyers find a car by the words that they use for it, in any language and spelling, and the best match comes first."""

# ruff: noqa: RUF001 (letters of other alphabets are meant)

from __future__ import annotations

import unicodedata

import pytest

from shared.domain.users import Role
from tests.api.conftest import Api, Person

pytestmark = pytest.mark.usefixtures("at_rest")

MINTS: list[dict[str, object]] = [
    {"title": f"Volvo {number}", "content": "In mint condition."} for number in range(240, 246)
]


async def offer(api: Api, *cars: dict[str, object]) -> list[int]:
    """Create the listings through the API, as sellers do. Returns their ids."""
    admin = await api.register(role=Role.ADMIN)
    body = {"name": f"Cars of {admin.id}", "visibility": "public"}
    category = await api.call("POST", "/api/categories", 201, who=admin, json=body)
    seller = await api.register()
    return [await listing(api, seller, category["id"], car) for car in cars]


async def listing(api: Api, seller: Person, category_id: int, car: dict[str, object]) -> int:
    body = {"title": "A car", "content": "It drives.", "category_id": category_id, "visibility": "public", **car}
    return int((await api.call("POST", "/api/listings", 201, who=seller, json=body))["id"])


async def found(api: Api, q: str, **more: str) -> list[int]:
    answer = await api.call("GET", "/api/listings", 200, params={"q": q, **more})
    return [one["id"] for one in answer["data"]]


@pytest.mark.parametrize(
    "title",
    [
        "२०१८ मारुति सुज़ुकी स्विफ्ट डिज़ायर",
        "ขายรถกระบะโตโยต้า วีโก้ ปี 2558",
        "سَيَّارَةٌ جَدِيدَةٌ لِلْبَيْعِ",
        "٢٠١٨ تويوتا كامري",
        "H₂O pump ½ price ①",
        "Ｔｏｙｏｔａ Ｃａｍｒｙ",
        "ﾄﾖﾀ ｶﾛｰﾗ",
        "2016年 トヨタ カローラアクシオ 4WD",
        "丰田卡罗拉2018款",
        "현대 쏘나타 뉴라이즈",
        "Đặng xe Toyota Vios số sàn",
        "Ґанок ЗАЗ-968 «Запорожець»",
        "Škoda Octavia RS — Straße, Übergröße",
        "İstanbul'da satılık Doğan SLX",
        "מְכוֹנִית יָד שְׁנִיָּה",
        "Μερσεντές Α΄ τάξης",
        "ரெனால்ட் க்விட் 2019",
        "ლადა ნივა",
        "Լադա Նիվա",
        "ኒሳን ሳኒ",
        "ລົດໂຕໂຍຕ້າ ມືສອງ",
        "រថយន្តតូយ៉ូតា ព្រីយុស",
        "တိုယိုတာ ကား",
        "می‌خواهم پراید",
        "x" * 60,
        "Ford A",
        "🚗🚗",
        " ".join(f"word{number}" for number in range(12)),
    ],
)
async def test_an_exact_copy_of_a_title_finds_its_listing_first(api: Api, title: str) -> None:
    ids = await offer(api, {"title": title}, {"title": "Toyota Camry 2018"}, {"title": "H pump 2 O"})
    copies = {unicodedata.normalize("NFC", title), unicodedata.normalize("NFD", title), title.upper()}
    firsts = {typed: (await found(api, typed[:200]))[:1] for typed in copies}
    assert firsts == dict.fromkeys(copies, ids[:1])


@pytest.mark.parametrize(
    ("stored", "typed"),
    [
        ("سَيَّارَةٌ", "سيارة"),
        ("سيارة", "سَيَّارَةٌ"),
        ("Model ٢٠١٨", "2018"),
        ("Model 2018", "٢٠١٨"),
        ("Model 2018", "२०१८"),
        ("Model ２０１８", "2018"),
        ("H₂O", "h2o"),
        ("Škoda Fabia", "skoda"),
        ("Citroën", "CITROEN"),
        ("Жигулёв", "жигулев"),
        ("Straße", "strasse"),
        ("أوبل", "اوبل"),
        ("پراید کیا", "كيا"),
    ],
)
async def test_spellings_that_people_do_not_tell_apart_find_each_other(api: Api, stored: str, typed: str) -> None:
    ids = await offer(api, {"title": stored}, {"title": "Another"})
    assert await found(api, typed) == ids[:1]


@pytest.mark.parametrize(
    ("one", "many"),
    [
        ("truck", "trucks"),
        ("battery", "batteries"),
        ("bus", "buses"),
        ("coche", "coches"),
        ("camión", "camiones"),
        ("caminhão", "caminhões"),
        ("voiture", "voitures"),
        ("bateau", "bateaux"),
        ("limousine", "limousinen"),
        ("kombi", "kombis"),
        ("macchina", "macchine"),
        ("грузовик", "грузовики"),
        ("машина", "машины"),
    ],
)
async def test_singular_and_plural_find_the_same_and_the_typed_one_comes_first(api: Api, one: str, many: str) -> None:
    first, second, third = await offer(
        api, {"title": f"Old {one}"}, {"title": f"New {many}"}, {"title": "A car", "content": f"A blue {one}."}
    )
    await offer(api, {"title": "Something else"})
    assert await found(api, one) == [first, third, second]
    assert await found(api, many) == [second, first, third]


async def test_a_word_that_exists_comes_before_words_that_resemble_it(api: Api) -> None:
    ids = await offer(api, {"title": "Mini Cooper"}, *MINTS)
    assert await found(api, "mini") == ids[:1]


@pytest.mark.parametrize(
    ("stored", "typed"),
    [
        ({"make": "Ford", "model": "F 150"}, ["F150", "f-150", "f 150", "ford f150", "F-150"]),
        ({"title": "Ford F-150 XLT"}, ["F150", "f 150"]),
        ({"title": "Ford F150"}, ["F-150", "f 150", "f150"]),
        ({"title": "Mazda CX 5"}, ["cx5", "cx-5", "mazda cx5"]),
        ({"title": "Mazda 3"}, ["mazda3", "mazda-3"]),
        ({"title": "Toyota RAV 4"}, ["rav4", "rav-4"]),
        ({"title": "Land Rover Defender"}, ["landrover", "land-rover", "LandRover defender"]),
        ({"title": "Landrover Defender"}, ["land rover", "land-rover"]),
        ({"title": "BMW 3 Series"}, ["3series", "3-series", "bmw 3series"]),
        ({"title": "BMW 320d"}, ["320 d", "320-d", "320d"]),
        ({"title": "Audi A4"}, ["A 4", "a-4", "a4", "audi a 4"]),
        ({"title": "Hyundai i10"}, ["i 10", "i-10", "i10"]),
        ({"title": "Suzuki Jimny 4x4"}, ["4 x 4", "4x4", "4-x-4", "jimny 4 x 4"]),
        ({"title": "Jimny 4 x 4"}, ["4x4"]),
        ({"title": "Pajero", "content": "It is a 4x4 with 2.0 TDI."}, ["4 x 4", "4x4", "2.0 tdi", "2.0tdi"]),
        ({"title": "VW Multivan T6"}, ["t 6", "multivan t6"]),
        ({"title": "Lada ВАЗ-2107"}, ["ваз2107", "ваз 2107"]),
        ({"title": "Volvo XC90 T8"}, ["xc 90", "xc90 t 8"]),
        ({"title": "Ford Model T"}, ["model t", "ford t"]),
        ({"title": "Renault 5", "content": "Only 150,000 km."}, ["150000 km", "150 000", "150,000"]),
    ],
)
async def test_letters_and_digits_are_found_joined_and_apart(
    api: Api, stored: dict[str, object], typed: list[str]
) -> None:
    ids = await offer(api, stored, {"title": "Something else"})
    assert {q: await found(api, q) for q in typed} == dict.fromkeys(typed, ids[:1])


async def test_models_of_one_letter_are_not_lost(api: Api) -> None:
    ford_a, model_t, _, other = await offer(
        api, {"title": "1930 Ford A"}, {"title": "Ford Model T"}, {"title": "Tesla Model S"}, {"title": "Ford Focus"}
    )
    assert (await found(api, "ford a"))[0] == ford_a
    assert other not in await found(api, "ford a")
    assert await found(api, "model t") == [model_t]


@pytest.mark.parametrize(
    ("stored", "typed"),
    [
        ({"make": "Volkswagen", "model": "Golf"}, ["vw golf", "VW", "фольксваген гольф", "フォルクスワーゲン"]),
        ({"title": "VW Golf"}, ["volkswagen golf", "volkswagen"]),
        ({"make": "Chevrolet", "model": "Silverado"}, ["chevy silverado", "chevy", "шевроле"]),
        ({"title": "Mercedes-Benz C-Class"}, ["mercedes c class", "merc c-class", "benz", "c klasse", "мерседес"]),
        ({"title": "BMW 5 Series"}, ["beemer", "bimmer 5 series", "бмв"]),
        ({"title": "Toyota Land Cruiser"}, ["landcruiser", "toyota landcruiser", "тойота", "トヨタ ランドクルーザー"]),
        ({"title": "Тойота Королла"}, ["toyota corolla", "corolla"]),
        ({"title": "トヨタ カローラ"}, ["toyota", "toyota corolla"]),
        ({"title": "Porsche 911"}, ["porsche nine eleven", "порше"]),
        ({"title": "Ford Mustang"}, ["stang", "ford stang"]),
        ({"title": "Chevrolet Corvette"}, ["vette", "chevy vette"]),
        ({"title": "Lamborghini Huracan"}, ["lambo"]),
        ({"title": "Alfa Romeo Giulia"}, ["alfa giulia", "alfaromeo"]),
        ({"title": "Volkswagen Beetle"}, ["vw bug", "käfer", "kafer"]),
        ({"title": "Subaru Impreza"}, ["subie impreza"]),
        ({"title": "Mitsubishi Lancer Evolution"}, ["mitsu evo", "lancer evo"]),
    ],
)
async def test_makes_and_models_are_found_as_people_say_them(
    api: Api, stored: dict[str, object], typed: list[str]
) -> None:
    ids = await offer(api, stored, {"title": "Something else"})
    assert {q: await found(api, q) for q in typed} == dict.fromkeys(typed, ids[:1])


async def test_the_place_is_searched_too(api: Api) -> None:
    berlin, _ = await offer(
        api, {"title": "Toyota Corolla", "location": "Berlin"}, {"title": "Toyota Corolla", "location": "Köln"}
    )
    assert await found(api, "corolla berlin") == [berlin]
    assert await found(api, "berlin") == [berlin]


@pytest.mark.parametrize(
    ("stored", "typed"),
    [
        ("トヨタカローラ", "カローラ"),
        ("トヨタカローラ", "トヨタ"),
        ("トヨタカローラ", "ｶﾛｰﾗ"),
        ("日産スカイラインGT-R", "スカイライン"),
        ("全新丰田汉兰达", "汉兰达"),
        ("ขายรถเก๋งโตโยต้าโคโรลล่า", "โตโยต้า"),
        ("ລົດໂຕໂຍຕ້າ", "ໂຕໂຍຕ້າ"),
        ("รถกระบะ", "กระบะ"),
        ("新車", "車"),
    ],
)
async def test_words_are_found_within_text_without_blanks(api: Api, stored: str, typed: str) -> None:
    ids = await offer(api, {"title": stored}, {"title": "ホンダフィット 红旗 มือสอง"})
    assert await found(api, typed) == ids[:1]


async def test_a_number_comes_before_longer_numbers(api: Api) -> None:
    ids = await offer(
        api,
        {"title": "Porsche 911"},
        {"title": "Volvo", "content": "9110 km"},
        {"title": "Saab", "content": "It has 911 km."},
    )
    assert await found(api, "911") == [ids[0], ids[2]]


async def test_the_best_match_comes_first_and_the_newest_of_equals(api: Api) -> None:
    titled, newer, written, plural, unfinished = await offer(
        api,
        {"title": "Blue roadster"},
        {"title": "Roadster, red"},
        {"title": "A car", "content": "A roadster."},
        {"title": "Two roadsters"},
        {"title": "Roadsterlike"},
    )
    expected = [newer, titled, written, plural, unfinished]
    assert await found(api, "roadster") == expected
    assert await found(api, "roadster", sort="relevance") == expected
    assert await found(api, "roadster", sort="newest") == sorted(expected, reverse=True)
    pages = [one["id"] for one in await api.every_page("/api/listings?q=roadster", limit=1)]
    assert pages == expected


async def test_a_make_is_found_although_it_was_typed_with_blanks(api: Api) -> None:
    ids = await offer(
        api, {"title": " Camry  ", "make": "Toyota ", "model": "\tCamry\u00a0"}, {"make": "Citroe\u0308n"}
    )
    for query in ({"make": "Toyota"}, {"make": " toyota "}, {"model": "camry"}):
        answer = await api.call("GET", "/api/listings", 200, params=query)
        assert [(one["id"], one["title"], one["make"], one["model"]) for one in answer["data"]] == [
            (ids[0], "Camry", "Toyota", "Camry")
        ]
    answer = await api.call("GET", "/api/listings", 200, params={"make": "Citroën"})
    assert [one["make"] for one in answer["data"]] == ["Citroën"]


async def test_relevance_without_words_is_422(api: Api) -> None:
    problem = await api.call("GET", "/api/listings?sort=relevance", 422)
    assert set(problem["errors"]) == {"sort"}
