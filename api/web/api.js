// The REST API as functions. They send the token and refresh it when needed. They return objects, and throw Problem.

import { learn } from "./clock.js";
import { takeAnswer } from "./first_answers.js";
import { parsed } from "./isolate.js";
import { once } from "./presses.js";
import { Problem } from "./problem.js";
import { session } from "./session.js";

export const api = {
  get: (path, { query, signal } = {}) => takeAnswer(path, query) ?? request("GET", address(path, query), { signal }),
  post: (path, body) => request("POST", path, { body }),
  /** Like `post`, for what would be made twice by two requests: one press makes one. */
  make: (path, body) => once(contentOf(path, JSON.stringify(body)), (key) => request("POST", path, { body, key })),
  put: (path, body) => request("PUT", path, { body }),
  /** With a `tag`, the change is refused (412) if the thing has another version now. */
  patch: (path, body, tag) => request("PATCH", path, { body, tag }),
  /** Resolves with {value, tag}: the tag names this version. */
  version: (path, { signal } = {}) => request("GET", path, { signal, as: "version" }),
  delete: (path, body) => request("DELETE", path, { body }),
  blob: (path, signal) => request("GET", path, { signal, as: "blob" }),
  /** Begins what a second request with the same key does not begin again. */
  begin: (path, key, headers) => request("POST", path, { key, headers }),
};

export function address(path, query = {}) {
  const parameters = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return parameters.length ? `${path}?${new URLSearchParams(parameters)}` : path;
}

async function request(method, path, { body, signal, key, tag, headers, as = "json" }) {
  const token = await session.freshToken();
  let response = await send(method, path, { body, signal, key, tag, headers, token });
  if (response.status === 401 && token) {
    const newToken = await session.refresh(token);
    response = await send(method, path, { body, signal, key, tag, headers, token: newToken });
  }
  if (!response.ok) {
    const problem = await Problem.fromResponse(response);
    if (problem.type === "banned" && session.user) session.end(problem);
    throw problem;
  }
  if (response.status === 204) return null;
  if (as === "version") return { value: parsed(await response.text()), tag: response.headers.get("ETag") };
  return as === "blob" ? response.blob() : parsed(await response.text());
}

/** Returns what tells two presses apart. */
function contentOf(path, content) {
  return `${session.user?.id} ${path} ${content}`;
}

async function send(method, path, { body, signal, key, tag, headers: more, token }) {
  const headers = { ...more };
  if (tag) headers["If-Match"] = tag;
  if (key) headers["Idempotency-Key"] = `"${key}"`;
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const sentAt = Date.now();
  try {
    const response = await fetch(path, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) });
    learn(response, sentAt);
    return response;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw Problem.unreachable();
  }
}
