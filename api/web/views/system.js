// For admins: what runs, what the gateways have to do now, and on which devices a person is logged in.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { api } from "../api.js";
import { count, megabytes, nameOf } from "../format.js";
import { navigate } from "../navigation.js";
import { live } from "../realtime/live.js";
import { LiveSystem } from "../realtime/live_system.js";
import { Acts } from "../ui/acts.js";
import { Form, input } from "../ui/form.js";
import { PagedList } from "../ui/list.js";
import { ago } from "../ui/moment.js";
import { adminTabs } from "../ui/tabs.js";
import { View } from "../view.js";

const WAYS = { websocket: "WebSocket", longpoll: "long polling" };

export class System extends View {
  title = "System";
  acts = new Acts(this);
  form = new Form(this, "devices", "", () => {});
  system = new LiveSystem({ connection: live, changed: () => this.#changed() });
  person = null;
  devices = null;
  /** The sessions of connections for which the list was read again, since it did not have them. */
  #lookedFor = new Set();
  #disconnecting = new Set();

  start() {
    this.system.start();
    const id = this.query.get("user") ?? "";
    if (!/^[1-9]\d{0,18}$/.test(id)) return;
    this.load(async () => {
      this.person = await api.get(`/api/users/${id}`, { signal: this.signal });
    });
    this.devices = new PagedList(this, `/api/users/${id}/sessions`);
    this.devices.load();
    this.system.ask(Number(id));
  }

  stop() {
    super.stop();
    this.system.stop();
  }

  #changed() {
    // Somebody has logged in meanwhile.
    const others = this.#others().map((one) => one.session_id).filter((id) => id !== null && !this.#lookedFor.has(id));
    if (others.length && this.devices.isLoaded && !this.devices.isLoading) {
      for (const id of others) this.#lookedFor.add(id);
      this.devices.loadPages(this.devices.pages);
    }
    this.update();
  }

  /** The person's connections of sessions that the list does not have. */
  #others() {
    const listed = new Set(this.devices?.items.map((one) => one.id));
    return this.devices ? this.system.connections.filter((one) => !listed.has(one.session_id)) : [];
  }

  template() {
    const { nodes, gateways } = this.system;
    return html`${adminTabs()}
      <h1>System</h1>
      ${nodes === null
        ? html`<p class="quiet" role="status">Waiting for the gateways…</p>`
        : html`${this.#processes(nodes)} ${this.#topics(gateways)} ${this.#slow(gateways)} ${this.#reasons(gateways)}`}
      ${this.#devices()}`;
  }

  #processes(nodes) {
    const reports = new Map(this.system.gateways.map((report) => [report.node, report]));
    const total = [...reports.values()].reduce((sum, one) => sum + one.connections, 0);
    return html`<h2>Processes</h2>
      <p id="total" role="status">${count(total, "connection", "connections")}</p>
      <div class="table" role="region" aria-label="Processes" tabindex="0">
        <table>
          <thead>
            <tr>
              <th scope="col">Kind</th>
              <th scope="col">Name</th>
              <th scope="col">Version</th>
              <th scope="col">Since</th>
              <th scope="col">State</th>
              <th scope="col">Connections</th>
              <th scope="col">People</th>
              <th scope="col">Joined topics</th>
            </tr>
          </thead>
          <tbody>
            ${nodes.map((node) => this.#process(node, reports.get(node.id)))}
          </tbody>
        </table>
      </div>`;
  }

  #process(node, report) {
    const number = (value) => html`<td>${value ?? ""}</td>`;
    return html`<tr data-node=${node.id}>
      <td>${node.kind === "api" ? "API" : "Gateway"}</td>
      <td><code>${node.id}</code></td>
      <td>${node.version ?? "older"}</td>
      <td>${node.started_at === null ? "" : ago(new Date(node.started_at * 1000).toISOString())}</td>
      <td>${stateOf(node, report)}</td>
      ${number(report && (report.longpolls ? `${report.connections} (${report.longpolls} by long polling)` : report.connections))}
      ${number(report?.users)} ${number(report?.channels)}
    </tr>`;
  }

  #topics(gateways) {
    const members = new Map();
    for (const { topic, members: here } of gateways.flatMap((one) => one.topics)) {
      members.set(topic, (members.get(topic) ?? 0) + here);
    }
    // As many as one gateway names.
    const most = Math.max(0, ...gateways.map((one) => one.topics.length));
    const largest = [...members].sort((one, other) => other[1] - one[1]).slice(0, most);
    return html`<h2>Topics with most members</h2>
      ${list(
        largest.map(
          ([topic, here]) => html`<li><code>${topic}</code> <span class="quiet">${count(here, "member", "members")}</span></li>`,
        ),
        "Nobody has joined a topic.",
      )}`;
  }

  #slow(gateways) {
    const slowest = gateways.flatMap((one) => one.slow).sort((one, other) => other.bytes - one.bytes);
    return html`<h2>Slow readers</h2>
      ${list(
        slowest
          .slice(0, Math.max(0, ...gateways.map((one) => one.slow.length)))
          .map(
            (one) =>
              html`<li>
                <a href=${`/admin/system?user=${one.user_id}`}>Person ${one.user_id}</a>
                <span class="quiet">${megabytes(one.bytes)} wait</span>
              </li>`,
          ),
        "Everybody reads as fast as the gateways write.",
      )}`;
  }

  #reasons(gateways) {
    return html`<h2>Refused and closed</h2>
      <p class="quiet">Since each gateway started.</p>
      ${["refused", "closed"].map((what) => {
        const counts = new Map();
        for (const [reason, times] of gateways.flatMap((one) => Object.entries(one[what]))) {
          counts.set(reason, (counts.get(reason) ?? 0) + times);
        }
        const rows = [...counts].sort((one, other) => other[1] - one[1]);
        const words = what === "refused" ? "Connects refused" : "Connections closed by a gateway";
        return html`<h3>${words}</h3>
          ${list(
            rows.map(([reason, times]) => html`<li>${reason} <span class="quiet">${count(times, "time", "times")}</span></li>`),
            "None.",
          )}`;
      })}`;
  }

  #devices() {
    const find = (event) => {
      event.preventDefault();
      const id = new FormData(event.currentTarget).get("user").trim();
      navigate(id ? `/admin/system?${new URLSearchParams({ user: id })}` : "/admin/system");
    };
    return html`<h2>Devices of a person</h2>
      <form id="devices" class="form inline" role="search" aria-label="Devices of a person" @submit=${find}>
        ${input(this.form, { name: "user", label: "Number of the person", value: this.query.get("user") ?? "", inputmode: "numeric" })}
        <p class="actions"><button class="button primary">Show</button></p>
      </form>
      ${this.acts.template()}
      ${this.person
        ? html`<p><a href=${`/moderation/people/${this.person.id}`}><bdi translate="no">${nameOf(this.person)}</bdi></a></p>`
        : nothing}
      ${this.devices?.rows((one) => this.#device(one), "They are logged in nowhere.") ?? nothing}
      ${this.#unlisted()}`;
  }

  #unlisted() {
    const others = this.devices?.isLoaded ? this.#others() : [];
    return others.length
      ? html`<p class="quiet" id="unlisted">Connected without a device in this list: ${others.map(wayOf).join(", ")}</p>`
      : nothing;
  }

  #device(one) {
    const device = one.device || "An unknown device";
    const connected = this.system.connections.filter((each) => each.session_id === one.id);
    return html`<li data-session=${one.id}>
      <div class="row-text">
        <p><bdi>${device}</bdi></p>
        <p class="quiet small-text">
          ${connected.length
            ? html`Connected by ${connected.map(wayOf).join(", ")}`
            : "Not connected"},
          used ${ago(one.used_at)}
        </p>
      </div>
      <button class="button small" aria-label=${`Disconnect ${device}`} @click=${() => this.#disconnect(one)}>Disconnect</button>
    </li>`;
  }

  async #disconnect(one) {
    // A second press, while the first one is under way, would find no such device any more.
    if (this.#disconnecting.has(one.id)) return;
    this.#disconnecting.add(one.id);
    await this.acts.do(async () => {
      try {
        await api.delete(`/api/users/${this.query.get("user")}/sessions/${encodeURIComponent(one.id)}`);
      } catch (error) {
        // Somebody else has disconnected it meanwhile.
        if (error.status !== 404) throw error;
      }
      this.devices.remove(one);
    }, "That device is disconnected and logged out.");
    this.#disconnecting.delete(one.id);
  }
}

const wayOf = ({ transport }) => WAYS[transport] ?? transport;

const list = (rows, none) => (rows.length ? html`<ul>${rows}</ul>` : html`<p class="quiet">${none}</p>`);

function stateOf(node, report) {
  if (!node.alive) return "has ended";
  if (report?.draining) return "is stopping";
  return node.heard ? "runs" : "is cut off from Redis";
}
