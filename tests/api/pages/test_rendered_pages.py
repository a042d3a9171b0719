"""The pages as the server renders them: what search engines, link previews and browsers without JavaScript see."""

# ruff: noqa: RUF001 (digits of other scripts are meant)

from __future__ import annotations

import re
import time
from ipaddress import ip_network
from typing import Any
from urllib.parse import urlencode

import pytest
from PIL import Image
from yarl import URL

from api.assets.files import FOLDER
from api.handlers.pages import WITH_CONTENT
from api.handlers.web import PAGES
from api.pages.facts import FACTS
from api.pages.srcset import IN_GALLERY, IN_LIST
from shared.domain.users import Role
from shared.repositories.vocabulary import rebuild_vocabulary
from tests.api.conftest import Api, MakeApi, Person
from tests.api.pages.reader import Seen, look
from tests.api.pictures.samples import encoded
from tests.api.rows import Rows
from tests.api.test_pictures import upload

pytestmark = pytest.mark.usefixtures("at_rest")

SITE = "https://cars.example.com"


@pytest.fixture
async def ann(api: Api) -> Person:
    return await api.register("Ann")


@pytest.fixture
async def category(api: Api) -> int:
    moderator = await api.register("Mod", Role.MODERATOR)
    body = {"name": "Sedans", "visibility": "public"}
    return int((await api.call("POST", "/api/categories", 201, who=moderator, json=body))["id"])


async def a_listing(api: Api, seller: Person, category: int, title: str = "A blue Golf", **more: Any) -> int:
    body = {"title": title, "content": f"All about {title}.", "category_id": category} | more
    return int((await api.call("POST", "/api/listings", 201, who=seller, json=body))["id"])


def titles(seen: Seen) -> list[str]:
    return [link.text() for link in seen.all(".card h2 a")]


async def test_the_front_page_shows_the_newest_cars_without_javascript(api: Api, ann: Person, category: int) -> None:
    for number in range(3):
        await a_listing(api, ann, category, f"Car {number}", price=12_500, year=2015, mileage=80_000, location="Boston")
    seen = await look(api, "/")
    assert titles(seen) == ["Car 2", "Car 1", "Car 0"]
    first = seen.all(".card")[0]
    assert " ".join(first.text().split()).startswith("Car 2 $12,500 2015 · 80,000 mi · Boston")
    assert seen.words("title") == "Used cars · Daveslist"
    assert seen.words("h1") == "Used cars"
    assert seen.all(".card h2 a")[0].attributes["href"] == "/listings/3"


async def test_a_form_without_javascript_filters_and_sorts(api: Api, ann: Person, category: int) -> None:
    await a_listing(api, ann, category, "Cheap", make="Audi", price=900)
    await a_listing(api, ann, category, "Dear", make="Audi", price=90_000)
    await a_listing(api, ann, category, "Other", make="Volvo", price=500)
    seen = await look(api, "/")
    filters = seen.one("form#filters")
    assert (filters.attributes["action"], filters.attributes["method"]) == ("/", "get")
    names = {field.attributes["name"] for field in seen.all("#filters [name], [form=filters][name]")}
    assert {"category_id", "make", "model", "year_min", "price_max", "mileage_max", "status", "sort"} <= names
    assert "Sedans" in filters.text()
    # As browsers send a form: empty fields too.
    seen = await look(api, f"/?category_id={category}&make=audi&model=&year_min=&price_max=&status=&sort=price")
    assert titles(seen) == ["Cheap", "Dear"]
    assert seen.attribute("#filters [name=make]", "value") == "audi"
    assert seen.words("#filters [name=category_id] [selected]") == "Sedans"
    assert seen.words("[name=sort] [selected]") == "Price: low to high"
    # The search in the header keeps the filters, and the filters keep the search.
    assert seen.attribute(".search [type=hidden][name=make]", "value") == "audi"
    seen = await look(api, "/?q=cheap")
    assert titles(seen) == ["Cheap"]
    assert seen.attribute("#filters [type=hidden][name=q]", "value") == "cheap"
    assert seen.attribute(".search [name=q]", "value") == "cheap"
    assert seen.words("title") == "Cars: cheap · Daveslist"


async def test_a_link_leads_to_the_next_page_until_the_last(api: Api, rows: Rows, ann: Person, category: int) -> None:
    for number in range(50):
        await rows.listing(ann.id, category, title=f"Car {number}", make="Fiat")
    await rows.listing(ann.id, category, title="Another")
    for start in ("/?make=fiat&sort=newest", f"/?seller_id={ann.id}"):
        found: list[str] = []
        address: str | None = start
        while address is not None:
            seen = await look(api, address)
            found += titles(seen)
            links = seen.all(".more a")
            address = links[0].attributes["href"] if links else None
        assert [title for title in found if title != "Another"] == [f"Car {number}" for number in reversed(range(50))]


async def test_the_page_of_a_car_has_everything_about_it(api: Api, ann: Person, category: int) -> None:
    listing = await a_listing(
        api, ann, category, make="VW", model="Golf", year=2015, mileage=80_000, price=12_500, location="Boston, MA"
    )
    await api.call("POST", f"/api/listings/{listing}/replies", 201, who=ann, json={"text": "It has new tyres."})
    seen = await look(api, f"/listings/{listing}")
    assert seen.words("title") == "A blue Golf · Daveslist"
    assert seen.words("h1") == "A blue Golf"
    assert seen.words(".price") == "$12,500"
    facts = {one.css_first("dt").text(): one.css_first("dd").text() for one in seen.all(".facts div")}  # type: ignore[union-attr]
    assert facts == {"Make": "VW", "Model": "Golf", "Year": "2015", "Mileage": "80,000 mi", "Location": "Boston, MA"}
    assert "All about A blue Golf." in seen.words("article")
    assert seen.words(".about-listing") == f"Listing {listing} More cars like this"
    assert seen.attribute(".about-listing a", "href") == "/?make=VW&model=Golf"
    assert seen.words(".reply bdi") == "Ann"
    assert "It has new tyres." in seen.words(".reply")
    assert seen.attribute(".seller a", "href") == f"/?seller_id={ann.id}"
    assert "Sedans" in seen.words(".listing-head")
    whole_times = [one.attributes["title"] or "" for one in seen.all("main time")]
    assert len(whole_times) == 2
    for whole_time in whole_times:
        assert re.fullmatch(r"[A-Z][a-z]{2} [0-9]{1,2}, [0-9]{4}, [0-9]{2}:[0-9]{2} UTC", whole_time)


def test_the_facts_are_those_of_the_pages_modules() -> None:
    shown = re.findall(r'name: "(\w+)",\s+label: "([^"]+)"', (FOLDER / "facts.js").read_text(encoding="utf-8"))
    assert len(shown) > 5
    assert {name: label for name, (label, _) in FACTS.items()} == {
        name: label for name, label in shown if name not in ("price", "vin")
    }


async def test_the_facts_are_written_as_the_modules_write_them(api: Api, ann: Person, category: int) -> None:
    about: dict[str, Any] = {
        "fuel": "lpg",
        "drive": "four",
        "condition": "like_new",
        "power_kw": 100,
        "engine_cc": 1968,
        "doors": 5,
    }
    seen = await look(api, f"/listings/{await a_listing(api, ann, category, **about)}")
    assert [value.text() for value in seen.all(".facts dd")] == [
        *("LPG", "Four wheels, switchable", "5", "100 kW (134 hp)", "1,968 cc", "Like new")
    ]


async def test_a_vin_is_for_people_who_are_logged_in(api: Api, ann: Person, category: int) -> None:
    vin = "1HGCM82633A004352"
    listing = await a_listing(api, ann, category, vin=vin)
    seen = await look(api, f"/listings/{listing}")
    assert vin not in seen.text
    assert "Log in to see it" in seen.words(".facts")


async def test_a_price_that_dropped_is_shown_with_the_one_before(api: Api, ann: Person, category: int) -> None:
    listing = await a_listing(api, ann, category, price=9000)
    await api.call("PATCH", f"/api/listings/{listing}", 200, who=ann, json={"price": 8500})
    seen = await look(api, f"/listings/{listing}")
    assert seen.words(".price") == "$8,500, was $9,000"
    assert seen.words(".past-prices li").startswith("$9,000, until ")
    assert (await look(api, "/")).words(".price") == "$8,500, was $9,000"


async def test_several_boxes_may_be_ticked(api: Api, ann: Person, category: int) -> None:
    await a_listing(api, ann, category, "Diesel", fuel="diesel", make="VW")
    await a_listing(api, ann, category, "Petrol", fuel="gasoline", make="VW")
    await a_listing(api, ann, category, "Electric", fuel="electric", make="VW")
    seen = await look(api, "/?fuel=diesel&fuel=electric&make=VW&engine_cc_min=")
    assert titles(seen) == ["Electric", "Diesel"]
    ticked = [box.attributes["value"] for box in seen.all("#filters [type=checkbox][checked]")]
    assert ticked == ["diesel", "electric"]
    assert seen.attribute('link[rel="canonical"]', "href").endswith("/?make=VW&fuel=diesel%2Celectric")


async def test_a_search_says_what_it_asks_and_how_many_cars_it_found(
    api: Api, rows: Rows, ann: Person, category: int
) -> None:
    for number in range(25):
        await rows.listing(ann.id, category, title=f"Car {number}", make="Fiat", price=number)
    seen = await look(api, f"/?category_id={category}&make=Fiat&price_max=900&q=car")
    assert [chip.text() for chip in seen.all(".chip bdi")] == ["car", "Fiat", "Sedans", "up to $900"]
    assert seen.all(".chip")[1].attributes["href"] == f"/?q=car&category_id={category}&price_max=900"
    assert (seen.words(".filters > summary"), seen.words(".found")) == ("Filters (3)", "24+ cars")
    assert seen.words("h1") == "“car”"
    seen = await look(api, f"/?seller_id={ann.id}&price_max=2")
    assert (seen.words("h1"), seen.words(".found")) == ("Cars of Ann", "3 cars")
    assert seen.all(".chip")[-1].attributes["href"] == "/?price_max=2"
    assert (await look(api, "/")).words(".filters > summary") == "Filters"


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("/", "No cars yet. Be the first to sell one."),
        ("/?q=zagato&sort=price", "Nothing is found for “zagato”. Check the spelling, or try other words."),
        ("/?q=zagato&price_max=900", "No car is like that. Try fewer filters."),
        ("/?seller_id=1&status=any", "There are no cars of this person now."),
    ],
)
async def test_a_search_that_found_nothing_says_what_could_help(api: Api, address: str, words: str) -> None:
    seen = await look(api, address)
    assert (seen.words(".empty"), seen.words(".found")) == (words, "No cars")


async def test_filters_without_an_input_of_their_own_are_kept(api: Api) -> None:
    seen = await look(api, "/?engine_cc_max=2000&make=VW")
    assert seen.attribute("#filters [type=hidden][name=engine_cc_max]", "value") == "2000"


async def test_a_corrected_search_says_so_and_leads_to_what_was_typed(
    api: Api, rows: Rows, ann: Person, category: int
) -> None:
    for seller in (ann, await api.register("Bob"), await api.register("Cid")):
        await a_listing(api, seller, category, "Toyota Camry", make="Toyota", model="Camry")
    async with rows.database.transaction() as transaction:
        await rebuild_vocabulary(transaction)
    seen = await look(api, "/?q=toyta&sort=price")
    assert len(titles(seen)) == 3
    assert seen.words(".corrected") == "Showing results for toyota. Search instead for toyta."
    hrefs = [link.attributes["href"] for link in seen.all(".corrected a")]
    assert hrefs == ["/?q=toyota&sort=price", "/?q=toyta&sort=price&verbatim=true"]
    assert titles(await look(api, hrefs[1] or "")) == []


async def test_a_sold_car_is_shown_and_says_so(api: Api, ann: Person, category: int) -> None:
    listing = await a_listing(api, ann, category)
    await api.call("PATCH", f"/api/listings/{listing}", 200, who=ann, json={"status": "sold"})
    seen = await look(api, f"/listings/{listing}")
    assert seen.words(".flags") == "Sold"
    assert seen.data('script[type="application/ld+json"]')["offers"]["availability"] == "https://schema.org/SoldOut"
    assert titles(await look(api, "/")) == []
    assert titles(await look(api, "/?status=sold")) == ["A blue Golf"]


async def test_a_shared_link_has_a_card_with_the_first_picture(make_api: MakeApi) -> None:
    api = await make_api(site_url=SITE + "/")
    ann, moderator = await api.register("Ann"), await api.register("Mod", Role.MODERATOR)
    body = {"name": "Sedans", "visibility": "public"}
    category = (await api.call("POST", "/api/categories", 201, who=moderator, json=body))["id"]
    about: dict[str, Any] = {"price": 12_500, "make": "VW", "year": 2015, "mileage": 9, "content": 'Nice\n"car" & <b>'}
    listing = await a_listing(api, ann, category, **about)
    pictures = [await upload(api, listing, ann) for _ in range(2)]
    seen = await look(api, f"/listings/{listing}", Host="evil.example")
    address = f"{SITE}/listings/{listing}"
    assert seen.attribute('link[rel="canonical"]', "href") == address
    assert seen.meta("og:url") == address
    assert seen.meta("og:title") == "A blue Golf"
    assert seen.meta("og:type") == "product"
    assert seen.meta("og:image") == SITE + pictures[0]["url"]
    assert seen.meta("og:image:width") == str(pictures[0]["width"])
    assert seen.meta("twitter:card") == "summary_large_image"
    assert seen.meta("description") == seen.meta("og:description") == '$12,500 · 2015 · 9 mi · Nice "car" & <b>'
    images = [one.attributes["src"] for one in seen.all(".gallery img")]
    assert images == [pictures[0]["url"], *(one["thumbnail_url"] for one in pictures)]
    car = seen.data('script[type="application/ld+json"]')
    assert car["@type"] == "Car"
    assert car["image"] == [SITE + one["url"] for one in pictures]
    assert car["brand"] == {"@type": "Brand", "name": "VW"}
    assert car["mileageFromOdometer"] == {"@type": "QuantitativeValue", "value": 9, "unitCode": "SMI"}
    assert car["offers"]["price"] == 12_500
    assert car["description"] == 'Nice\n"car" & <b>'
    assert "evil.example" not in seen.one("head").html.split('name="socket"')[0]  # type: ignore[union-attr]


async def test_browsers_are_told_the_sizes_of_pictures_and_which_to_ask_for_first(
    api: Api, rows: Rows, ann: Person, category: int
) -> None:
    cars = [await a_listing(api, ann, category, f"Car {number}") for number in range(2)]
    photo, small = encoded(Image.new("RGB", (1600, 1200)), "JPEG"), encoded(Image.new("RGB", (600, 450)), "JPEG")
    first, _ = [(await upload(api, cars[0], ann, data=data))["url"] for data in (photo, small)]
    second = (await upload(api, cars[1], ann, data=small))["url"]
    large = f"{first}/thumbnail 480w, {first}/medium 800w, {first} 1600w"
    seen = await look(api, "/")
    assert [one.attributes for one in seen.all(".card img")] == [
        {
            "srcset": f"{second}/thumbnail 480w, {second}/medium 600w", "sizes": IN_LIST, "src": f"{second}/thumbnail",
            "alt": "", "width": "600", "height": "450", "loading": "eager", "fetchpriority": "high",
            "decoding": "async",
        },
        {
            "srcset": large, "sizes": IN_LIST, "src": f"{first}/thumbnail", "alt": "", "width": "1600",
            "height": "1200", "loading": "lazy", "decoding": "async",
        },
    ]  # fmt: skip
    seen = await look(api, f"/listings/{cars[0]}")
    main, *thumbnails = [one.attributes for one in seen.all(".gallery img")]
    assert main["srcset"] == large
    assert (main["src"], main["sizes"], main["fetchpriority"]) == (first, IN_GALLERY, "high")
    assert [one["loading"] for one in (main, *thumbnails)] == ["eager", "lazy", "lazy"]
    assert not any("srcset" in one or "fetchpriority" in one for one in thumbnails)
    # A picture of an earlier version has no other sizes.
    await rows.execute("UPDATE pictures SET medium_width = NULL, thumbnail_width = NULL")
    seen = await look(api, f"/listings/{cars[0]}")
    assert "srcset" not in seen.text
    assert seen.attribute(".gallery-main img", "src") == first


def test_the_modules_know_the_same_sizes_of_pictures() -> None:
    module = (FOLDER / "ui" / "picture.js").read_text(encoding="utf-8")
    for name, sizes in (("IN_LIST", IN_LIST), ("IN_GALLERY", IN_GALLERY)):
        assert f'export const {name} = "{sizes}";' in module


async def test_without_the_setting_the_links_name_the_host_of_the_request(api: Api, ann: Person, category: int) -> None:
    listing = await a_listing(api, ann, category)
    seen = await look(api, f"/listings/{listing}", Host="cars.example:4001")
    assert seen.attribute('link[rel="canonical"]', "href") == f"http://cars.example:4001/listings/{listing}"


@pytest.mark.parametrize("host", ['a"><script>', "a b", "a/b", "a,b", "evil.example"])
async def test_a_host_that_is_malformed_or_foreign_is_in_no_link(make_api: MakeApi, host: str) -> None:
    api = await make_api(allowed_origins=("https://cars.example.com",))
    seen = await look(api, "/", Host=host)
    assert seen.all('link[rel="canonical"]') == []
    assert seen.all('meta[property="og:url"]') == []
    assert "<script>" not in seen.text


async def test_a_trusted_proxy_says_which_address_the_visitor_used(make_api: MakeApi) -> None:
    api = await make_api(trusted_proxies=(ip_network("127.0.0.0/8"),))
    named: dict[str, Any] = {"X-Forwarded-Host": "cars.example.com", "X-Forwarded-Proto": "https"}
    seen = await look(api, "/", Host="api-1:4001", **named)
    assert seen.attribute('link[rel="canonical"]', "href") == "https://cars.example.com/"
    seen = await look(await make_api(), "/", Host="api-1:4001", **named)
    assert seen.attribute('link[rel="canonical"]', "href") == "http://api-1:4001/"


async def test_the_canonical_address_of_a_search_has_its_filters_in_one_order(api: Api) -> None:
    for query in ("price_max=900&make=VW", "make=VW&price_max=900&model=&utm_source=x&sort=newest&within=25mi"):
        seen = await look(api, f"/?{query}")
        assert URL(seen.attribute('link[rel="canonical"]', "href")).raw_path_qs == "/?make=VW&price_max=900"


async def test_a_sellers_page_names_the_seller(api: Api, ann: Person, category: int) -> None:
    bob = await api.register("Bob")
    await a_listing(api, ann, category, "Of Ann")
    await a_listing(api, bob, category, "Of Bob")
    seen = await look(api, f"/?seller_id={ann.id}")
    assert titles(seen) == ["Of Ann"]
    assert seen.words("title") == "Cars of Ann · Daveslist"
    assert seen.words("h1 bdi") == "Ann"


async def test_the_modules_get_the_answers_that_were_rendered(api: Api, ann: Person, category: int) -> None:
    listing = await a_listing(api, ann, category, content="</script><!-- <b>")
    await api.call("POST", f"/api/listings/{listing}/replies", 201, who=ann, json={"text": "Hi"})
    answers = (await look(api, f"/listings/{listing}")).data("script#answers")
    assert answers == {
        "/api/listings/{id}": await api.call("GET", f"/api/listings/{listing}", 200),
        "/api/listings/{id}/replies": await api.call("GET", f"/api/listings/{listing}/replies", 200),
    }
    answers = (await look(api, "/?make=&sort=price")).data("script#answers")
    assert answers == {
        "/api/listings?sort=price": await api.call("GET", "/api/listings?sort=price", 200),
        "/api/categories": await api.call("GET", "/api/categories", 200),
    }


async def test_a_search_that_makes_no_sense_shows_its_errors_beside_the_fields(api: Api) -> None:
    seen = await look(api, "/?year_min=abc&price_max=-1&make=Audi", 422)
    assert seen.words("#filters-year_min-error")
    assert seen.words("#filters-price_max-error")
    assert seen.attribute("#filters-year_min", "value") == "abc"
    assert seen.attribute("#filters-make", "value") == "Audi"
    assert seen.all(".card") == []
    assert seen.all("script#answers") == []


@pytest.mark.parametrize(
    "rubbish",
    [
        "sort=bogus",
        "sort=price&sort=-price",
        "status=stolen",
        "fuel=banana",
        "doors=abc&doors=0&doors=77",
        "colour=" + ",".join(["pink"] * 60),
        "verbatim=banana",
        "category_id=sedans",
        "category_id=1&category_id=2",
        "seller_id=-3&category_id=0",
        "seller_id=" + "9" * 19,
        "within=banana",
        "page=2",
        "page=1e9&utm_source=x&hidden=true&vin=5",
        "cursor=nonsense",
        "cursor=" + "A" * 1100,
        # A cursor of the API, of another order.
        "cursor=WyJwcmljZSIsMSwxXQ",
        "cursor=a&cursor=b",
        "%00=%00",
    ],
)
async def test_rubbish_in_an_address_is_left_out(api: Api, ann: Person, category: int, rubbish: str) -> None:
    await a_listing(api, ann, category, "Any car")
    seen = await look(api, f"/?make=&{rubbish}")
    assert titles(seen) == ["Any car"]
    assert seen.attribute('link[rel="canonical"]', "href").endswith("/")


@pytest.mark.parametrize(
    ("query", "where", "words"),
    [
        ("price_min=9000&price_max=100", "#filters-price_max-error", "Less than the minimum."),
        ("price_max=cheap", "#filters-price_max-error", "Not a whole number."),
        ("year_min=-5", "#filters-year_min-error", "At least 0."),
        ("q=" + "a" * 300, ".results .fault", "Words: Longer than 200 characters."),
        ("engine_cc_min=big", ".results .fault", "Engine size: Not a whole number."),
        ("power_kw_max=x&make=" + "a" * 200, "#filters-make-error", "Longer than 100 characters."),
    ],
)
async def test_what_makes_no_sense_in_an_address_is_said_in_words_for_people(
    api: Api, query: str, where: str, words: str
) -> None:
    seen = await look(api, f"/?{query}", 422)
    assert seen.one(where).text() == words


async def test_what_is_on_a_list_counts_also_beside_rubbish(api: Api, ann: Person, category: int) -> None:
    await a_listing(api, ann, category, "Diesel", fuel="diesel", doors=5)
    await a_listing(api, ann, category, "Electric", fuel="electric", doors=5)
    assert titles(await look(api, "/?fuel=banana,diesel&doors=5&doors=555&sort=bogus")) == ["Diesel"]


async def test_numbers_in_an_address_are_read_as_people_write_them(api: Api, ann: Person, category: int) -> None:
    await a_listing(api, ann, category, "Dear", price=12_501, year=2015)
    await a_listing(api, ann, category, "Cheap", price=12_500, year=2015, mileage=85_000)
    for written in ("12,500", "12.500", "$12,500.00", "12 500 €", "١٢٬٥٠٠", "12.5k"):
        seen = await look(api, f"/?{urlencode({'price_max': written, 'year_min': '2015'})}")
        assert titles(seen) == ["Cheap"], written
        assert seen.attribute("#filters-price_max", "value") == "12,500"
        assert seen.attribute("#filters-year_min", "value") == "2015"
        assert seen.attribute('link[rel="canonical"]', "href").endswith("/?year_min=2015&price_max=12500")
    assert titles(await look(api, "/?mileage_max=85,000+miles")) == ["Cheap"]
    seen = await look(api, "/?price_max=cheap&mileage_max=85,000+km", 422)
    assert seen.attribute("#filters-price_max", "value") == "cheap"
    assert seen.words("#filters-mileage_max-error")


async def test_a_page_tells_the_servers_clock_to_its_modules(api: Api) -> None:
    told = (await look(api, "/")).response.headers["Server-Timing"]
    assert abs(float(told.removeprefix("now;desc=").strip('"')) / 1000 - time.time()) < 60


async def test_no_field_is_changed_by_the_wheel(api: Api) -> None:
    assert (await look(api, "/")).all("[type=number]") == []


async def test_the_pages_of_cars_are_the_same_for_everybody(api: Api, rows: Rows, ann: Person) -> None:
    """The address bar sends no token. A token that is sent nevertheless opens nothing, so a cache may keep the page."""
    listing = await rows.listing(ann.id, visibility="private")
    response = await api.client.get(f"/listings/{listing}", headers=ann.headers)
    assert response.status == 404


async def test_an_unchanged_page_is_not_sent_again(api: Api, ann: Person, category: int) -> None:
    listing = await a_listing(api, ann, category)
    for address in ("/", "/?make=vw", f"/listings/{listing}", "/login"):
        seen = await look(api, address)
        assert seen.response.headers["Cache-Control"] == "no-cache"
        tag = seen.response.headers["ETag"]
        for sent in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            again = await api.client.get(address, headers={"If-None-Match": sent})
            assert (again.status, await again.read()) == (304, b"")
            assert again.headers["ETag"] == tag
        again = await api.client.get(address, headers={"If-None-Match": '"other"'})
        assert again.status == 200
    await api.call("PATCH", f"/api/listings/{listing}", 200, who=ann, json={"make": "VW"})
    for address in ("/", "/?make=vw", f"/listings/{listing}"):
        assert (await api.client.get(address, headers={"If-None-Match": tag})).status == 200


async def test_pages_for_people_who_are_logged_in_are_not_for_search_engines(api: Api) -> None:
    for path in PAGES:
        if path in WITH_CONTENT or path in ("/login", "/register"):
            continue
        seen = await look(api, path.replace("{id}", "12").replace("{user_id}", "7"))
        assert seen.meta("robots") == "noindex"
        assert "JavaScript" in seen.words("noscript")


async def test_reads_of_pages_are_counted(make_api: MakeApi) -> None:
    api = await make_api(reads_per_minute=3)
    for _ in range(3):
        await look(api, "/")
    seen = await look(api, "/", 429)
    assert seen.words("h1") == "Too many requests"
    assert int(seen.response.headers["Retry-After"]) > 0


async def test_all_replies_are_read_without_javascript(api: Api, ann: Person, rows: Rows) -> None:
    number = await rows.listing(ann.id)
    await rows.execute(
        "INSERT INTO replies (listing_id, author_id, text)"
        " SELECT %s, %s, 'Reply ' || n FROM generate_series(1, 205) AS n",
        number,
        ann.id,
    )
    read: list[str] = []
    address: str | None = f"/listings/{number}"
    while address is not None:
        seen = await look(api, address)
        read += [reply.text() for reply in seen.all(".reply .user-text")]
        # Only the first page is for search engines, and for the modules, which begin with the first replies.
        is_first = address == f"/listings/{number}"
        assert ("/api/listings/{id}/replies" in seen.data("script#answers")) is is_first
        assert bool(seen.all('meta[name="robots"]')) is not is_first
        more = seen.all('.replies a[rel="next"]')
        address = (more[0].attributes["href"] or "").partition("#")[0] if more else None
    assert read == [f"Reply {count}" for count in range(1, 206)]
    seen = await look(api, f"/listings/{number}?replies=nonsense")
    assert seen.all(".reply .user-text")[0].text() == "Reply 1"
