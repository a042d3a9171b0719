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
  upload,
};

export function address(path, query = {}) {
  const parameters = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return parameters.length ? `${path}?${new URLSearchParams(parameters)}` : path;
}

async function request(method, path, { body, signal, key, tag, as = "json" }) {
  const token = await session.freshToken();
  let response = await send(method, path, { body, signal, key, tag, token });
  if (response.status === 401 && token) {
    const newToken = await session.refresh(token);
    response = await send(method, path, { body, signal, key, tag, token: newToken });
  }
  if (!response.ok) {
    const problem = await Problem.fromResponse(response);
    if (problem.type === "banned" && session.user) session.end(problem.message);
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

async function send(method, path, { body, signal, key, tag, token }) {
  const headers = {};
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

/** Upload a file, once, as multipart form data; calls `onProgress` with 0 to 1. */
function upload(path, field, file, onProgress) {
  const content = contentOf(path, `${file.name} ${file.size} ${file.lastModified}`);
  return once(content, (key) => sendFile(path, field, file, key, onProgress));
}

async function sendFile(path, field, file, key, onProgress) {
  const token = await session.freshToken();
  try {
    return await sendFileWith(token, path, field, file, key, onProgress);
  } catch (error) {
    if (error.status !== 401) throw error;
    const newToken = await session.refresh(token);
    if (!newToken) throw error;
    return sendFileWith(newToken, path, field, file, key, onProgress);
  }
}

/** fetch does not report progress. */
function sendFileWith(token, path, field, file, key, onProgress) {
  return new Promise((resolve, reject) => {
    const form = new FormData();
    form.append(field, file);
    const xhr = new XMLHttpRequest();
    xhr.open("POST", path);
    xhr.setRequestHeader("Authorization", `Bearer ${token}`);
    xhr.setRequestHeader("Idempotency-Key", `"${key}"`);
    xhr.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    xhr.onerror = () => reject(Problem.unreachable());
    xhr.onload = async () => {
      const response = new Response(xhr.responseText || null, { status: xhr.status });
      if (response.ok) resolve(await response.json());
      else reject(await Problem.fromResponse(response));
    };
    xhr.send(form);
  });
}
