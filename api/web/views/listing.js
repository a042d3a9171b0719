// One car: pictures, facts, seller, replies. It is updated live, and removed when the user may no longer see it.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { repeat } from "../vendor/lit-html/directives/repeat.js";
import { api } from "../api.js";
import { now } from "../clock.js";
import { draftOf, keepDraft } from "../drafts.js";
import { FACTS, shownAs } from "../facts.js";
import { count, inTime, nameOf, price } from "../format.js";
import { isolated } from "../isolate.js";
import { limits } from "../limits.js";
import { Problem } from "../problem.js";
import { live } from "../realtime/live.js";
import { LiveListing } from "../realtime/live_listing.js";
import { navigate } from "../navigation.js";
import { session } from "../session.js";
import { announce } from "../ui/announcer.js";
import { flags } from "../ui/card.js";
import { Dialog } from "../ui/dialog.js";
import { Form, formOf, textarea } from "../ui/form.js";
import { Gallery } from "../ui/gallery.js";
import { heart } from "../ui/heart.js";
import { hideDialog } from "../ui/hide_dialog.js";
import { PagedList } from "../ui/list.js";
import { ago, ahead, day, exactly } from "../ui/moment.js";
import { REPORTED, reportDialog } from "../ui/report_dialog.js";
import { priceTag } from "../ui/price_tag.js";
import { Similar } from "../ui/similar.js";
import { userText } from "../ui/user_text.js";
import { View } from "../view.js";

/** Takes back a listing that its seller has just deleted. */
async function takeBack(id) {
  try {
    await api.post(`/api/trash/${id}/restore`, {});
    navigate(`/listings/${id}`, { notice: "Your listing is back." });
  } catch (error) {
    // There it can be tried again, also into another category.
    navigate("/listings/deleted", { notice: Problem.of(error).message });
  }
}

export class Listing extends View {
  title = "Car";
  listing = null;
  isRemoved = false;
  /** What became of sharing it. */
  shared = "";
  #seller = null;
  gallery = new Gallery(this);
  similar = new Similar(this);
  done = "";
  /** Counts requests and live updates, so that a late answer to an earlier request is recognized and dropped. */
  #turn = 0;
  #hasDraft = false;

  replyForm = new Form(this, "reply", "ReplyBody", async (values, element) => {
    const reply = await api.make(`/api/listings/${this.params.id}/replies`, values);
    this.#addReply(reply);
    element.reset();
    keepDraft(this.#draft, "");
    return "Your reply is posted.";
  });
  reporting = reportDialog(this, () => this.#say(REPORTED));
  hiding = hideDialog(this, async () => this.#read());
  deleting = new Dialog(this, "delete", {
    title: "Delete this listing?",
    action: "Delete",
    isDanger: true,
    fields: () => html`<p>
      It goes to the trash with its pictures and replies, and nobody finds it any more.
      ${this.#isOwn ? `For ${limits.own_trash_days} days you can take it back.` : "A moderator can take it back."} If the car is
      sold, “Mark as sold” keeps it on show.
    </p>`,
    submit: async () => {
      const [{ id }, isOwn] = [this.params, this.#isOwn];
      await api.delete(`/api/listings/${id}`);
      const undo = html` <button class="link" @click=${() => takeBack(id)}>Undo</button>`;
      navigate("/", { notice: html`The listing is deleted.${isOwn ? undo : nothing}` });
    },
  });

  start() {
    this.replies = new PagedList(this, `/api/listings/${this.params.id}/replies`, { limit: limits.page_items });
    this.live = new LiveListing(this.params.id, {
      connection: live,
      ask: () => this.#read(),
      // As many may be new as were deleted: the count does not tell.
      askAll: () => {
        this.#read();
        this.replies.load();
      },
      // The event has what visitors see, so a VIN has to be read.
      updated: (listing) => (listing.has_vin ? this.#read() : this.#updated(listing)),
      reply: (reply) => this.#addReply(reply, true),
      removed: () => this.#remove(),
      changed: () => this.update(),
    });
    this.#read();
    this.replies.load();
    this.live.start();
  }

  stop() {
    super.stop();
    this.live.stop();
    this.similar.stop();
  }

  get #isOwn() {
    return session.user !== null && session.user.id === this.listing?.seller.id;
  }

  get #draft() {
    return `reply to ${this.params.id}`;
  }

  /** The field may be the one of the listing before, with its text. */
  afterDraw() {
    this.similar.watch(this.listing);
    const field = document.querySelector("#reply textarea");
    if (!field || this.#hasDraft) return;
    this.#hasDraft = true;
    field.value = draftOf(this.#draft);
    field.addEventListener("input", () => this.isLeft || keepDraft(this.#draft, field.value));
  }

  get isPending() {
    return !this.isRemoved && !this.problem && (!this.listing || this.replies.isPending);
  }

  async #read() {
    const turn = (this.#turn += 1);
    try {
      const listing = await api.get(`/api/listings/${this.params.id}`, { signal: this.signal });
      if (turn !== this.#turn) return;
      this.#take(listing);
      this.live.follow();
    } catch (error) {
      if (this.isLeft || turn !== this.#turn) return;
      const problem = Problem.of(error);
      if (problem.status === 404) this.#remove();
      // If the API is unreachable for a moment, a listing that is shown already stays.
      else if (!this.listing) this.problem = problem;
    }
    this.update();
  }

  /** Takes the new state from a live update. The answer to a request that is still under way may be older. */
  #updated(listing) {
    // If two changes overtook each other, the later one stays.
    if (this.listing && listing.updated_at < this.listing.updated_at) return;
    this.#turn += 1;
    this.#take(listing);
    this.update();
  }

  #take(listing) {
    const isNews = this.listing && this.listing.reply_count !== listing.reply_count;
    // A live update has what visitors see.
    const { favourite, favourite_count, expires_at, ended } = this.listing ?? {};
    this.listing = { favourite, favourite_count, expires_at, ended, ...listing };
    this.title = isolated(listing.title);
    this.isRemoved = false;
    this.problem = null;
    if (isNews && listing.reply_count !== this.replies.items.length) this.replies.load();
  }

  /** Removes every part of the listing from the page. */
  #remove() {
    this.#turn += 1;
    if (this.listing) announce("This listing is no longer available.");
    this.listing = null;
    this.isRemoved = true;
    this.replies.items = [];
    this.title = "No longer available";
    this.update();
  }

  #addReply(reply, isLive = false) {
    if (!this.listing || this.replies.items.some((one) => one.id === reply.id)) return;
    this.replies.items = [...this.replies.items, reply].sort((a, b) => a.id - b.id);
    this.listing.reply_count += 1;
    if (isLive && reply.author.id !== session.user?.id) announce(`${isolated(nameOf(reply.author))} replied: ${reply.text}`);
    this.update();
  }

  #say(words) {
    this.done = words;
    this.update();
  }

  template() {
    if (this.isRemoved) {
      return html`<section class="narrow" id="removed">
        <h1>This listing is not available</h1>
        <p>It was removed, or it is not for everybody. <a href="/">See all cars</a>.</p>
      </section>`;
    }
    if (this.problem) {
      return html`<section class="narrow">
        <h1>This did not work</h1>
        <p class="fault" role="alert">${this.problem.message}</p>
      </section>`;
    }
    if (!this.listing) return html`<p class="quiet" role="status">Loading…</p>`;
    const listing = this.listing;
    return html`<article class="listing" data-listing=${listing.id}>
        ${this.#hiddenNotice()} ${this.#endedNotice()}
        <header class="listing-head">
          <div>
            <h1 dir="auto">${listing.title}</h1>
            <p class="quiet">
              <a href=${`/?category_id=${listing.category.id}`}><bdi>${listing.category.name}</bdi></a> ·
              ${ago(listing.created_at)} ${this.#viewers()}
            </p>
          </div>
          <div class="price-tag">
            <p class="price" translate="no">${priceTag(listing)}</p>
            ${flags(listing)} ${heart(listing, "Favourite")}
          </div>
        </header>
        <div class="listing-body">
          <div>${this.gallery.template(this.listing)} ${this.#facts()} ${this.#pastPrices()}</div>
          <aside class="listing-side" aria-label="Seller and actions">${this.#sellerPanel()} ${this.#actions()} ${this.#about()}</aside>
          <div>
            <h2>Description</h2>
            <p class="user-text" dir="auto">${userText(listing.content)}</p>
            ${this.#replies()}
          </div>
        </div>
      </article>
      ${this.similar.template()}
      ${this.reporting.template()} ${this.hiding.template()} ${this.deleting.template()}`;
  }

  #hiddenNotice() {
    const { hidden, hidden_until, hidden_reason } = this.listing;
    if (!hidden) return nothing;
    const until = hidden_until ? html` until ${exactly(hidden_until)}` : "";
    return html`<p class="notice warning" id="hidden-notice">
      This listing is hidden${until}: only its seller and moderators see it.
      ${hidden_reason ? html`Reason: <bdi>${hidden_reason}</bdi>` : nothing}
      ${this.listing.seller.id === session.user?.id ? html`<a href="/account/sanctions">Object</a>` : nothing}
    </p>`;
  }

  #endedNotice() {
    const { ended, expires_at } = this.listing;
    if (!ended) return nothing;
    return html`<p class="notice warning" id="ended-notice">
      This listing has ended, on ${exactly(expires_at)}: only its seller and moderators see it.
    </p>`;
  }

  #viewers() {
    const others = this.live.viewers.filter((id) => id !== String(session.user?.id)).length;
    if (!others) return nothing;
    return html`<span id="viewers">· ${count(others, "other person is looking", "other people are looking")}</span>`;
  }

  #facts() {
    const known = FACTS.filter(({ name, show }) => show !== null && (this.listing[name] ?? null) !== null);
    const isKept = this.listing.has_vin && !session.user;
    if (!known.length && !isKept) return nothing;
    return html`<dl class="facts">
        ${known.map((fact) => html`<div><dt>${fact.label}</dt><dd dir="auto" translate=${fact.name === "vin" ? "no" : nothing}>${shownAs(fact, this.listing[fact.name])}</dd></div>`)}
        ${isKept
          ? html`<div>
              <dt>VIN</dt>
              <dd><a href=${`/login?next=/listings/${this.listing.id}`}>Log in</a> to see it</dd>
            </div>`
          : nothing}
      </dl>
      ${this.#sameCar()}`;
  }

  /** For moderators: who else offers this very car. */
  #sameCar() {
    const others = this.listing.same_vin ?? [];
    if (!others.length) return nothing;
    return html`<p class="notice warning" id="same-car">
      Another seller offers a car with this VIN:
      ${others.map((id, index) => html`${index ? ", " : ""}<a href=${`/listings/${id}`}>listing ${id}</a>`)}.
    </p>`;
  }

  #pastPrices() {
    const past = this.listing.price_history;
    if (!past.length) return nothing;
    return html`<details class="past-prices">
      <summary>Earlier prices</summary>
      <ul>
        ${[...past].reverse().map((one) => html`<li>${price(one.price)}, until ${day(one.until)}</li>`)}
      </ul>
    </details>`;
  }

  #sellerPanel() {
    const { seller, id } = this.listing;
    const isHere = this.live.viewers.includes(String(seller.id));
    const isOwn = session.user?.id === seller.id;
    return html`<section class="panel">
      <h2>Seller</h2>
      <p class="seller">
        <a href=${`/?seller_id=${seller.id}`}><bdi translate="no">${nameOf(seller)}</bdi></a>
        ${isHere && !isOwn ? html`<span class="here">here now</span>` : nothing}
      </p>
      ${this.#memberSince()}
      ${isOwn
        ? html`<p class="quiet">This is your listing.</p>
            ${this.#end()} ${this.#favouriteCount()}`
        : html`<a class="button primary full" href=${`/messages/${seller.id}?listing=${id}`}>Message the seller</a>`}
    </section>`;
  }

  /** Since when the seller is here: only people who are signed in see profiles. */
  #memberSince() {
    const { id, name } = this.listing.seller;
    if (!session.user || !name) return nothing;
    if (this.#seller?.id !== id) {
      this.#seller = { id };
      api
        .get(`/api/users/${id}`, { signal: this.signal })
        .then((seller) => {
          this.#seller = seller;
          this.update();
        })
        .catch(() => {});
    }
    const { created_at: since } = this.#seller;
    return html`<p class="quiet small-text" id="member-since">${since ? html`Member since ${day(since)}` : nothing}</p>`;
  }

  async #share() {
    const { title } = this.listing;
    const url = `${location.origin}/listings/${this.listing.id}`;
    try {
      if (navigator.share) await navigator.share({ title, url });
      else {
        await navigator.clipboard.writeText(url);
        announce("The address is copied.");
        this.shared = "The address is copied.";
      }
    } catch (error) {
      // Somebody who changes their mind is no failure.
      if (error.name !== "AbortError") this.shared = url;
    }
    this.update();
  }

  #about() {
    const { id, make, model } = this.listing;
    const alike = new URLSearchParams(Object.entries({ make, model }).filter(([, value]) => value));
    return html`<p class="about-listing quiet small-text">
      Listing ${id}
      <button class="link small-text" @click=${() => this.#share()}>Share</button>
      ${make ? html`<a href=${`/?${alike}`}>More cars like this</a>` : nothing}
      <span role="status">${this.shared}</span>
    </p>`;
  }

  #end() {
    const { ended, expires_at, status } = this.listing;
    if (!expires_at || ended || status === "sold") return nothing;
    return html`<p id="ends">Ends ${ahead(expires_at)}.</p>`;
  }

  #favouriteCount() {
    const number = this.listing.favourite_count;
    if (!number) return nothing;
    return html`<p id="favourite-count">It is a favourite of ${count(number, "person", "people")}.</p>`;
  }

  #actions() {
    const { seller, id, hidden, status } = this.listing;
    const me = session.user;
    if (!me) return html`<p class="quiet"><a href=${`/login?next=/listings/${id}`}>Log in</a> to reply or report.</p>`;
    const isOwn = me.id === seller.id;
    const mayEdit = isOwn || session.is("admin");
    return html`<section class="panel">
      <h2>Actions</h2>
      <ul class="buttons">
        ${isOwn && status !== "sold"
          ? html`<li><button class="button" id="renew" @click=${() => this.#renew()}>Renew</button></li>`
          : nothing}
        ${mayEdit
          ? html`<li><a class="button" href=${`/listings/${id}/edit`}>Edit</a></li>
              <li>
                <button class="button" @click=${() => this.#setStatus(status === "sold" ? "available" : "sold")}>
                  ${status === "sold" ? "Offer again" : "Mark as sold"}
                </button>
              </li>
              <li><button class="button danger" @click=${() => this.deleting.open()}>Delete</button></li>`
          : nothing}
        ${isOwn
          ? nothing
          : html`<li><button class="button" @click=${() => this.#report()}>Report</button></li>`}
        ${session.is("moderator")
          ? html`<li>
              ${hidden
                ? html`<button class="button" @click=${() => this.#show()}>Show again</button>`
                : html`<button class="button" @click=${() => this.hiding.open(this.listing)}>Hide</button>`}
            </li>`
          : nothing}
      </ul>
      <p class="done" role="status">${this.done}</p>
    </section>`;
  }

  async #setStatus(status) {
    await this.#act(async () => api.patch(`/api/listings/${this.params.id}`, { status }), "");
  }

  async #show() {
    await this.#act(async () => api.delete(`/api/listings/${this.params.id}/hidden`), "The listing is shown again.");
  }

  async #renew() {
    try {
      this.#updated(await api.put(`/api/listings/${this.params.id}/renewed`));
      this.#say(`It is among the newest again, and ends ${inTime(this.listing.expires_at)}.`);
    } catch (error) {
      const { type, retryAfter, message } = Problem.of(error);
      const again = new Date(now() + retryAfter * 1000);
      this.#say(type === "renewed-recently" ? `You can renew it again ${inTime(again)}.` : message);
    }
  }

  async #act(work, words) {
    try {
      await work();
      this.#say(words);
      await this.#read();
    } catch (error) {
      this.#say(Problem.of(error).message);
    }
  }

  #replies() {
    const { items } = this.replies;
    return html`<section class="replies" aria-labelledby="replies-title">
      <h2 id="replies-title">Replies</h2>
      <ol class="reply-list">
        ${repeat(
          items,
          (reply) => reply.id,
          (reply) => this.#reply(reply),
        )}
      </ol>
      ${this.replies.foot("No replies yet.")}
      ${session.user
        ? formOf(this.replyForm, { label: "Reply", action: "Reply" }, [
            textarea(this.replyForm, {
              name: "text",
              label: "Your reply, for everybody to see",
              rows: 2,
              required: true,
              hint: `At most ${this.replyForm.limits.text.maxlength} characters.`,
            }),
          ])
        : html`<p class="quiet"><a href=${`/login?next=/listings/${this.listing.id}`}>Log in</a> to reply.</p>`}
    </section>`;
  }

  #reply(reply) {
    const mayDelete = session.user?.id === reply.author.id || session.is("admin");
    return html`<li class="reply" data-reply=${reply.id}>
      <p class="reply-head">
        <strong><bdi translate="no">${nameOf(reply.author)}</bdi></strong>
        ${ago(reply.created_at, "quiet small-text")}
        ${mayDelete
          ? html`<button class="link small-text" aria-label="Delete this reply" @click=${() => this.#deleteReply(reply)}>
              Delete
            </button>`
          : nothing}
        ${session.user && session.user.id !== reply.author.id
          ? html`<button
              class="link small-text"
              aria-label=${`Report the reply of ${isolated(nameOf(reply.author))}`}
              @click=${() =>
                this.reporting.open({ title: "What is wrong with this reply?", path: `/api/replies/${reply.id}` })}
            >
              Report
            </button>`
          : nothing}
      </p>
      <p class="user-text" dir="auto">${userText(reply.text)}</p>
    </li>`;
  }

  #report() {
    const path = `/api/listings/${this.params.id}`;
    this.reporting.open({ title: "What is wrong with this listing?", path, isListing: true });
  }

  async #deleteReply(reply) {
    await this.#act(async () => {
      await api.delete(`/api/replies/${reply.id}`);
      this.replies.remove(reply);
    }, "");
  }
}
