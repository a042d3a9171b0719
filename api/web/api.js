// The REST API as functions. They send the token and refresh it when needed. They return objects, and throw Problem.

import { takeAnswer } from "./first_answers.js";
import { Problem } from "./problem.js";
import { session } from "./session.js";

export const api = {
  get: (path, { query, signal } = {}) => takeAnswer(path, query) ?? request("GET", address(path, query), { signal }),
  post: (path, body) => request("POST", path, { body }),
  put: (path, body) => request("PUT", path, { body }),
  patch: (path, body) => request("PATCH", path, { body }),
  delete: (path, body) => request("DELETE", path, { body }),
  blob: (path, signal) => request("GET", path, { signal, as: "blob" }),
  upload,
};

export function address(path, query = {}) {
  const parameters = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return parameters.length ? `${path}?${new URLSearchParams(parameters)}` : path;
}

async function request(method, path, { body, signal, as = "json" }) {
  const token = await session.freshToken();
  let response = await send(method, path, { body, signal, token });
  if (response.status === 401 && token) {
    const newToken = await session.refresh(token);
    response = await send(method, path, { body, signal, token: newToken });
  }
  if (!response.ok) {
    const problem = await Problem.fromResponse(response);
    if (problem.type === "banned" && session.user) session.end(problem.message);
    throw problem;
  }
  if (response.status === 204) return null;
  return as === "blob" ? response.blob() : response.json();
}

async function send(method, path, { body, signal, token }) {
  const headers = {};
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  try {
    return await fetch(path, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw Problem.unreachable();
  }
}

/** Upload a file as multipart form data; calls `onProgress` with 0 to 1. fetch does not report progress. */
async function upload(path, field, file, onProgress) {
  const token = await session.freshToken();
  return new Promise((resolve, reject) => {
    const form = new FormData();
    form.append(field, file);
    const xhr = new XMLHttpRequest();
    xhr.open("POST", path);
    xhr.setRequestHeader("Authorization", `Bearer ${token}`);
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
