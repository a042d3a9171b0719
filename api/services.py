"""The services that handlers use: built once from the settings, started and stopped with the application."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from functools import partial

from aiohttp import web

from api.away import Away
from api.challenges import Challenges
from api.chores import Chores
from api.devices import Devices
from api.front_page import FrontPage, read_front_pages
from api.looking import Looking
from api.mail.mailing import Mailing
from api.mail_links import MailLinks
from api.passkey_ceremonies import Ceremonies
from api.passwords import Passwords
from api.pictures.abandoned import AbandonedFiles
from api.pictures.missing_likenesses import MissingLikenesses
from api.pictures.missing_sizes import MissingSizes
from api.pictures.receiving import Receiving
from api.pictures.storage import PictureStorage
from api.pictures.workers import PictureWorkers
from api.push.vapid import Vapid
from api.rate_limits import RateLimits
from api.realtime import Realtime
from api.request_counts import RequestCounts
from api.schemas.saved_searches import stored_filter
from api.searches import SearchPlaces
from api.shown_categories import read_shown_categories
from api.telling import Telling
from shared import places
from shared.access.address_hashes import AddressHashes
from shared.access.admission import Admission
from shared.access.tokens import Tokens
from shared.membership import Membership
from shared.postgres import Database, Transaction
from shared.private_chat import Chats
from shared.pubsub.broker import Broker
from shared.repositories.alerts import AlertRepository
from shared.repositories.audit import AuditRepository
from shared.repositories.blocks import BlockRepository
from shared.repositories.categories import CategoryRepository
from shared.repositories.conversations import ConversationRepository
from shared.repositories.export import ExportRepository
from shared.repositories.favourites import FavouriteRepository
from shared.repositories.findings import FindingRepository
from shared.repositories.holds import HoldRepository
from shared.repositories.listing_access import ListingAccess
from shared.repositories.listing_facets import ListingFacets
from shared.repositories.listing_search import ListingSearch
from shared.repositories.listings import ListingRepository
from shared.repositories.mail_choices import MailChoiceRepository
from shared.repositories.mail_links import MailLinkRepository
from shared.repositories.message_pictures import MessagePictureRepository
from shared.repositories.message_writer import MessageWriter
from shared.repositories.messages import MessageRepository
from shared.repositories.moderation_queue import ModerationQueue
from shared.repositories.nodes import API_PREFIX
from shared.repositories.notes import NoteRepository
from shared.repositories.outbox import Outbox
from shared.repositories.passkeys import PasskeyRepository
from shared.repositories.pictures import PictureRepository
from shared.repositories.push import PushRepository
from shared.repositories.repeats import RepeatRepository
from shared.repositories.replies import ReplyRepository
from shared.repositories.reports import ReportRepository
from shared.repositories.returning import Returning
from shared.repositories.sanctions import SanctionRepository
from shared.repositories.saved_searches import SavedSearchRepository
from shared.repositories.second_factors import SecondFactorRepository, vault_of
from shared.repositories.sellers import SellerRepository
from shared.repositories.sessions import SessionRepository
from shared.repositories.shared_reads import SharedReads
from shared.repositories.sitemap import SitemapRepository
from shared.repositories.suggestions import SuggestionRepository
from shared.repositories.trash import TrashRepository
from shared.repositories.uploads import UploadRepository
from shared.repositories.users import UserRepository
from shared.security_events import SecurityEvents
from shared.settings import Settings

MOST_SHARED = 100
"""The most reads of one kind that share one statement."""


@dataclass(frozen=True, slots=True)
class Services:
    """All services. Add the repository of a new resource here."""

    settings: Settings
    database: Database
    broker: Broker
    tokens: Tokens
    admission: Admission
    passwords: Passwords
    devices: Devices
    second_factors: SecondFactorRepository
    export: ExportRepository
    passkeys: PasskeyRepository
    ceremonies: Ceremonies
    rate_limits: RateLimits
    request_counts: RequestCounts
    security_events: SecurityEvents
    realtime: Realtime
    membership: Membership
    users: UserRepository
    blocks: BlockRepository
    sessions: SessionRepository
    messages: MessageRepository
    message_pictures: MessagePictureRepository
    chats: Chats
    conversations: ConversationRepository
    categories: CategoryRepository
    listings: ListingRepository
    listing_search: ListingSearch
    suggestions: SuggestionRepository
    listing_facets: ListingFacets
    search_places: SearchPlaces
    shown_listings: SharedReads[int, str]
    front_pages: SharedReads[FrontPage, bytes]
    shown_categories: SharedReads[None, bytes]
    listing_access: ListingAccess
    sitemap: SitemapRepository
    trash: TrashRepository
    replies: ReplyRepository
    reports: ReportRepository
    sellers: SellerRepository
    findings: FindingRepository
    holds: HoldRepository
    looking: Looking
    moderation_queue: ModerationQueue
    sanctions: SanctionRepository
    notes: NoteRepository
    saved_searches: SavedSearchRepository
    favourites: FavouriteRepository
    alerts: AlertRepository
    telling: Telling
    vapid: Vapid | None
    pushes: PushRepository
    away: Away
    audit: AuditRepository
    pictures: PictureRepository
    picture_workers: PictureWorkers
    receiving: Receiving
    uploads: UploadRepository
    picture_storage: PictureStorage
    abandoned_files: AbandonedFiles
    chores: Chores
    message_writer: MessageWriter
    repeats: RepeatRepository
    outbox: Outbox
    mail_choices: MailChoiceRepository
    links: MailLinkRepository
    mail_links: MailLinks
    mailing: Mailing

    @classmethod
    def build(cls, settings: Settings, broker: Broker, node_id: str) -> Services:
        """Returns the services. Nothing is connected yet: the database connects on use, the broker when started."""
        database = Database(settings)
        users, listings = (
            UserRepository(database, has_mail=settings.has_mail, returning=Returning(AddressHashes.of(settings))),
            ListingRepository(database, has_mail=settings.has_mail),
        )
        categories = CategoryRepository(database)
        chats = Chats.of(database, settings)
        tokens = Tokens(settings.jwt_secrets, settings.access_token_seconds)
        pictures, storage = PictureRepository(database), PictureStorage.from_settings(settings)
        workers = PictureWorkers.from_settings(settings)
        missing_sizes = MissingSizes(pictures, storage, workers, grace_seconds=settings.picture_grace_seconds)
        missing_likenesses = MissingLikenesses(pictures, storage, workers)
        search = ListingSearch(database, correction_seconds=settings.correction_seconds)
        realtime = Realtime(settings, broker, node_id)
        vapid = Vapid.of(settings)
        mail_links = MailLinks(settings)
        return cls(
            settings=settings,
            database=database,
            broker=broker,
            tokens=tokens,
            admission=Admission.of(settings, tokens, users),
            passwords=Passwords(settings),
            devices=Devices(settings.jwt_secrets),
            second_factors=SecondFactorRepository(database, vault_of(settings), has_mail=settings.has_mail),
            export=ExportRepository(database),
            passkeys=PasskeyRepository(database, has_mail=settings.has_mail),
            ceremonies=Ceremonies(Challenges(settings.jwt_secrets)),
            rate_limits=RateLimits(settings),
            request_counts=RequestCounts(),
            security_events=SecurityEvents(),
            realtime=realtime,
            membership=realtime.membership(),
            users=users,
            blocks=chats.blocks,
            sessions=SessionRepository(database),
            messages=chats.messages,
            message_pictures=MessagePictureRepository(database),
            chats=chats,
            conversations=ConversationRepository(database),
            categories=categories,
            listings=listings,
            shown_listings=SharedReads(listings.read_many_for_anyone, most=MOST_SHARED),
            front_pages=SharedReads(partial(read_front_pages, listings), most=MOST_SHARED),
            shown_categories=SharedReads(partial(read_shown_categories, categories), most=MOST_SHARED),
            listing_search=search,
            suggestions=SuggestionRepository(database),
            listing_facets=ListingFacets(database, search, seconds=settings.facets_seconds),
            search_places=SearchPlaces(settings.max_searches, settings.max_waiting_searches),
            listing_access=ListingAccess(database),
            sitemap=SitemapRepository(database),
            trash=TrashRepository(database, own_days=settings.own_trash_days),
            replies=ReplyRepository(database, has_mail=settings.has_mail),
            reports=ReportRepository(database),
            sellers=SellerRepository(database),
            findings=FindingRepository(database),
            holds=HoldRepository(database),
            looking=Looking(settings, realtime),
            moderation_queue=ModerationQueue(database),
            sanctions=SanctionRepository(database, has_mail=settings.has_mail),
            notes=NoteRepository(database),
            saved_searches=SavedSearchRepository(database, search.query),
            favourites=FavouriteRepository(database),
            alerts=AlertRepository(database),
            telling=Telling(settings, realtime, stored_filter),
            vapid=vapid,
            pushes=PushRepository(database),
            away=Away(settings, vapid),
            audit=AuditRepository(database),
            pictures=pictures,
            receiving=Receiving(settings.max_arriving_parts),
            uploads=UploadRepository(database),
            picture_workers=workers,
            picture_storage=storage,
            abandoned_files=AbandonedFiles(pictures, storage, settings.abandoned_files_seconds),
            chores=Chores(
                settings,
                missing_sizes=missing_sizes.make_some,
                missing_likenesses=missing_likenesses.make_some,
            ),
            message_writer=chats.writer,
            repeats=RepeatRepository(database),
            outbox=Outbox(database, is_on=settings.has_mail),
            mail_choices=MailChoiceRepository(database),
            links=MailLinkRepository(database),
            mail_links=mail_links,
            mailing=Mailing(settings, mail_links),
        )

    def within(self, transaction: Transaction) -> Services:
        """Returns the services with the repositories of what requests make and change, in this transaction."""
        return replace(
            self,
            users=self.users.within(transaction),
            categories=CategoryRepository(transaction),
            listings=ListingRepository(transaction, has_mail=self.settings.has_mail),
            replies=ReplyRepository(transaction, has_mail=self.settings.has_mail),
            reports=ReportRepository(transaction),
            sanctions=SanctionRepository(transaction, has_mail=self.settings.has_mail),
            notes=NoteRepository(transaction),
            saved_searches=SavedSearchRepository(transaction, self.saved_searches.words),
            pictures=PictureRepository(transaction),
            message_pictures=MessagePictureRepository(transaction),
            uploads=UploadRepository(transaction),
            trash=TrashRepository(transaction, own_days=self.settings.own_trash_days),
            outbox=self.outbox.within(transaction),
            sessions=SessionRepository(transaction),
        )

    async def start(self) -> None:
        """Start everything that runs in the background."""
        places.load()
        await self.picture_workers.__aenter__()
        self.abandoned_files.start()
        self.chores.start()
        await self.broker.start(self.realtime)
        await self.membership.__aenter__()
        self.telling.start()
        self.looking.start()
        self.away.start()
        self.mailing.start()

    async def stop(self) -> None:
        """Finish the work in progress, then close all connections."""
        await self.message_writer.close()
        await self.admission.close()
        await self.shown_listings.close()
        await self.front_pages.close()
        await self.shown_categories.close()
        await self.abandoned_files.stop()
        await self.chores.stop()
        await self.telling.stop()
        await self.looking.stop()
        await self.away.stop()
        await self.mailing.stop()
        await self.picture_workers.close()
        await self.picture_storage.close()
        await self.broker.stop()
        await self.membership.__aexit__(None, None, None)
        await self.database.close()
        await self.rate_limits.close()
        self.passwords.close()


SERVICES = web.AppKey("services", Services)


def new_node_id() -> str:
    """Returns a random id for this process."""
    return f"{API_PREFIX}{secrets.token_hex(6)}"
