// A failure in words for people: the API's problem details (RFC 9457), or the fact that the server was unreachable.

export class Problem extends Error {
  constructor({ status = 0, type = "", title = "", detail = "", errors = {}, objection_token = "" }, retryAfter = null) {
    super(detail || title);
    this.status = status;
    this.type = type.replace("/problems/", "");
    this.errors = errors;
    /** With it, somebody who is banned can object. */
    this.objectionToken = objection_token;
    this.retryAfter = retryAfter;
  }

  /** Returns any error as a Problem. A fault of the page itself is also logged on the console. */
  static of(error) {
    if (error instanceof Problem) return error;
    if (error.name === "AbortError") return new Problem({ type: "aborted", title: "Stopped." });
    console.error(error);
    return new Problem({ type: "page", title: "Something went wrong on this page. Reloading it may help." });
  }

  static unreachable() {
    return new Problem({ type: "unreachable", title: "Daveslist cannot be reached. Check your connection and try again." });
  }

  static async fromResponse(response) {
    let body = {};
    try {
      body = await response.json();
    } catch {
      // The answer comes from a proxy, in an unknown form: use only its status.
    }
    const seconds = Number(response.headers.get("Retry-After"));
    const title = `The server answered ${response.status}.`;
    return new Problem({ title, ...body, status: response.status }, seconds || null);
  }

  /** Returns the errors of one field in one line; "" if it has none. */
  of(field) {
    return sentences(this.errors[field]).join(" ");
  }

  /** Returns the errors of all other fields in one line, with the fields' names or what `labels` calls them. */
  beside(fields, labels = {}) {
    const others = Object.keys(this.errors).filter((name) => !fields.includes(name));
    return others.map((name) => `${labels[name] ?? name}: ${this.of(name)}`).join(" ");
  }
}

function sentences(errors) {
  if (errors === undefined || errors === null) return [];
  if (typeof errors === "string") return [errors];
  return Object.values(errors).flatMap(sentences);
}
